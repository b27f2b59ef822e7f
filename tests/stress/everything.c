/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * All operations at once, from more threads than there are CPUs, which move between CPUs, are interrupted by signals whose handler
 * allocates, end and are replaced; while owners die and come again, a backing goes and comes, and the process forks. Everything that
 * is held bears its holder's stamp. At the end nothing may be lost, doubled, or left.
 *
 * usage: everything [--seconds N] [--threads N] [--seed N]    by default 2 seconds, four threads a CPU
 * Exit status: 0 all is well, 1 not. The last line has the number of operations.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/stamp.h"
#include "support/support.h"

#define PAGE IST_PAGE_SIZE
#define FIXED UINT64_C(0x100000000) /* guest memory that stays, and some that comes and goes */
#define MOVING UINT64_C(0x200000000)
#define GUARDED (FIXED + (RAM_PAGES - 1) * PAGE)
enum { CARVE_OUT = 8 * MIB, MESSAGES = MIB, RAM_PAGES = 512, THREADS_MOST = 256, HELD = 48, BUFFERS = 4 };
enum { MAILBOXES = 64, OWNERS = 4, BULK = 32, LIST = 12, REGISTERED = RAM_PAGES / 2 };

enum what {
	MESSAGE,
	IN_BULK,
	BUFFER,
	OWNED,
	LOOK_UP,
	REGISTER,
	MOVE,
	FROM_HANDLER,
	FORK,
	OWNER,
	BACKING,
	PROTECT,
	KINDS
};
static const char *const names[KINDS] = {
        "messages", "in bulk",     "buffers",       "owned buffers", "look-ups",           "registrations",
        "moves",    "in handlers", "forked childs", "owners' ends",  "backings' removals", "protections"};

static struct ist_manager *manager;
static struct ist_driver_pool *driver;
static struct ist_client_pool *client;
static int ram_fd;
static long cpus;
static struct ist_mapping resident; /* half of the memory that stays is registered all the time */
static _Atomic bool over, moving_is_used = true, is_guarded; /* the last page of what stays is protected */
static _Atomic uint64_t done[KINDS], refused, wrong;
/* Messages on their way from one thread to another. */
static _Atomic(struct ist_shm *) mailbox[MAILBOXES];

struct worker {
	pthread_t thread;
	uint64_t seed, number;
	uint64_t count[KINDS], refusals;
	struct ist_shm held[HELD], buffer[BUFFERS];
	_Atomic bool ended;
	bool exists;
};
static struct worker workers[THREADS_MOST];
static _Atomic uint64_t numbers;

static void report(const char *what, int line, long value)
{
	if (atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed) < 20)
		fprintf(stderr, "line %d: not so: %s (%ld)\n", line, what, value);
}
#define CHECK(condition, value) ((condition) ? (void)0 : report(#condition, __LINE__, (long)(value)))

/* --- what is held bears a stamp -------------------------------------------------------------------------------- */

static void release(struct ist_shm *shm)
{
	struct ist_view view = shm->view;
	int error;

	CHECK(is_stamped(&view), view.size);
	memset(view.vaddr, 0xdd, view.size < 16 ? view.size : 16);
	error = ist_shm_free(shm);
	CHECK(error == 0, error);
}

static void release_if_any(struct ist_shm *shm)
{
	if (shm->view.vaddr)
		release(shm);
}

/* --- operations of a worker ------------------------------------------------------------------------------------- */

static size_t size_of_message(uint64_t *seed)
{
	size_t kind = random_below(seed, 64);

	return kind == 0  ? 1 + random_below(seed, 9000)
	       : kind < 8 ? 1 + random_below(seed, 24)
	                  : 8 + random_below(seed, 600);
}

/* Hand one over, and take what somebody else has left there. */
static void exchange(struct worker *worker, struct ist_shm *shm)
{
	struct ist_shm *letter = malloc(sizeof(*letter));

	if (!letter)
		return;
	*letter = *shm;
	*shm = (struct ist_shm){0};
	/* Release what it is and says, acquire the other's. */
	letter = atomic_exchange_explicit(&mailbox[random_below(&worker->seed, MAILBOXES)], letter,
	                                  memory_order_acq_rel);
	if (letter)
		*shm = *letter;
	free(letter);
}

