/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Every call by which the library asks for something fails in turn: the nth alone, and all from the nth on. Each time in a process
 * that has not used the library yet, so that what is done once fails too. What is refused has a named error; what is undone is
 * undone, at the latest when the calls work again; then all works, and at the end the process holds what one holds in
 * which nothing failed: memory, mappings, descriptors.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <isthmus/stat.h>

#include "platform/platform.h"
#include "support/failing_system.h"
#include "support/guest.h"

#define PAGE IST_PAGE_SIZE
#define GUEST GUEST_PADDR
#define DEVICE UINT64_C(0x9000000)
enum { CARVE_OUT = 96 * PAGE, RAM = 64 * PAGE, LIST = 40, MOST_CALLS = 4000 };

/* What a program has before it uses the library. */
struct ground {
	void *carve_out;
	char *ram;
	int carve_out_fd, ram_fd, device_fd;
};
static struct ground ground;

static int memory_file(size_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void ground_make(void)
{
	ground.carve_out_fd = memory_file(CARVE_OUT);
	ground.ram_fd = memory_file(RAM);
	ground.device_fd = memory_file(4 * PAGE);
	ground.carve_out = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE, MAP_SHARED, ground.carve_out_fd, 0);
	ground.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ground.ram_fd, 0);
	assert_true(ground.carve_out != MAP_FAILED && ground.ram != MAP_FAILED);
	for (uint64_t page = 0; page < RAM / PAGE; page++)
		*(uint64_t *)(void *)(ground.ram + page * PAGE) = page;
	for (uint64_t i = 0; i < 3; i++)
		((uint64_t *)(void *)(ground.ram + LIST * PAGE))[i] = GUEST + (5 + 3 * i) * PAGE;
}

/* A call that may be refused: whether it was not. */
static bool works(int error)
{
	if (error == 0)
		return true;
	switch (error) {
	case -ENOMEM:
	case -ENOSPC:
	case -EAGAIN:
	case -EMFILE:
	case -EFBIG:
	case -EIO:
	case -ENOSYS:
	case -EINVAL: /* these two of a file that says nothing of itself */
	case -EBADF:
	case -ENOTSUP: /* a kernel that cannot seal, or does not take an advice */
	case -EFAULT:
		break;
	default:
		fail_msg("a refusal that has no name: %d, after %s", error,
		         system_failed() ? system_failed() : "nothing");
	}
	if (!system_failed())
		fail_msg("%d, and nothing has failed", error);
	return false;
}

/* A call that takes something away: if it was refused, it works as soon as the system does. */
#define UNDO(call)                                                                                           \
	do {                                                                                                 \
		if (!works(call)) {                                                                          \
			system_fail(0, false);                                                               \
			assert_int_equal(call, 0);                                                           \
		}                                                                                            \
	} while (0)

static int manager_make(struct ist_manager **out)
{
	const struct ist_manager_config config = {
	        .vaddr = ground.carve_out, .paddr = PADDR, .size = CARVE_OUT, .driver_pool_size = 4 * PAGE};

	return ist_manager_create(&config, out);
}

/* --- the pools --------------------------------------------------------------------------------------------- */

static void messages(struct ist_manager *manager)
{
	static const size_t size[] = {8, 64, 300, 4000, 9000};
	struct ist_driver_pool *pool = ist_manager_driver_pool(manager);
	struct ist_shm shm[5];
	void *bulk[8];
	bool has[5];

	for (int i = 0; i < 5; i++)
		has[i] = ist_driver_pool_alloc(pool, size[i], &shm[i]) == 0;
	/* They ask nobody for anything: exhaustion is real, whatever the system refuses. */
	for (int i = 0; i < 4; i++)
		assert_true(has[i]);
	for (int i = 0; i < 5; i++)
		assert_int_equal(has[i] ? ist_shm_free(&shm[i]) : 0, 0);
	assert_int_equal(ist_driver_pool_alloc_bulk(pool, 96, 8, bulk), 0);
	assert_int_equal(ist_driver_pool_free_bulk(pool, bulk, 8), 0);
}

