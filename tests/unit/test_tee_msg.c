/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* OP-TEE's messages: as they lie in memory, what is resolved, what is refused, and a peer that writes meanwhile. */
#include "support/guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define PAGE IST_PAGE_SIZE
#define RAM (16 * MIB)

static struct guest guest;
static struct ist_msg_read got;

static int set_up(void **state)
{
	(void)state;
	guest = guest_make(RAM);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	guest_drop(&guest);
	return 0;
}

static struct ist_msg make(uint32_t cmd, unsigned count)
{
	struct ist_msg message;

	assert_int_equal(ist_msg_create(guest.fixture.driver, cmd, count, &message), 0);
	return message;
}

static int read_it(const struct ist_msg *message)
{
	return ist_msg_read(guest.fixture.manager, ist_msg_paddr(message), message->memory.view.size, &got);
}

static struct ist_msg_param *raw(const struct ist_msg *message, unsigned index)
{
	return (struct ist_msg_param *)(void *)((char *)message->memory.view.vaddr + 32) + index;
}

static void layout_is_op_tees(void **state)
{
	static const size_t bytes[] = {32, 64, 96, 128, 160, 192, 224};
	struct ist_msg message = make(IST_MSG_INVOKE, 2);
	const struct ist_msg_header header = {
	        .func = 2, .session = 3, .cancel_id = 4, .ret = 5, .ret_origin = 6};
	uint32_t *word = message.memory.view.vaddr;
	struct ist_view view = {NULL, 0x1000, 5};

	(void)state;
	for (unsigned n = 0; n < 7; n++)
		assert_int_equal(ist_msg_bytes(n), bytes[n]);
	ist_msg_set_header(&message, &header);
	ist_msg_set_tmem(&message, 1, IST_MSG_TMEM_INOUT, &view, 0x77);
	{
		const uint32_t expected[] = {1, 2, 3, 4, 0, 5, 6, 2};

		assert_memory_equal(word, expected, sizeof(expected));
	}
	{
		const uint64_t expected[] = {11, 0x1000, 5, 0x77};

		assert_memory_equal(word + 16, expected, sizeof(expected));
	}
	assert_int_equal(ist_msg_set_value(&message, 0, IST_MSG_RMEM_IN, 0, 0, 0), -EINVAL);
	assert_int_equal(ist_msg_set_value(&message, 2, IST_MSG_VALUE_IN, 0, 0, 0), -EINVAL);
	assert_int_equal(ist_msg_set_rmem(&message, 0, IST_MSG_TMEM_IN, 0, 0, 0), -EINVAL);
	view.paddr = 0; /* a buffer there cannot be told from a null reference */
	assert_int_equal(ist_msg_set_tmem(&message, 0, IST_MSG_TMEM_IN, &view, 0), -ERANGE);
	assert_int_equal(ist_msg_create(guest.fixture.driver, 0, 128, &message), -EINVAL);
	ist_msg_free(&message);
}

/* R7. */
static void where_a_message_may_lie(void **state)
{
	struct ist_msg message = make(IST_MSG_INVOKE, 4);
	struct ist_manager *manager = guest.fixture.manager;
	uint64_t paddr = ist_msg_paddr(&message), end;
	struct ist_view carve_out;

	(void)state;
	assert_int_equal(ist_msg_read(manager, paddr, 160, &got), 0);
	assert_int_equal(ist_msg_read(manager, paddr, 159, &got), -EFAULT);
	assert_int_equal(ist_msg_read(manager, paddr, 31, &got), -EFAULT);
	assert_int_equal(ist_msg_read(manager, paddr + 4, 160, &got), -EFAULT);
	assert_int_equal(ist_msg_read(manager, 0, 160, &got), -EFAULT);
	assert_int_equal(ist_msg_read(manager, UINT64_MAX - 7, 160, &got), -EFAULT);
	assert_int_equal(ist_msg_read(manager, GUEST_PADDR, 160, &got), -EFAULT); /* memory, but not shared */
	assert_int_equal(ist_msg_read(NULL, paddr, 160, &got), -EINVAL);
	/* Its header is inside, its parameters are not. */
	carve_out = (struct ist_view){guest.fixture.carve_out.start, PADDR, guest.fixture.carve_out.size};
	end = carve_out.paddr + carve_out.size;
	memset((char *)carve_out.vaddr + carve_out.size - 32, 0, 32);
	assert_int_equal(ist_msg_read(manager, end - 32, SIZE_MAX, &got), 0);
	((uint32_t *)(void *)((char *)carve_out.vaddr + carve_out.size))[-1] = 1;
	assert_int_equal(ist_msg_read(manager, end - 32, SIZE_MAX, &got), -EFAULT);
	((uint32_t *)message.memory.view.vaddr)[7] = 128;
	assert_int_equal(ist_msg_read(manager, paddr, SIZE_MAX, &got), -EINVAL);
	((uint32_t *)message.memory.view.vaddr)[7] = UINT32_MAX;
	assert_int_equal(ist_msg_read(manager, paddr, SIZE_MAX, &got), -EINVAL);
	ist_msg_free(&message);
}

