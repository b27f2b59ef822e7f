/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The driver pool under threads that all free copies of the same handles at once, at home and from other CPUs, with
 * sequences stretched by spins at random steps. Of each handle one free must be obeyed and the others refused, whether
 * a sequence or a compare-exchange decides, and while blocks lose their token and get it back. Some are freed by pointer,
 * and some have never had a handle; those also all in one call, of which only the pool's count of misuses tells how many were
 * refused.
 *
 * What the numbers mean: frees and aborts say how much happened, "with tokens" how many of the handles were; "obeyed twice",
 * "never obeyed", "lost" (bytes that stay in use) and "the whole refused" (the pool is not one free stretch then) must be 0.
 *
 * usage: torture_free [--must-find-fault] [SECONDS]       (the former for mutants and the control)
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "driver/alloc.h"
#include "driver/bulk.h"
#include "platform/platform.h"

enum { THREADS = 4, HANDLES = 32, POOL = 1 << 20, BARE = 77 /* in place of the pool of a handle */ };

static struct ist_driver_pool pool;
static struct ist_shm handles[HANDLES];
static _Atomic int obeyed[HANDLES];
static _Atomic long round_number, done;
static _Atomic int stop;
static _Atomic long obeyed_twice, never_obeyed, frees, with_token, wrong;

extern int32_t percpu_inject[4];