static void fill_messages(struct ist_manager *manager)
{
	struct ist_driver_pool *pool = ist_manager_driver_pool(manager);
	static struct ist_shm shm[4 * PAGE / 64];
	size_t count = 0;

	while (count < 4 * PAGE / 64 && ist_driver_pool_alloc(pool, 64, &shm[count]) == 0)
		count++;
	/* A granule that a magazine kept of another size may lie in the way of one. */
	assert_true(count >= 4 * PAGE / 64 - 2);
	while (count-- > 0)
		assert_int_equal(ist_shm_free(&shm[count]), 0);
}

static void buffers(struct ist_manager *manager)
{
	struct ist_client_pool *pool = ist_manager_client_pool(manager);
	struct ist_export exported;
	struct ist_shm shm, isolated;
	const struct ist_client_request request = {.size = 3 * PAGE};
	int fd;

	if (works(ist_client_pool_alloc(pool, 5 * PAGE, &shm))) {
		for (size_t i = 0; i < 5 * PAGE; i += 512)
			assert_int_equal(((const char *)shm.view.vaddr)[i], 0);
		memset(shm.view.vaddr, 0x77, 5 * PAGE);
		if (works(ist_client_export(&shm, &exported)))
			close(exported.fd);
		UNDO(ist_shm_free(&shm));
	}
	if (works(ist_client_pool_alloc_isolated(pool, &request, &isolated, &fd))) {
		memset(isolated.view.vaddr, 0x78, 3 * PAGE);
		close(fd);
		UNDO(ist_shm_free(&isolated));
	}
}

static void use_pools(struct ist_manager *manager)
{
	bool shares = works(ist_manager_set_file(manager, ground.carve_out_fd, 0));

	messages(manager);
	fill_messages(manager);
	if (shares)
		buffers(manager);
	messages(manager);
}

/* --- dynamic memory ---------------------------------------------------------------------------------------- */

static void use_mapping(struct ist_manager *manager, struct ist_mapping *mapping)
{
	struct iovec segment[8];
	size_t count;
	void *vaddr;

	if (works(ist_mapping_segments(manager, mapping, 0, mapping->size, segment, 8, &count)))
		assert_ptr_not_equal(segment[0].iov_base, NULL);
	if (works(ist_mapping_get(manager, mapping)))
		assert_int_equal(ist_mapping_put(manager, mapping), 0);
	if (works(ist_mapping_map(manager, mapping, &vaddr))) {
		assert_int_equal(*(const uint64_t *)vaddr, 5);
		UNDO(ist_mapping_unmap(manager, mapping));
	}
	UNDO(ist_mapping_unregister_one(manager, mapping, 0));
}

static void register_pages(struct ist_manager *manager, uint64_t cookie)
{
	const uint64_t pages[] = {GUEST + 5 * PAGE, GUEST + 9 * PAGE, GUEST + 2 * PAGE, GUEST + 30 * PAGE};
	struct ist_registration r = {
	        .pages = pages, .page_count = 4, .size = 4 * PAGE, .owner = 7, .cookie = cookie};
	struct ist_mapping mapping;

	if (works(ist_mapping_register(manager, &r, &mapping)))
		use_mapping(manager, &mapping);
	r.flags = IST_MAPPING_READ_ONLY;
	if (works(ist_mapping_register(manager, &r, &mapping)))
		use_mapping(manager, &mapping);
	r = (struct ist_registration){.size = 3 * PAGE, .owner = 7, .cookie = cookie + 1};
	if (works(ist_mapping_register_list(manager, GUEST + LIST * PAGE, &r, &mapping)))
		use_mapping(manager, &mapping);
	/* Left for the end of the owner. */
	r = (struct ist_registration){
	        .paddr = GUEST + 5 * PAGE, .size = 2 * PAGE, .owner = 7, .cookie = cookie + 2};
	works(ist_mapping_register(manager, &r, &mapping));
}