static void attributes(void **state)
{
	static const uint64_t good[] = {0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 0x101, 0x10b, 0x209, 0x20b, 0x30a};
	static const uint64_t bad[] = {4,     8,     12,         255,        0x201,     0x200,
	                               0x205, 0x400, 1ull << 32, 1ull << 63, UINT64_MAX};
	struct ist_msg message = make(IST_MSG_INVOKE, 1);

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		raw(&message, 0)->attr = good[i];
		assert_int_equal(read_it(&message), 0);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		raw(&message, 0)->attr = bad[i];
		assert_int_equal(read_it(&message), -EINVAL);
	}
	ist_msg_free(&message);
}

static int resolve(const struct ist_msg *message)
{
	assert_int_equal(read_it(message), 0);
	return ist_msg_resolve(guest.fixture.manager, 0, &got);
}

/* D19. */
static void registered_memory(void **state)
{
	const struct ist_registration registration = {
	        .paddr = GUEST_PADDR + 5 * PAGE + 100, .size = 5000, .cookie = 0x1234};
	struct ist_msg message = make(IST_MSG_INVOKE, 2);
	struct ist_mapping mapping;

	(void)state;
	assert_int_equal(ist_mapping_register(guest.fixture.manager, &registration, &mapping), 0);
	ist_msg_set_rmem(&message, 0, IST_MSG_RMEM_INOUT, 0x1234, 100, 4900);
	ist_msg_set_rmem(&message, 1, IST_MSG_RMEM_IN, 0x1234, 5000, 0); /* nothing, at its end */
	assert_int_equal(resolve(&message), 0);
	assert_ptr_equal(got.reference[0].vaddr, (char *)mapping.vaddr + 100);
	assert_int_equal(got.reference[0].size, 4900);
	assert_false(got.reference[1].is_null);
	assert_int_equal(ist_mapping_unregister(guest.fixture.manager, 0, 0x1234, IST_UNREGISTER_TRY),
	                 -EBUSY);
	ist_msg_release(guest.fixture.manager, &got);
	ist_msg_set_rmem(&message, 1, IST_MSG_RMEM_IN, 0x1234, 100, 4901);
	assert_int_equal(resolve(&message), -EACCES);
	ist_msg_set_rmem(&message, 1, IST_MSG_RMEM_IN, 0x1234, 5001, 0);
	assert_int_equal(resolve(&message), -EACCES);
	ist_msg_set_rmem(&message, 1, IST_MSG_RMEM_IN, 0x1234, UINT64_MAX, 2);
	assert_int_equal(resolve(&message), -EACCES);
	ist_msg_set_rmem(&message, 1, IST_MSG_RMEM_IN, 0x1235, 0, 1);
	assert_int_equal(resolve(&message), -EINVAL);
	ist_msg_set_rmem(&message, 1, IST_MSG_RMEM_IN, 0, 0, 1);
	assert_int_equal(resolve(&message), -EINVAL);
	/* On each of these errors the first parameter's reference was given back. */
	assert_int_equal(ist_mapping_unregister(guest.fixture.manager, 0, 0x1234, IST_UNREGISTER_TRY), 0);
	ist_msg_free(&message);
}