static void do_message(struct worker *worker)
{
	struct ist_shm *shm = &worker->held[random_below(&worker->seed, HELD)];
	int error;

	if (!shm->view.vaddr) {
		error = ist_driver_pool_alloc(driver, size_of_message(&worker->seed), shm);
		CHECK(error == 0 || error == -ENOSPC, error);
		if (error)
			worker->refusals++;
		else
			stamp(&shm->view);
	} else if (random_below(&worker->seed, 16) == 0) {
		exchange(worker, shm);
	} else {
		release(shm);
	}
}

static void do_bulk(struct worker *worker)
{
	size_t size = 8 + 8 * random_below(&worker->seed, 60);
	unsigned count = 1 + (unsigned)random_below(&worker->seed, BULK);
	void *message[BULK];
	int error = ist_driver_pool_alloc_bulk(driver, size, count, message);

	CHECK(error == 0 || error == -ENOSPC, error);
	if (error) {
		worker->refusals++;
		return;
	}
	for (unsigned i = 0; i < count; i++)
		stamp(&(struct ist_view){.vaddr = message[i], .size = size});
	for (unsigned i = 0; i < count; i++)
		CHECK(is_stamped(&(struct ist_view){.vaddr = message[i], .size = size}), size);
	error = ist_driver_pool_free_bulk(driver, message, count);
	CHECK(error == 0, error);
}

static void do_buffer(struct worker *worker)
{
	struct ist_shm *shm = &worker->buffer[random_below(&worker->seed, BUFFERS)];
	size_t size = 1 + random_below(&worker->seed, 6 * PAGE);
	int error;

	if (shm->view.vaddr) {
		release(shm);
		return;
	}
	error = ist_client_pool_alloc(client, size, shm);
	CHECK(error == 0 || error == -ENOSPC, error);
	if (error) {
		worker->refusals++;
		return;
	}
	CHECK(*(const char *)shm->view.vaddr == 0 && ((const char *)shm->view.vaddr)[size - 1] == 0, size);
	stamp(&shm->view);
}

static uint32_t some_owner(struct worker *worker)
{
	return 1 + (uint32_t)random_below(&worker->seed, OWNERS);
}

/* It may be taken away at any time, so nobody writes there; a free that comes too late is told so. */
static void do_owned(struct worker *worker)
{
	const struct ist_client_request request = {
	        .size = PAGE, .owner = some_owner(worker), .flags = IST_CLIENT_NOZERO};
	struct ist_shm shm;
	int error = ist_client_pool_alloc_request(client, &request, &shm);

	CHECK(error == 0 || error == -ENOSPC || error == -EBUSY || error == -ENOENT || error == -EDQUOT,
	      error);
	if (error) {
		worker->refusals++;
		return;
	}
	error = ist_shm_free(&shm);
	CHECK(error == 0 || error == -EALREADY, error);
}

static void do_look_up(struct worker *worker)
{
	const struct ist_shm *shm = &worker->held[random_below(&worker->seed, HELD)];
	uint64_t page = random_below(&worker->seed, RAM_PAGES), paddr;
	void *vaddr;
	int error;

	ist_read_enter();
	error = ist_phys_to_virt(manager, FIXED + page * PAGE, 8, &vaddr);
	CHECK(error == 0 ? *(const uint64_t *)vaddr == page : error == -ENOENT && page >= REGISTERED, error);
	error = ist_phys_to_virt(manager, MOVING + page * PAGE, 8, &vaddr);
	CHECK((error == 0 && *(const uint64_t *)vaddr == page) || error == -ENOENT, error);
	ist_read_leave();
	if (!shm->view.vaddr)
		return;
	error = ist_virt_to_phys(manager, shm->view.vaddr, shm->view.size, &paddr);
	CHECK(error == 0 && paddr == shm->view.paddr, error);
}

static void check_mapping(const struct ist_mapping *mapping, const uint64_t *pages, uint64_t base)
{
	struct iovec segment[LIST];
	size_t count = 0, at = 0;
	int error;

	ist_read_enter();
	error = ist_mapping_segments(manager, mapping, 0, mapping->size, segment, LIST, &count);
	CHECK(error == 0 || error == -ENOENT || error == -EINVAL, error); /* its owner may be dying */
	for (size_t i = 0; error == 0 && i < count; i++) {
		for (size_t j = 0; j < segment[i].iov_len; j += PAGE, at++)
			CHECK(*(const uint64_t *)(const void *)((const char *)segment[i].iov_base + j) ==
			              (pages[at] - base) / PAGE,
			      at);
	}
	ist_read_leave();
}