static void map_range(struct ist_manager *manager)
{
	const uint64_t pages[] = {GUEST + 7 * PAGE, GUEST + 3 * PAGE};
	struct ist_mapping range;

	if (!works(ist_range_reserve(manager, 4, 7, 4, 0, &range)))
		return;
	if (works(ist_range_map(manager, &range, 1, pages, 2)))
		UNDO(ist_range_unmap(manager, &range, 1, 2));
	UNDO(ist_range_release(manager, &range, 0));
}

static void map_registers(struct ist_manager *manager)
{
	const struct ist_backing backing = {
	        .paddr = DEVICE, .size = 4 * PAGE, .fd = ground.device_fd, .attributes = IST_DEVICE};
	void *vaddr, *inner;

	if (!works(ist_backing_add(manager, &backing)))
		return;
	if (works(ist_mmio_map(manager, DEVICE, 3 * PAGE, &vaddr))) {
		if (works(ist_mmio_map(manager, DEVICE + 64, 8, &inner)))
			UNDO(ist_mmio_unmap(manager, inner, 8));
		UNDO(ist_mmio_unmap(manager, vaddr, 3 * PAGE));
	}
	UNDO(ist_mapping_drain(manager));
	UNDO(ist_backing_remove(manager, DEVICE));
}

static void use_mappings(struct ist_manager *manager)
{
	const struct ist_backing backing = {.paddr = GUEST, .size = RAM, .fd = ground.ram_fd};
	const struct ist_owner_config owner = {.id = 7};
	const struct ist_client_request request = {.size = 2 * PAGE, .owner = 7};
	struct ist_shm shm;

	if (!works(ist_backing_add(manager, &backing)))
		return;
	if (works(ist_owner_create(manager, &owner))) {
		register_pages(manager, 10);
		map_range(manager);
		if (works(ist_protect(manager, GUEST + 60 * PAGE, PAGE))) {
			register_pages(manager, 20);
			UNDO(ist_unprotect(manager, GUEST + 60 * PAGE, PAGE));
		}
		works(ist_client_pool_alloc_request(ist_manager_client_pool(manager), &request, &shm));
		UNDO(ist_owner_destroy(manager, 7));
	}
	map_registers(manager);
	UNDO(ist_mapping_flush(manager));
	UNDO(ist_mapping_drain(manager));
	UNDO(ist_backing_remove(manager, GUEST));
}

/* With the cache of mappings, where unmapped ones wait for being asked for again. */
static void use_cache(struct ist_manager *manager)
{
	const struct ist_mapping_config config = {.cache_size = 16 * PAGE};

	if (works(ist_mapping_configure(manager, &config)))
		use_mappings(manager);
}

/* --- provided memory --------------------------------------------------------------------------------------- */

static unsigned handed_out;

static int provide(void *context, uint64_t pages, unsigned flags, struct ist_provided *out)
{
	(void)context, (void)flags;
	out->cookie = ++handed_out;
	out->page_count = pages;
	out->paddr = GUEST + 10 * PAGE;
	return 0;
}

static int take_back(void *context, uint64_t cookie)
{
	(void)context, (void)cookie;
	handed_out--;
	return 0;
}

static void use_provider(struct ist_manager *manager)
{
	const struct ist_backing backing = {.paddr = GUEST, .size = RAM, .fd = ground.ram_fd};
	const struct ist_provider provider = {.alloc = provide, .free = take_back, .chunk_pages = 16};
	const struct ist_client_request request = {.size = 2 * PAGE};
	struct ist_shm rest, shm;
	struct ist_mapping mapping;
	size_t most = CARVE_OUT;

	handed_out = 0;
	if (!works(ist_backing_add(manager, &backing)))
		return;
	if (works(ist_provider_set(manager, &provider))) {
		if (works(ist_provider_alloc(manager, 3 * PAGE, 0, &mapping)))
			UNDO(ist_provider_free(manager, &mapping));
		/* What the pool has itself is taken, so that it grows. */
		while (most > 0 &&
		       ist_client_pool_alloc_nozero(ist_manager_client_pool(manager), most, &rest))
			most -= PAGE;
		if (works(ist_provider_client_alloc(manager, &request, &shm)))
			UNDO(ist_shm_free(&shm));
		if (most > 0)
			UNDO(ist_shm_free(&rest));
		UNDO(ist_provider_drain(manager));
	}
	assert_int_equal(handed_out, 0);
	UNDO(ist_mapping_drain(manager));
	UNDO(ist_backing_remove(manager, GUEST));
}