/* D20. */
static void memory_by_address(void **state)
{
	struct ist_msg message = make(IST_MSG_INVOKE, 1);
	struct ist_shm shm;
	struct ist_view view;

	(void)state;
	assert_int_equal(ist_client_pool_alloc(guest.fixture.client, 8192, &shm), 0);
	ist_msg_set_tmem(&message, 0, IST_MSG_TMEM_IN, &shm.view, 0);
	assert_int_equal(resolve(&message), 0);
	assert_ptr_equal(got.reference[0].vaddr, shm.view.vaddr);
	ist_msg_release(guest.fixture.manager, &got);
	ist_msg_set_tmem(&message, 0, IST_MSG_TMEM_IN, NULL, 0);
	raw(&message, 0)->b = 700; /* null is null, whatever size it says */
	assert_int_equal(resolve(&message), 0);
	assert_true(got.reference[0].is_null && !got.reference[0].vaddr && got.reference[0].size == 0);
	view = (struct ist_view){NULL, GUEST_PADDR, 10}; /* the guest's, not shared */
	ist_msg_set_tmem(&message, 0, IST_MSG_TMEM_IN, &view, 0);
	assert_int_equal(resolve(&message), -EINVAL);
	view = (struct ist_view){NULL, PADDR + guest.fixture.carve_out.size, 0}; /* nothing, but elsewhere */
	ist_msg_set_tmem(&message, 0, IST_MSG_TMEM_IN, &view, 0);
	assert_int_equal(resolve(&message), -EINVAL);
	view = (struct ist_view){NULL, shm.view.paddr, SIZE_MAX};
	ist_msg_set_tmem(&message, 0, IST_MSG_TMEM_IN, &view, 0);
	assert_int_equal(resolve(&message), -EINVAL);
	ist_msg_free(&message);
	ist_shm_free(&shm);
}

static uint64_t make_list(uint64_t offset, uint64_t size, size_t at_page)
{
	uint64_t list, at = GUEST_PADDR + at_page * PAGE;

	assert_int_equal(ist_msg_list_fill(guest.ram + at_page * PAGE, at, NULL,
	                                   GUEST_PADDR + 3 * PAGE + offset, size, &list),
	                 0);
	assert_int_equal(list, at + offset);
	return list;
}

static void lists_of_pages(void **state)
{
	struct ist_msg message = make(IST_MSG_INVOKE, 1);
	uint64_t list = make_list(10, 600 * PAGE, 2000);

	(void)state;
	assert_int_equal(ist_msg_list_bytes(0, 511 * PAGE), PAGE);
	assert_int_equal(ist_msg_list_bytes(1, 511 * PAGE), 2 * PAGE);
	assert_int_equal(ist_msg_list_bytes(0, 0), 0);
	assert_int_equal(ist_msg_list_bytes(2, UINT64_MAX), 0);
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_INOUT, list, 600 * PAGE, 9);
	assert_int_equal(resolve(&message), 0);
	guest_check((char *)got.reference[0].vaddr - 10, GUEST_PADDR + 3 * PAGE, 600 * PAGE);
	ist_msg_release(guest.fixture.manager, &got);
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_INOUT, list, 0, 9);
	assert_int_equal(resolve(&message), -EINVAL);
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_INOUT, list, UINT64_MAX, 9);
	assert_true(resolve(&message) != 0);
	((uint64_t *)(void *)(guest.ram + 2000 * PAGE))[100] += 1;
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_INOUT, list, 600 * PAGE, 9);
	assert_int_equal(resolve(&message), -EINVAL);
	ist_msg_free(&message);
}

static int serve(const struct ist_msg *message)
{
	assert_int_equal(read_it(message), 0);
	return ist_msg_serve(guest.fixture.manager, 0, &got);
}

/* D7. */
static void registering_by_message(void **state)
{
	static const uint64_t bad[] = {IST_MSG_TMEM_OUT, IST_MSG_TMEM_IN | IST_MSG_NONCONTIG,
	                               IST_MSG_TMEM_INOUT | IST_MSG_NONCONTIG,
	                               IST_MSG_TMEM_OUT | IST_MSG_NONCONTIG | IST_MSG_META, IST_MSG_RMEM_OUT};
	struct ist_msg message = make(IST_MSG_REGISTER_SHM, 1), two = make(IST_MSG_REGISTER_SHM, 2),
	               away = make(IST_MSG_UNREGISTER_SHM, 1);
	uint64_t list = make_list(7, 9000, 2000);
	struct ist_mapping mapping;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*raw(&message, 0) = (struct ist_msg_param){bad[i], list, 9000, 55};
		assert_int_equal(serve(&message), -EINVAL);
	}
	ist_msg_set_list(&two, 0, IST_MSG_TMEM_OUT, list, 9000, 55);
	assert_int_equal(serve(&two), -EINVAL);
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_OUT, list, 9000, 0);
	assert_int_equal(serve(&message), -EINVAL);
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_OUT, list, 0, 55);
	assert_int_equal(serve(&message), -EINVAL);
	ist_msg_set_list(&message, 0, IST_MSG_TMEM_OUT, list, 9000, 55);
	assert_int_equal(serve(&message), 0);
	assert_int_equal(serve(&message), -EINVAL); /* a cookie that is known */
	assert_int_equal(ist_mapping_find(guest.fixture.manager, 0, 55, &mapping), 0);
	assert_int_equal(mapping.size, 9000);
	ist_msg_set_rmem(&away, 0, IST_MSG_RMEM_IN, 56, 0, 0);
	assert_int_equal(serve(&away), -EINVAL);
	ist_msg_set_rmem(&away, 0, IST_MSG_RMEM_IN, 55, 0, 0);
	assert_int_equal(serve(&away), 0);
	assert_int_equal(serve(&away), -EINVAL);
	ist_msg_free(&message);
	ist_msg_free(&two);
	ist_msg_free(&away);
}