/* The owner or the backing is gone, or going; or there is no room. */
static bool is_no_fault(int error)
{
	static const int refusals[] = {0,      ENOENT, ESHUTDOWN, ENXIO,  EINVAL, EBUSY,
	                               EACCES, EAGAIN, ENOSPC,    ENOMEM, EFAULT};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (error == -refusals[i])
			return true;
	}
	return false;
}

static void do_register(struct worker *worker)
{
	bool moving = atomic_load_explicit(&moving_is_used, memory_order_relaxed) &&
	              random_below(&worker->seed, 4) == 0;
	uint64_t base = moving ? MOVING : FIXED, pages[LIST];
	size_t count = 1 + random_below(&worker->seed, LIST);
	struct ist_registration r = {.pages = pages,
	                             .page_count = count,
	                             .size = count * PAGE,
	                             .owner = some_owner(worker),
	                             .cookie = worker->number << 32 | (worker->count[REGISTER] + 1)};
	struct ist_mapping mapping;
	int error;

	if (random_below(&worker->seed, 128)) /* else side by side, which takes system calls */
		r.flags = IST_MAPPING_SEGMENTS;
	for (size_t i = 0; i < count; i++)
		pages[i] = base + random_below(&worker->seed, RAM_PAGES) * PAGE;
	error = ist_mapping_register(manager, &r, &mapping);
	CHECK(is_no_fault(error), error);
	if (error) {
		worker->refusals++;
		return;
	}
	/* Acquire: pairs with the release behind ist_protect, which found that nobody has the page. */
	for (size_t i = 0; i < count; i++)
		CHECK(pages[i] != GUARDED || !atomic_load_explicit(&is_guarded, memory_order_acquire), i);
	check_mapping(&mapping, pages, base);
	if (random_below(&worker->seed, 4) == 0) {
		error = ist_mapping_get(manager, &mapping);
		CHECK(is_no_fault(error), error);
		if (!error) {
			error = ist_mapping_put(manager, &mapping);
			CHECK(error == 0, error);
		}
	}
	if (random_below(&worker->seed, 8) == 0)
		return; /* left for the end of its owner */
	error = ist_mapping_unregister_one(manager, &mapping, 0);
	CHECK(is_no_fault(error), error);
}

static void do_move(struct worker *worker)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (random_below(&worker->seed, 4) == 0) {
		for (long cpu = 0; cpu < cpus; cpu++)
			CPU_SET((size_t)cpu, &set);
	} else {
		CPU_SET(random_below(&worker->seed, (size_t)cpus), &set);
	}
	sched_setaffinity(0, sizeof(set), &set);
}

static void do_something(struct worker *worker)
{
	static void (*const how[])(struct worker *) = {
	        [MESSAGE] = do_message, [IN_BULK] = do_bulk,      [BUFFER] = do_buffer, [OWNED] = do_owned,
	        [LOOK_UP] = do_look_up, [REGISTER] = do_register, [MOVE] = do_move};
	size_t dice = random_below(&worker->seed, 1024);
	enum what what = dice < 700    ? MESSAGE
	                 : dice < 860  ? IN_BULK
	                 : dice < 890  ? BUFFER
	                 : dice < 900  ? OWNED
	                 : dice < 990  ? LOOK_UP
	                 : dice < 1023 ? REGISTER
	                               : MOVE;

	how[what](worker);
	worker->count[what]++;
}

/* Interrupts whatever the thread is doing. */
static void on_signal(int number)
{
	int saved = errno, error;
	void *message[4];
	struct ist_shm shm;

	(void)number;
	error = ist_driver_pool_alloc(driver, 40, &shm);
	CHECK(error == 0 || error == -ENOSPC, error);
	if (!error) {
		stamp(&shm.view);
		release(&shm);
	}
	error = ist_driver_pool_alloc_bulk(driver, 64, 4, message);
	CHECK(error == 0 || error == -ENOSPC, error);
	if (!error)
		error = ist_driver_pool_free_bulk(driver, message, 4);
	CHECK(error == 0 || error == -ENOSPC, error);
	atomic_fetch_add_explicit(&done[FROM_HANDLER], 1, memory_order_relaxed);
	errno = saved;
}