/* --- the TEE front ----------------------------------------------------------------------------------------- */

/* True: there was a descriptor, which owned what it led to, and has been closed. */
static bool is_exported(int fd)
{
	if (!works(fd < 0 ? fd : 0))
		return false;
	close(fd);
	return true;
}

static void use_context(struct ist_tee_context *context)
{
	const uint32_t flags = IST_TEE_SHM_MAPPED | IST_TEE_SHM_DMA_BUF;
	struct ist_tee_device *device = ist_tee_context_device(context);
	static char memory[3 * PAGE];
	struct ist_tee_shm *shm;

	if (works(ist_tee_shm_alloc(device, context, 2 * PAGE, flags, &shm)))
		ist_tee_shm_put(shm);
	if (works(ist_tee_shm_alloc(device, context, 2 * PAGE, flags | IST_TEE_SHM_EXPORT, &shm)) &&
	    !is_exported(ist_tee_shm_export(shm)))
		ist_tee_shm_put(shm);
	if (works(ist_tee_shm_register(context, memory + 100, PAGE, &shm)))
		ist_tee_shm_put(shm);
}

static void use_session(struct ist_tee_context *context)
{
	struct ist_tee_ioc_open open = {.num_params = 0};
	struct ist_tee_ioc_param none;
	struct ist_tee_ioc_close close_it;

	memset(open.uuid, 7, 16);
	if (!works(ist_tee_open_session(context, &open, &none)))
		return;
	/* What the trusted side was refused is in the answer. */
	if (open.ret != 0) {
		assert_non_null(system_failed());
		return;
	}
	close_it.session = open.session;
	UNDO((int)ist_tee_ioctl(context, IST_TEE_IOC_CLOSE_SESSION, &close_it));
}

static void use_tee(struct ist_manager *manager)
{
	const struct ist_tee_config config = {0};
	struct ist_tee_device *device;
	struct ist_tee_context *context;
	int error;

	if (!works(ist_manager_set_file(manager, ground.carve_out_fd, 0)) ||
	    !works(ist_tee_device_create(manager, &config, &device)))
		return;
	if (works(ist_tee_context_open(device, &context))) {
		use_session(context);
		use_context(context);
		if (!is_exported(ist_tee_context_export(context)))
			ist_tee_context_close(context);
	}
	ist_tee_reap(0);
	error = ist_tee_device_destroy(device, false);
	if (error) { /* memory with a file of its own was not to be given back */
		assert_int_equal(error, -EBUSY);
		assert_non_null(system_failed());
		system_fail(0, false);
		assert_int_equal(ist_tee_device_destroy(device, false), 0);
	}
}

/* ----------------------------------------------------------------------------------------------------------- */

static void use_statistics(struct ist_manager *manager)
{
	const struct ist_stat_options options = {.cells = 16, .owners = 4};
	const struct ist_owner_config owner = {.id = 7};
	bool has_owner = works(ist_owner_create(manager, &owner));
	struct ist_stat *stat;

	if (works(ist_stat_export(manager, &options, &stat))) {
		assert_int_equal(ist_stat_refresh(stat), 0); /* what it cannot tell it leaves out */
		UNDO(ist_stat_unexport(stat));
	}
	if (has_owner)
		UNDO(ist_owner_destroy(manager, 7));
}

struct scenario {
	const char *name;
	void (*run)(struct ist_manager *manager);
};

static const struct scenario scenarios[] = {
        {"pools", use_pools},       {"mappings", use_mappings}, {"cached mappings", use_cache},
        {"provider", use_provider}, {"tee", use_tee},           {"statistics", use_statistics},
};