static uint32_t random_below(uint64_t *state, uint32_t limit)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33) % limit;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void pin_somewhere(uint64_t *seed)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(random_below(seed, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Those without a handle, from the `first` on, in one call. */
static void free_bare(uint32_t first)
{
	void *vaddrs[HANDLES];
	unsigned count = 0;
	int result;

	for (uint32_t i = 0; i < HANDLES; i++) {
		if (handles[(first + i) % HANDLES].pool == BARE)
			vaddrs[count++] = handles[(first + i) % HANDLES].view.vaddr;
	}
	result = driver_pool_free_bulk(&pool, vaddrs, count);
	if (result && result != -EALREADY)
		atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
}

static void free_all(uint64_t *seed)
{
	bool in_bulk = random_below(seed, 2);
	uint32_t first = random_below(seed, 4) ? 0 : random_below(seed, HANDLES);

	if (in_bulk)
		free_bare(first);
	for (uint32_t i = 0; i < HANDLES; i++) {
		struct ist_shm copy = handles[(first + i) % HANDLES];
		bool by_pointer = copy.pool == BARE || random_below(seed, 64) == 0;
		int result;

		if (in_bulk && copy.pool == BARE)
			continue;
		result = by_pointer ? driver_pool_free_bulk(&pool, &copy.view.vaddr, 1)
		                    : driver_pool_free(&pool, &copy);

		if (result == 0)
			atomic_fetch_add_explicit(&obeyed[(first + i) % HANDLES], 1, memory_order_relaxed);
		else if (result != -EALREADY)
			atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&frees, HANDLES, memory_order_relaxed);
}

static void *work(void *context)
{
	uint64_t seed = (uint64_t)(uintptr_t)context;
	long seen = 0;

	while (!atomic_load_explicit(&stop, memory_order_acquire)) {
		long current = atomic_load_explicit(&round_number, memory_order_acquire);

		if (current == seen) {
			sched_yield();
			continue;
		}
		seen = current;
		free_all(&seed);
		if (random_below(&seed, 50) == 0)
			pin_somewhere(&seed);
		atomic_fetch_add_explicit(&done, 1, memory_order_acq_rel);
	}
	return NULL;
}

/* Spins at random steps: as a rule short, at times so long that the thread is preempted there. */
static void disturb(uint64_t *seed)
{
#ifdef PERCPU_INJECT
	for (int step = 1; step <= 3; step++) {
		uint32_t most = random_below(seed, 20) ? 3000 : 300000;

		__atomic_store_n(&percpu_inject[step],
		                 random_below(seed, 3) ? 0 : (int32_t)random_below(seed, most),
		                 __ATOMIC_RELAXED);
	}
#else
	(void)seed;
#endif
}

static void make(size_t size, bool is_bare, struct ist_shm *out)
{
	*out = (struct ist_shm){.pool = BARE};
	if (is_bare ? driver_pool_alloc_bulk(&pool, size, 1, &out->view.vaddr)
	            : driver_pool_alloc(&pool, size, out))
		abort();
}

static void one_round(uint64_t *seed)
{
	static const size_t sizes[] = {3, 12, 20, 64, 100, 700, 4000, 5000};
	uint64_t before = atomic_load_explicit(&pool.pool.counters.misuses, memory_order_relaxed);
	long refused;

	for (int i = 0; i < HANDLES; i++) {
		make(random_below(seed, 2) ? 64 : sizes[random_below(seed, 8)], random_below(seed, 2),
		     &handles[i]);
		atomic_fetch_add_explicit(&with_token, (long)(handles[i].token & TOKEN_ON),
		                          memory_order_relaxed);
		atomic_store_explicit(&obeyed[i], 0, memory_order_relaxed);
	}
	disturb(seed);
	atomic_store_explicit(&done, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&round_number, 1, memory_order_release);
	while (atomic_load_explicit(&done, memory_order_acquire) < THREADS)
		sched_yield();
	for (int i = 0; i < HANDLES; i++)
		atomic_fetch_add_explicit(&obeyed_twice,
		                          atomic_load_explicit(&obeyed[i], memory_order_relaxed) > 1,
		                          memory_order_relaxed);
	/* Of each, all frees but one. */
	refused = (long)(atomic_load_explicit(&pool.pool.counters.misuses, memory_order_relaxed) - before);
	atomic_fetch_add_explicit(&obeyed_twice, refused < (THREADS - 1) * HANDLES, memory_order_relaxed);
	atomic_fetch_add_explicit(&never_obeyed, refused > (THREADS - 1) * HANDLES, memory_order_relaxed);
	if (random_below(seed, 8) == 0)
		pin_somewhere(seed);
}

static bool found_fault(void)
{
	return atomic_load_explicit(&obeyed_twice, memory_order_relaxed) ||
	       atomic_load_explicit(&never_obeyed, memory_order_relaxed) ||
	       atomic_load_explicit(&wrong, memory_order_relaxed);
}

/* Blocks that lost their token get it back soon, so that there are many ends of epochs. */
static void be_impatient(void)
{
	for (uint32_t block = 0; block < pool.slabs.percpu.blocks; block++)
		atomic_store_explicit(&percpu_head(&pool.slabs.percpu, block)->threshold, 4,
		                      memory_order_relaxed);
}

/* As many frees where the message came from as it takes; on many CPUs nobody else may do so for long. */
static void earn_token(void)
{
	for (int i = 0; i < 8; i++) {
		struct ist_shm handle;

		make(64, false, &handle);
		if (driver_pool_free(&pool, &handle))
			atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
	}
}

/* Where sequences are in use, some must have been aborted, and some handles have had tokens. */
static bool has_seen_little(void)
{
	return pool.slabs.percpu.sequences && (!atomic_load_explicit(&percpu_aborts, memory_order_relaxed) ||
	                                       !atomic_load_explicit(&with_token, memory_order_relaxed));
}

/*
 * Frees that are interrupted at a step of their sequence, before the store that ends a life, or between that and the one that
 * puts its place into the magazine: a long spin there, and a signal while it lasts, before there are other threads. All are
 * obeyed, and nothing is lost.
 */
#ifdef PERCPU_INJECT
static const void *aimed_at;
static long reached;

static void interrupt(int number)
{
	size_t start = (size_t)((const char *)aimed_at - (const char *)pool.pool.vaddr) / DRIVER_GRANULE;

	(void)number;
	reached += !(atomic_load_explicit(&pool.state[start], memory_order_relaxed) & STATE_LIVE);
	for (int step = 1; step <= 3; step++)
		__atomic_store_n(&percpu_inject[step], 0, __ATOMIC_RELAXED);
}

static void start_interrupt(int step, int32_t spin)
{
	struct itimerval soon = {.it_value.tv_usec = 3000};

	__atomic_store_n(&percpu_inject[step], spin, __ATOMIC_RELAXED);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void free_interrupted(int step, size_t size, unsigned count, int32_t spin)
{
	void *vaddrs[HANDLES + 1];
	struct ist_shm copy;
	int result;

	if (count == 0)
		make(size, false, &handles[0]);
	else if (driver_pool_alloc_bulk(&pool, size, count, vaddrs))
		abort();
	copy = handles[0];
	aimed_at = count == 0 ? handles[0].view.vaddr : vaddrs[0];
	vaddrs[count] = vaddrs[0]; /* which is not there any more then */
	start_interrupt(step, spin);
	result = count == 0 ? driver_pool_free(&pool, &handles[0])
	                    : driver_pool_free_bulk(&pool, vaddrs, count + (count > 1));
	wrong += result != (count > 1 ? -EALREADY : 0);
	/* And all of them are over. */
	wrong += count == 0 && driver_pool_free(&pool, &copy) != -EALREADY;
	for (unsigned i = 0; i < count; i++)
		wrong += driver_pool_free_bulk(&pool, &vaddrs[i], 1) != -EALREADY;
	while (__atomic_load_n(&percpu_inject[step], __ATOMIC_RELAXED))
		sched_yield();
}

static void interrupt_frees(void)
{
	static const size_t sizes[] = {3, 12, 20, 64, 700};

	signal(SIGALRM, interrupt);
	earn_token();
	for (int i = 0; i < 15; i++)
		free_interrupted(1 + i % 3, sizes[i / 3], 0, 1 << 30);
	for (int i = 9; i < 15; i++) {
		free_interrupted(1 + i % 3, sizes[i / 3], 1, 1 << 30);
		for (int32_t spin = 1 << 14; spin <= 1 << 24; spin *= 2)
			free_interrupted(1 + i % 3, sizes[i / 3], HANDLES, spin);
	}
	signal(SIGALRM, SIG_IGN);
}
#endif

int main(int argc, char **argv)
{
	bool must_find = false;
	double seconds = 2, end;
	int whole;
	pthread_t threads[THREADS];
	struct ist_pool_stats stats;
	uint64_t seed = 11;
	char *region = aligned_alloc(4096, POOL);
	void *memory = platform_map(driver_pool_bytes(POOL));

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--must-find-fault"))
			must_find = true;
		else
			seconds = atof(argv[i]);
	}
	pool.pool.vaddr = region;
	pool.pool.paddr = 1 << 30;
	pool.pool.size = POOL;
	if (!region || !memory || driver_pool_init(&pool, memory))
		return 1;
	if (must_find && !pool.slabs.percpu.sequences) {
		printf("skipped: sequences are not in use, and the fault is in them\n");
		return 77;
	}
	be_impatient();
#ifdef PERCPU_INJECT
	if (!must_find && pool.slabs.percpu.sequences) {
		pin_somewhere(&seed);
		interrupt_frees();
		printf("interrupted: %llu, after the store that ended a life %ld, wrong %ld (must be 0)\n",
		       (unsigned long long)atomic_load_explicit(&percpu_aborts, memory_order_relaxed), reached,
		       atomic_load(&wrong));
	}
#endif
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1));
	/*
	 * A mutant gets longer, but only until it is found out; then the pool is not to be trusted any more. So does a slow
	 * machine, where little happens.
	 */
	end = now() + seconds * (must_find ? 20 : 1);
	while ((now() < end || (!must_find && has_seen_little() && now() < end + 20 * seconds)) &&
	       !found_fault()) {
		be_impatient();
		earn_token();
		one_round(&seed);
	}
	atomic_store_explicit(&stop, 1, memory_order_release);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	driver_pool_stats(&pool, &stats);
	/* What was ended is to be had again, all of it, and once: then the pool is one stretch. */
	whole = driver_pool_alloc(&pool, POOL, &handles[0]);
	printf("sequences %s: %ld frees, %ld handles with tokens, %llu aborts\n",
	       pool.slabs.percpu.sequences ? "in use" : "not in use", atomic_load(&frees),
	       atomic_load(&with_token),
	       (unsigned long long)atomic_load_explicit(&percpu_aborts, memory_order_relaxed));
	printf("obeyed twice %ld, never obeyed %ld, refused with another error %ld, lost %zu, the whole refused %d (must be 0)\n",
	       atomic_load(&obeyed_twice), atomic_load(&never_obeyed), atomic_load(&wrong), stats.used, whole);
	if (must_find)
		return found_fault() ? 0 : 1;
	return found_fault() || stats.used || whole || has_seen_little();
}