static void *work(void *of)
{
	struct worker *worker = of;
	long life = 2000 + (long)random_below(&worker->seed, 200000);
	sigset_t all;

	while (life-- > 0 && !atomic_load_explicit(&over, memory_order_relaxed))
		do_something(worker);
	for (int i = 0; i < HELD; i++)
		release_if_any(&worker->held[i]);
	for (int i = 0; i < BUFFERS; i++)
		release_if_any(&worker->buffer[i]);
	for (int i = 0; i < KINDS; i++)
		atomic_fetch_add_explicit(&done[i], worker->count[i], memory_order_relaxed);
	atomic_fetch_add_explicit(&refused, worker->refusals, memory_order_relaxed);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	atomic_store_explicit(&worker->ended, true, memory_order_release);
	return NULL;
}

/* --- what the main thread does meanwhile ------------------------------------------------------------------------ */

static void start(struct worker *worker, uint64_t seed)
{
	memset(worker, 0, sizeof(*worker));
	worker->number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed);
	worker->seed = seed * UINT64_C(0x9e3779b97f4a7c15) + worker->number;
	worker->exists = pthread_create(&worker->thread, NULL, work, worker) == 0;
}

static void replace_the_ended(long threads, uint64_t seed)
{
	for (long i = 0; i < threads; i++) {
		struct worker *worker = &workers[i];

		if (worker->exists && atomic_load_explicit(&worker->ended, memory_order_acquire)) {
			pthread_join(worker->thread, NULL);
			start(worker, seed);
		} else if (worker->exists) {
			pthread_kill(worker->thread, SIGUSR1);
		}
	}
}

static int add_moving(void)
{
	const struct ist_backing backing = {.paddr = MOVING, .size = RAM_PAGES * PAGE, .fd = ram_fd};

	return ist_backing_add(manager, &backing);
}

static void move_backing(void)
{
	static bool is_there = true;
	int error = is_there ? ist_backing_remove(manager, MOVING) : add_moving();

	CHECK(error == 0 || (is_there && (error == -EBUSY || error == -EAGAIN)), error);
	if (error == 0) {
		is_there = !is_there;
		atomic_fetch_add_explicit(&done[BACKING], 1, memory_order_relaxed);
	}
}

/* The mark is taken away before the protection is. */
static void guard(void)
{
	bool was = atomic_exchange_explicit(&is_guarded, false, memory_order_acq_rel);
	int error = was ? ist_unprotect(manager, GUARDED, PAGE) : ist_protect(manager, GUARDED, PAGE);

	CHECK(error == 0 || (!was && (error == -EBUSY || error == -EAGAIN)), error);
	if (was || error)
		return;
	atomic_store_explicit(&is_guarded, true, memory_order_release);
	atomic_fetch_add_explicit(&done[PROTECT], 1, memory_order_relaxed);
}

static void end_owner(uint32_t id)
{
	const struct ist_owner_config owner = {.id = id};
	int error;

	do
		error = ist_owner_destroy(manager, id);
	while (error == -EBUSY || error == -EAGAIN); /* somebody has a reference for a moment */
	CHECK(error == 0, error);
	error = ist_owner_create(manager, &owner);
	CHECK(error == 0, error);
	atomic_fetch_add_explicit(&done[OWNER], 1, memory_order_relaxed);
}

static void live_as_child(void)
{
	const size_t size = 64 * PAGE;
	struct ist_manager_config config = {.paddr = PADDR, .size = size};
	struct ist_manager *own;
	struct ist_shm shm;

	alarm(60);
	config.vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ist_driver_pool_alloc(driver, 64, &shm) != -ECHILD || config.vaddr == MAP_FAILED)
		_exit(1);
	if (ist_manager_create(&config, &own))
		_exit(2);
	for (int i = 0; i < 1000; i++)
		if (ist_driver_pool_alloc(ist_manager_driver_pool(own), 64, &shm) || ist_shm_free(&shm))
			_exit(3);
	_exit(ist_manager_destroy(own) ? 4 : 0);
}

static void fork_once(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		live_as_child();
	if (child > 0)
		waitpid(child, &status, 0);
	CHECK(child > 0 && status == 0, status);
	atomic_fetch_add_explicit(&done[FORK], 1, memory_order_relaxed);
}

static void disturb(double seconds, long threads, uint64_t seed)
{
	double end = seconds_now() + seconds;

	for (unsigned round = 0; seconds_now() < end; round++) {
		replace_the_ended(threads, seed);
		/* It goes when nothing of it is registered, and is asked for when there is. */
		atomic_store_explicit(&moving_is_used, round / 16 % 2 == 0, memory_order_relaxed);
		if (round % 4 == 3)
			move_backing();
		guard();
		if (round % 2 == 0)
			end_owner(1 + round / 2 % OWNERS);
		if (round % 128 == 5) /* what follows copies pages */
			fork_once();
		usleep(2000);
	}
	atomic_store_explicit(&over, true, memory_order_relaxed);
}

