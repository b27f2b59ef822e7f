/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The objects of the TEE front: order of checks, ids, references, addresses, descriptors, the end of everything. */
#include "support/tee_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLIENT (IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF)

static void allocation_is_checked_in_order(void **state)
{
	struct tee tee = tee_make(4 * MIB, NULL), other = tee_make(MIB, NULL);
	struct ist_tee_shm *const none = (struct ist_tee_shm *)(void *)&tee, *shm = none;

	(void)state;
	assert_int_equal(ist_tee_shm_alloc(tee.device, other.context, 9, 0, &shm), -EINVAL);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 9, IST_TEE_SHM_DMA_BUF, &shm), -EINVAL);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 9, IST_TEE_SHM_MAPPED | 8, &shm),
	                 -EINVAL);
	assert_int_equal(ist_tee_shm_alloc(tee.device, NULL, 9, CLIENT, &shm), -EINVAL);
	assert_int_equal(ist_tee_shm_alloc(NULL, tee.context, 9, CLIENT, &shm), -EINVAL);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 9, CLIENT, NULL), -EINVAL);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 0, CLIENT, &shm), -ENOMEM);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, SIZE_MAX, CLIENT, &shm), -ENOMEM);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 8 * MIB, CLIENT, &shm), -ENOMEM);
	assert_int_equal(ist_tee_shm_alloc(tee.device, NULL, MIB, IST_TEE_SHM_MAPPED, &shm), -ENOMEM);
	ist_tee_device_detach(tee.device);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 0, CLIENT, &shm), -EINVAL);
	assert_ptr_equal(shm, none);
	assert_int_equal(tee_stats(&tee).shms, 0);
	assert_int_equal(ist_tee_shm_find(tee.context, 1, &shm), -EINVAL); /* every id went back */
	tee_drop(&other);
	tee_drop(&tee);
}

static void the_lowest_free_id_comes_first(void **state)
{
	struct tee tee = tee_make(16 * MIB, NULL);
	struct ist_tee_shm *shm[300], *found;

	(void)state;
	for (int i = 0; i < 300; i++) {
		assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 1, CLIENT, &shm[i]), 0);
		assert_int_equal(ist_tee_shm_id(shm[i]), i + 1);
		assert_int_equal(ist_tee_shm_size(shm[i]), 4096);
	}
	for (int i = 299; i >= 0; i -= 3)
		ist_tee_shm_put(shm[i]);
	for (int i = 2; i < 300; i += 3) {
		assert_int_equal(ist_tee_shm_find(tee.context, i + 1, &found), -EINVAL);
		assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 1, CLIENT, &shm[i]), 0);
		assert_int_equal(ist_tee_shm_id(shm[i]), i + 1);
		assert_int_equal(ist_tee_shm_find(tee.context, i + 1, &found), 0);
		assert_ptr_equal(found, shm[i]);
		ist_tee_shm_put(found);
	}
	assert_int_equal(ist_tee_shm_find(tee.context, 0, &found), -EINVAL);
	assert_int_equal(ist_tee_shm_find(tee.context, -1, &found), -EINVAL);
	assert_int_equal(ist_tee_shm_find(tee.context, INT32_MAX, &found), -EINVAL);
	assert_int_equal(ist_tee_shm_find(tee.context, 301, &found), -EINVAL);
	for (int i = 0; i < 300; i++)
		ist_tee_shm_put(shm[i]);
	ist_tee_shm_put(NULL);
	tee_drop(&tee);
}

static void an_id_is_for_its_context_alone(void **state)
{
	struct tee tee = tee_make(MIB, NULL);
	struct ist_tee_context *stranger;
	struct ist_tee_shm *shm, *found;

	(void)state;
	assert_int_equal(ist_tee_context_open(tee.device, &stranger), 0);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 1, CLIENT, &shm), 0);
	assert_int_equal(ist_tee_shm_find(stranger, ist_tee_shm_id(shm), &found), -EINVAL);
	ist_tee_context_close(stranger);
	ist_tee_shm_put(shm);
	tee_drop(&tee);
}