/* All of a manager's life, as far as it comes. */
static void live(const struct scenario *scenario)
{
	struct ist_manager *manager = NULL;

	if (!works(manager_make(&manager)))
		return;
	scenario->run(manager);
	UNDO(ist_manager_destroy(manager));
}

static const char *chosen; /* of them; null: all */

struct held {
	size_t heap, maps, fds;
	unsigned calls;
};

static struct held held_now(void)
{
	struct held held = {.heap = mallinfo2().uordblks, .maps = count_maps(), .fds = count_fds()};

	return held;
}

/* In a child that knows nothing of the library yet. */
static struct held run_child(const struct scenario *scenario, unsigned nth, bool for_good)
{
	struct held held = {0};
	unsigned calls;

	ground_make();
	system_fail(nth, for_good);
	live(scenario);
	calls = system_calls();
	system_fail(0, false);
	/* It works again; twice, so that what is kept for the next time is there in any case. */
	live(scenario);
	live(scenario);
	held = held_now();
	held.calls = calls;
	return held;
}

static struct held run(const struct scenario *scenario, unsigned nth, bool for_good)
{
	struct held held = {0};
	int pipes[2], status;
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(pipes[0]);
		alarm(60);
		signal(SIGABRT, SIG_DFL);
		held = run_child(scenario, nth, for_good);
		_exit(write(pipes[1], &held, sizeof(held)) == sizeof(held) ? 0 : 1);
	}
	close(pipes[1]);
	if (read(pipes[0], &held, sizeof(held)) != sizeof(held))
		held.calls = 0;
	close(pipes[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0 || held.calls == 0)
		fail_msg("%s: %s call %u: the process ended with %#x", scenario->name,
		         for_good ? "from" : "only", nth, (unsigned)status);
	return held;
}

static void sweep(const struct scenario *scenario, bool for_good)
{
	const struct held well = run(scenario, 0, false);
	unsigned nth, step = scaled(100) >= 100 ? 1 : 7; /* under slow tools each seventh */

	assert_true(well.calls > 20 && well.calls < MOST_CALLS);
	for (nth = 1; nth <= well.calls; nth += step) {
		struct held held = run(scenario, nth, for_good);

		if (held.fds != well.fds || held.maps > well.maps + 2 || held.heap > well.heap + 256)
			fail_msg(
			        "%s: %s call %u: %zu bytes, %zu mappings, %zu descriptors; else %zu, %zu, %zu",
			        scenario->name, for_good ? "from" : "only", nth, held.heap, held.maps,
			        held.fds, well.heap, well.maps, well.fds);
	}
	printf("%s, %s: %u calls\n", scenario->name, for_good ? "from the nth on" : "the nth", well.calls);
}

static void all(bool for_good)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (!chosen || strcmp(chosen, scenarios[i].name) == 0)
			sweep(&scenarios[i], for_good);
	}
}

static void each_call_alone(void **state)
{
	(void)state;
	all(false);
}

static void each_call_and_all_after_it(void **state)
{
	(void)state;
	all(true);
}

/* What is to be read only is mapped, and then made so: when that is refused it does not stay, writable. */
static void read_only_or_nothing(void **state)
{
	size_t bytes = platform_page_size();
	char *from = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *where = platform_reserve(bytes), byte = 0;

	(void)state;
	assert_true(from != MAP_FAILED && where);
	memset(from, 7, bytes);
	system_fail(2, false); /* the first is mremap */
	assert_int_equal(platform_map_again_at(where, bytes, from, false), -ENOMEM);
	assert_string_equal(system_failed(), "mprotect");
	system_fail(0, false);
	assert_int_not_equal(platform_copy(&byte, where, 1), 0);
	assert_int_equal(platform_map_again_at(where, bytes, from, false), 0);
	assert_int_equal(platform_copy(&byte, where, 1), 0);
	assert_int_equal(byte, 7);
	platform_release(where, bytes);
	munmap(from, bytes);
}

/* With the name of a scenario: only that. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(read_only_or_nothing),
	        cmocka_unit_test(each_call_alone),
	        cmocka_unit_test(each_call_and_all_after_it),
	};

	chosen = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