static void set_up(void)
{
	struct ist_manager_config config = {.paddr = PADDR, .size = CARVE_OUT, .driver_pool_size = MESSAGES};
	struct ist_backing backing = {.paddr = FIXED, .size = RAM_PAGES * PAGE};
	const struct ist_registration half = {.paddr = FIXED, .size = REGISTERED * PAGE};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	uint64_t *ram;

	ram_fd = memfd_create("guest", MFD_CLOEXEC);
	if (ram_fd < 0 || ftruncate(ram_fd, RAM_PAGES * PAGE))
		exit(1);
	ram = mmap(NULL, RAM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	config.vaddr = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED || config.vaddr == MAP_FAILED)
		exit(1);
	for (uint64_t page = 0; page < RAM_PAGES; page++)
		ram[page * PAGE / sizeof(*ram)] = page;
	backing.fd = ram_fd;
	CHECK(ist_manager_create(&config, &manager) == 0, 0);
	CHECK(ist_backing_add(manager, &backing) == 0, 0);
	CHECK(add_moving() == 0, 0);
	CHECK(ist_mapping_register(manager, &half, &resident) == 0, 0);
	for (uint32_t id = 1; id <= OWNERS; id++) {
		const struct ist_owner_config owner = {.id = id};

		CHECK(ist_owner_create(manager, &owner) == 0, id);
	}
	driver = ist_manager_driver_pool(manager);
	client = ist_manager_client_pool(manager);
	sigaction(SIGUSR1, &action, NULL);
}

static void tear_down(long threads)
{
	struct ist_pool_stats messages, buffers;
	struct ist_mapping_stats mappings;

	for (long i = 0; i < threads; i++) {
		if (workers[i].exists)
			pthread_join(workers[i].thread, NULL);
	}
	for (int i = 0; i < MAILBOXES; i++) {
		struct ist_shm *letter = atomic_load_explicit(&mailbox[i], memory_order_acquire);

		if (letter)
			release(letter);
		free(letter);
	}
	for (uint32_t id = 1; id <= OWNERS; id++)
		CHECK(ist_owner_destroy(manager, id) == 0, id);
	if (is_guarded)
		guard();
	CHECK(ist_mapping_unregister_one(manager, &resident, 0) == 0, 0);
	CHECK(ist_mapping_drain(manager) == 0, 0);
	ist_driver_pool_stats(driver, &messages);
	ist_client_pool_stats(client, &buffers);
	ist_mapping_stats(manager, &mappings);
	CHECK(messages.used == 0 && messages.allocs == messages.frees, messages.used);
	CHECK(buffers.used == 0 && buffers.allocs == buffers.frees, buffers.used);
	CHECK(messages.misuses == 0, messages.misuses);
	CHECK(mappings.mappings == 0 && mappings.pages == 0 && mappings.referenced == 0, mappings.mappings);
	CHECK(ist_manager_destroy(manager) == 0, 0);
}

int main(int argc, char **argv)
{
	double seconds = (double)scaled(200) / 100;
	uint64_t seed = 1, all = 0;
	long threads;

	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	threads = 4 * cpus;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seconds") == 0)
			seconds = atof(argv[i + 1]);
		else if (strcmp(argv[i], "--threads") == 0)
			threads = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
		else
			return 2;
	}
	if (argc % 2 == 0 || threads < 1)
		return 2;
	threads = threads < THREADS_MOST ? threads : THREADS_MOST;
	set_up();
	for (long i = 0; i < threads; i++)
		start(&workers[i], seed);
	disturb(seconds, threads, seed);
	tear_down(threads);
	for (int i = 0; i < KINDS; i++) {
		printf("%llu %s%s", (unsigned long long)done[i], names[i], i + 1 < KINDS ? ", " : "\n");
		all += done[i];
	}
	printf("%ld threads, %llu ended; %llu operations, %llu refused, wrong %llu (must be 0)\n", threads,
	       (unsigned long long)(numbers - (uint64_t)threads), (unsigned long long)all,
	       (unsigned long long)refused, (unsigned long long)wrong);
	return wrong != 0;
}