static void private_memory_has_no_id(void **state)
{
	struct tee tee = tee_make(MIB, NULL);
	struct ist_tee_shm *shm, *of_context;

	(void)state;
	assert_int_equal(ist_tee_shm_alloc(tee.device, NULL, 220, IST_TEE_SHM_MAPPED, &shm), 0);
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 8, IST_TEE_SHM_MAPPED, &of_context), 0);
	assert_int_equal(ist_tee_shm_id(shm), -1);
	assert_int_equal(ist_tee_shm_size(shm), 224);
	assert_int_equal(tee_stats(&tee).shms, 2);
	assert_int_equal(ist_tee_device_destroy(tee.device, false), -EBUSY);
	ist_tee_shm_put(shm);
	ist_tee_shm_put(of_context);
	tee_drop(&tee);
}

static void addresses_have_bounds(void **state)
{
	struct tee tee = tee_make(MIB, NULL);
	struct ist_tee_shm *shm;
	void *vaddr, *back;
	uint64_t paddr;

	(void)state;
	assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 8192, CLIENT, &shm), 0);
	assert_int_equal(ist_tee_shm_get_va(shm, 8191, &vaddr), 0);
	assert_int_equal(ist_tee_shm_get_va(shm, 8192, &back), -EINVAL);
	assert_int_equal(ist_tee_shm_get_pa(shm, 8191, &paddr), 0);
	assert_int_equal(ist_tee_shm_get_pa(shm, SIZE_MAX, &paddr), -EINVAL);
	assert_int_equal(ist_tee_shm_pa2va(shm, paddr, &back), 0);
	assert_ptr_equal(back, vaddr);
	assert_int_equal(ist_tee_shm_pa2va(shm, paddr + 1, &back), -EINVAL);
	assert_int_equal(ist_tee_shm_pa2va(shm, paddr - 8192, &back), -EINVAL);
	assert_int_equal(ist_tee_shm_va2pa(shm, vaddr, &paddr), 0);
	assert_int_equal(ist_tee_shm_va2pa(shm, (char *)vaddr + 1, &paddr), -EINVAL);
	assert_int_equal(ist_tee_shm_va2pa(shm, (char *)vaddr - 8192, &paddr), -EINVAL);
	ist_tee_shm_put(shm);
	tee_drop(&tee);
}

static void a_descriptor_and_its_duplicates_keep_it(void **state)
{
	struct tee tee = tee_make(MIB, NULL);
	struct ist_tee_shm *found;
	struct ist_tee_fd what;
	int before = tee_open_fds();
	int32_t id;
	int fd = tee_alloc(tee.context, 5000, &id), mutant = dup(fd);
	char *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, mutant, 0);

	(void)state;
	assert_ptr_not_equal(mapped, MAP_FAILED);
	assert_int_equal(ist_tee_fd_find(mutant, &what), 0);
	assert_true(what.can_map && !what.is_context && what.size == 8192);
	tee_close(fd);
	assert_int_equal(ist_tee_shm_find(tee.context, id, &found), 0);
	mapped[8191] = 77; /* the same memory on both sides */
	{
		void *vaddr;

		assert_int_equal(ist_tee_shm_get_va(found, 8191, &vaddr), 0);
		assert_int_equal(*(char *)vaddr, 77);
	}
	ist_tee_shm_put(found);
	tee_close(mutant);
	assert_int_equal(ist_tee_shm_find(tee.context, id, &found), 0);
	ist_tee_shm_put(found);
	munmap(mapped, 8192);
	assert_int_equal(ist_tee_reap(IST_TEE_REAP_UNMAPPED), 1);
	assert_int_equal(ist_tee_shm_find(tee.context, id, &found), -EINVAL);
	assert_int_equal(tee_open_fds(), before);
	tee_drop(&tee);
}

static void a_context_outlives_its_end_by_its_memory(void **state)
{
	struct tee tee = tee_make(MIB, NULL);
	int fd = tee_alloc(tee.context, 1, NULL);

	(void)state;
	ist_tee_context_close(tee.context);
	assert_int_equal(tee_stats(&tee).contexts, 1);
	assert_int_equal(ist_tee_device_destroy(tee.device, false), -EBUSY);
	tee_close(fd);
	assert_int_equal(tee_stats(&tee).contexts, 0);
	tee.context = NULL;
	tee_drop(&tee);
}