static void answers(void **state)
{
	struct ist_msg message = make(IST_MSG_INVOKE, 2);
	struct ist_msg_param out;
	uint32_t ret, origin;

	(void)state;
	ist_msg_set_value(&message, 1, IST_MSG_VALUE_OUT, 0, 0, 0);
	assert_int_equal(read_it(&message), 0);
	assert_int_equal(ist_msg_answer(&got, 3, 4, 9), 0);
	assert_int_equal(ist_msg_answer_param(&got, 1, 5, 6, 7), 0);
	assert_int_equal(ist_msg_answer_param(&got, 2, 5, 6, 7), -EINVAL);
	ist_msg_result(&message, &ret, &origin);
	assert_int_equal(ret, 3);
	assert_int_equal(origin, 4);
	assert_int_equal(ist_msg_output(&message, 1, &out), 0);
	assert_true(out.attr == IST_MSG_VALUE_OUT && out.a == 5 && out.b == 6 && out.c == 7);
	assert_int_equal(ist_msg_output(&message, 2, &out), -EINVAL);
	ist_msg_free(&message);
}

/* The peer changes the message while it is read: whatever is found is inside of what was checked. */
static _Atomic bool stop;

static void *scribble(void *of)
{
	const struct ist_msg *message = of;
	_Atomic uint64_t *word = message->memory.view.vaddr;
	uint64_t seed = 5;

	while (!atomic_load(&stop)) {
		size_t at = random_below(&seed, 16);
		static const uint64_t values[] = {
		        0, 1, 5, 9, 0x209, 0x1234, 4000, 0x400000001, 0x7f00000002, UINT64_MAX};

		atomic_store_explicit(&word[at], values[random_below(&seed, 10)], memory_order_relaxed);
	}
	return NULL;
}

static void a_peer_that_writes_meanwhile(void **state)
{
	const struct ist_registration registration = {
	        .paddr = GUEST_PADDR + 5 * PAGE, .size = 5000, .cookie = 0x1234};
	struct ist_msg message = make(IST_MSG_INVOKE, 3);
	struct ist_mapping mapping;
	pthread_t thread;

	(void)state;
	assert_int_equal(ist_mapping_register(guest.fixture.manager, &registration, &mapping), 0);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, scribble, &message), 0);
	for (long i = 0; i < scaled(200000); i++) {
		if (read_it(&message) != 0)
			continue;
		assert_true(got.header.num_params <= 3);
		if (ist_msg_resolve(guest.fixture.manager, 0, &got) != 0)
			continue;
		for (unsigned k = 0; k < got.header.num_params; k++)
			if (got.reference[k].vaddr && got.param[k].attr <= IST_MSG_RMEM_INOUT)
				assert_true(got.param[k].a + got.reference[k].size <= 5000);
		ist_msg_release(guest.fixture.manager, &got);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(ist_mapping_unregister(guest.fixture.manager, 0, 0x1234, IST_UNREGISTER_TRY), 0);
	ist_msg_free(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_GUEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	        WITH_GUEST(layout_is_op_tees),
	        WITH_GUEST(where_a_message_may_lie),
	        WITH_GUEST(attributes),
	        WITH_GUEST(registered_memory),
	        WITH_GUEST(memory_by_address),
	        WITH_GUEST(lists_of_pages),
	        WITH_GUEST(registering_by_message),
	        WITH_GUEST(answers),
	        WITH_GUEST(a_peer_that_writes_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