static void *close_later(void *fd)
{
	usleep(20000);
	close(*(int *)fd);
	return NULL;
}

static void destroy_waits_for_the_last_descriptor(void **state)
{
	struct tee tee = tee_make(MIB, NULL);
	int fd = tee_alloc(tee.context, 1, NULL);
	pthread_t thread;

	(void)state;
	ist_tee_context_close(tee.context);
	assert_int_equal(pthread_create(&thread, NULL, close_later, &fd), 0);
	assert_int_equal(ist_tee_device_destroy(tee.device, true), 0);
	pthread_join(thread, NULL);
	assert_int_equal(ist_manager_destroy(tee.manager), 0);
	munmap(tee.memory, tee.size);
}

static void a_context_by_descriptor(void **state)
{
	struct tee tee = tee_make(MIB, NULL);
	struct ist_tee_version version;
	int fd = ist_tee_context_export(tee.context);
	int shm, file = dup(0);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ist_tee_fd_ioctl(fd, IST_TEE_IOC_VERSION, &version), 0);
	assert_int_equal(version.gen_caps, IST_TEE_CAP_GP | IST_TEE_CAP_REG_MEM | IST_TEE_CAP_MEMREF_NULL);
	shm = tee_alloc(tee.context, 1, NULL);
	assert_int_equal(ist_tee_fd_ioctl(shm, IST_TEE_IOC_VERSION, &version), -EINVAL);
	assert_int_equal(ist_tee_fd_ioctl(file, IST_TEE_IOC_VERSION, &version), -ENOTTY);
	assert_int_equal(ist_tee_fd_ioctl(-1, IST_TEE_IOC_VERSION, &version), -ENOTTY);
	tee_close(shm);
	tee_close(fd);
	close(file);
	assert_int_equal(tee_stats(&tee).contexts, 0);
	tee.context = NULL;
	tee_drop(&tee);
}

/* Ids are found while others let go of them and take them again: what is found is the finder's own. */
struct race {
	struct tee tee;
	struct ist_tee_context *contexts[2];
	_Atomic bool stop;
	_Atomic long found;
};

static void *churn(void *of)
{
	struct race *race = of;
	struct ist_tee_shm *shm[4];

	while (!atomic_load(&race->stop)) {
		for (int i = 0; i < 4; i++)
			assert_int_equal(ist_tee_shm_alloc(race->tee.device, race->contexts[i % 2], 1, CLIENT,
			                                   &shm[i]),
			                 0);
		for (int i = 0; i < 4; i++)
			ist_tee_shm_put(shm[i]);
	}
	return NULL;
}

static void *look(void *of)
{
	struct race *race = of;
	struct ist_tee_shm *shm;
	void *vaddr;

	while (!atomic_load(&race->stop)) {
		for (int id = 1; id <= 8; id++) {
			if (ist_tee_shm_find(race->contexts[0], id, &shm) != 0)
				continue;
			assert_int_equal(ist_tee_shm_id(shm), id);
			assert_int_equal(ist_tee_shm_get_va(shm, 0, &vaddr), 0);
			assert_int_equal(*(char *)vaddr, 0);
			ist_tee_shm_put(shm);
			atomic_fetch_add(&race->found, 1);
		}
	}
	return NULL;
}

static void ids_are_reused_while_they_are_looked_up(void **state)
{
	struct race race = {.tee = tee_make(MIB, NULL)};
	pthread_t thread[4];

	(void)state;
	race.contexts[0] = race.tee.context;
	assert_int_equal(ist_tee_context_open(race.tee.device, &race.contexts[1]), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, i < 2 ? churn : look, &race), 0);
	usleep(300000);
	atomic_store(&race.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_true(atomic_load(&race.found) > 0);
	ist_tee_context_close(race.contexts[1]);
	tee_drop(&race.tee);
}

/* A client at work with all it can do, until it is told that there is no device any more. */
static void *work(void *of)
{
	struct race *race = of;
	char memory[3000] = {0};
	struct ist_tee_context *context;
	struct tee_call call;
	int32_t id, other;
	uint32_t session;

	assert_int_equal(ist_tee_context_open(race->tee.device, &context), 0);
	atomic_fetch_add(&race->found, 1);
	tee_fill_open(&call, 0);
	if (ist_tee_ioctl(context, IST_TEE_IOC_OPEN_SESSION, &call.buf) == 0) {
		session = call.u.open.arg.session;
		for (;;) {
			struct ist_tee_ioc_alloc alloc = {.size = 3000};
			struct ist_tee_ioc_register reg = {.addr = (uintptr_t)memory, .length = 3000};
			int fd = (int)ist_tee_ioctl(context, IST_TEE_IOC_SHM_ALLOC, &alloc), fd2;

			if (fd < 0)
				break;
			id = alloc.id;
			fd2 = (int)ist_tee_ioctl(context, IST_TEE_IOC_SHM_REGISTER, &reg);
			other = reg.id;
			tee_fill_invoke(&call, session, 0, 2);
			call.u.invoke.param[0] = tee_memref(IST_TEE_PARAM_MEMREF_IN, id, 0, 3000);
			call.u.invoke.param[1] = tee_memref(IST_TEE_PARAM_MEMREF_OUT, other, 0, 3000);
			if (fd2 >= 0) {
				ist_tee_ioctl(context, IST_TEE_IOC_INVOKE, &call.buf);
				tee_close(fd2);
			}
			tee_close(fd);
		}
	}
	ist_tee_context_close(context);
	return NULL;
}

static void detached_in_the_midst(void **state)
{
	pthread_t thread[4];

	(void)state;
	for (int round = 0; round < 10; round++) {
		struct race race = {.tee = tee_make(4 * MIB, NULL)};

		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, work, &race), 0);
		while (atomic_load(&race.found) < 4)
			usleep(1000);
		usleep(20000);
		ist_tee_context_close(race.tee.context);
		assert_int_equal(ist_tee_device_destroy(race.tee.device, true), 0);
		for (int i = 0; i < 4; i++)
			pthread_join(thread[i], NULL);
		assert_int_equal(ist_manager_destroy(race.tee.manager), 0);
		munmap(race.tee.memory, race.tee.size);
	}
}

static void many_of_everything(void **state)
{
	long count = scaled(100000) < 100000 ? 5000 : 100000;
	struct tee tee = tee_make(512 * MIB, NULL);
	struct ist_tee_shm **shm = calloc((size_t)count, sizeof(struct ist_tee_shm *));
	struct ist_tee_context *context[1000];

	(void)state;
	for (long i = 0; i < count; i++)
		assert_int_equal(ist_tee_shm_alloc(tee.device, tee.context, 1, CLIENT, &shm[i]), 0);
	assert_int_equal(tee_stats(&tee).shms, count);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ist_tee_context_open(tee.device, &context[i]), 0);
	for (int i = 0; i < 1000; i++)
		ist_tee_context_close(context[i]);
	for (long i = 0; i < count; i++)
		ist_tee_shm_put(shm[i]);
	free(shm);
	tee_drop(&tee);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(allocation_is_checked_in_order),
	        cmocka_unit_test(the_lowest_free_id_comes_first),
	        cmocka_unit_test(an_id_is_for_its_context_alone),
	        cmocka_unit_test(private_memory_has_no_id),
	        cmocka_unit_test(addresses_have_bounds),
	        cmocka_unit_test(a_descriptor_and_its_duplicates_keep_it),
	        cmocka_unit_test(a_context_outlives_its_end_by_its_memory),
	        cmocka_unit_test(destroy_waits_for_the_last_descriptor),
	        cmocka_unit_test(a_context_by_descriptor),
	        cmocka_unit_test(ids_are_reused_while_they_are_looked_up),
	        cmocka_unit_test(detached_in_the_midst),
	        cmocka_unit_test(many_of_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
