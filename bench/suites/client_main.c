/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The client pool beside two page allocators behind a mutex, over the same 1 GiB of address space that nobody touches:
 * speed of pairs and of churn, contiguity, failing requests, bookkeeping; and zeroing beside memset.
 *
 * usage: bench-client [--quick] OUT_DIR
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/cpu.h"
#include "lib/machine.h"
#include "peers/page_peers.h"
#include "pool_map.h"
#include "lib/rounds.h"

#define POOL_BYTES ((size_t)1 << 30)
#define POOL_PAGES (POOL_BYTES / IST_PAGE_SIZE)
#define BLOCK_PAGES 512u

enum { PEERS = 3, THREADS_MAX = 8 };

static const struct page_peer *const peers[PEERS] = {&page_peer_isthmus, &page_peer_first_fit,
                                                     &page_peer_buddy};
static int rounds = 9;
static char *region; /* POOL_BYTES, with a page before it */

static void *checked(void *memory)
{
	if (!memory || memory == MAP_FAILED) {
		perror("memory");
		exit(1);
	}
	return memory;
}

static uint32_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

/* --- pairs ------------------------------------------------------------------------------------------------ */

struct pair {
	const struct page_peer *peer;
	void *pool;
	size_t pages;
};

static double measure_pair(void *context)
{
	const struct pair *pair = context;
	const int count = 20000;
	struct page_run run;
	double begin = clock_seconds();

	for (int i = 0; i < count; i++) {
		if (!pair->peer->alloc(pair->pool, pair->pages, &run))
			abort();
		pair->peer->free(pair->pool, &run);
	}
	return (clock_seconds() - begin) * 1e9 / count;
}

static double measure_driver_pair(void *context)
{
	struct ist_driver_pool *pool = context;
	const int count = 20000;
	struct ist_shm shm;
	double begin = clock_seconds();

	for (int i = 0; i < count; i++) {
		if (ist_driver_pool_alloc(pool, 64, &shm) || ist_shm_free(&shm))
			abort();
	}
	return (clock_seconds() - begin) * 1e9 / count;
}

static void print_row(const char *what, const struct round_values *values)
{
	printf("  %-34s %-24s %9.1f [%.1f..%.1f]\n", what, values->name, values->median, values->low,
	       values->high);
}

static void print_goal(const char *what, double ratio, double goal)
{
	printf("  goal %s: %s: %.2f (goal at most %.2f)\n", ratio <= goal ? "met   " : "missed", what, ratio,
	       goal);
}

static double pairs(void)
{
	const size_t sizes[] = {1, 16, 512};
	struct ist_manager_config config = {
	        .size = 8u << 20, .driver_pool_size = 4u << 20, .paddr = 1u << 30};
	struct ist_manager *manager;
	struct pair pair[PEERS];
	double one_page = 0;

	config.vaddr =
	        checked(mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (ist_manager_create(&config, &manager))
		abort();
	printf("\nallocate and free at once, ns a pair, medians of %d rounds [lowest..highest]\n", rounds);
	for (int s = 0; s < 3; s++) {
		struct round_values values[PEERS + 1];
		char what[64];

		for (int i = 0; i < PEERS; i++) {
			pair[i] = (struct pair){peers[i], peers[i]->create(region, POOL_BYTES), sizes[s]};
			values[i] = (struct round_values){
			        .name = peers[i]->name, .measure = measure_pair, .context = &pair[i]};
		}
		values[PEERS] = (struct round_values){.name = "isthmus, driver pool, 64 B",
		                                      .measure = measure_driver_pair,
		                                      .context = ist_manager_driver_pool(manager)};
		rounds_run(values, PEERS + 1, rounds);
		snprintf(what, sizeof(what), "%zu page%s", sizes[s], sizes[s] == 1 ? "" : "s");
		for (int i = 0; i < PEERS + (s == 0); i++)
			print_row(what, &values[i]);
		if (s == 0) {
			one_page = values[0].median;
			print_goal("1 page, times the driver pool's 64 bytes",
			           one_page / values[PEERS].median, 2);
		} else {
			snprintf(what, sizeof(what), "%zu pages, times first fit behind a mutex", sizes[s]);
			print_goal(what, values[0].median / values[1].median, 1.5);
		}
		for (int i = 0; i < PEERS; i++)
			peers[i]->destroy(pair[i].pool);
	}
	ist_manager_destroy(manager);
	munmap(config.vaddr, config.size);
	return one_page;
}

/* --- churn ------------------------------------------------------------------------------------------------ */

struct churn {
	const struct page_peer *peer;
	void *pool;
	struct page_run *runs; /* this thread's */
	size_t *pages;
	int live;
	long steps;
	uint64_t seed;
	pthread_barrier_t *barrier;
	unsigned cpu; /* of those there are, in turn: two threads that share one would not meet */
};

static size_t any_size(uint64_t *seed)
{
	return 1 + random_next(seed) % 64;
}

static void fill_half(struct churn *churn, size_t pages)
{
	size_t used = 0;

	for (churn->live = 0; used < pages / 2; churn->live++) {
		size_t size = any_size(&churn->seed);

		if (!churn->peer->alloc(churn->pool, size, &churn->runs[churn->live]))
			break;
		used += churn->pages[churn->live] = size;
	}
}

static void churn_steps(struct churn *churn)
{
	for (long i = 0; i < churn->steps; i++) {
		int which = (int)(random_next(&churn->seed) % (uint32_t)churn->live);
		size_t size = any_size(&churn->seed);

		churn->peer->free(churn->pool, &churn->runs[which]);
		while (!churn->peer->alloc(churn->pool, size, &churn->runs[which]))
			size = 1;
		churn->pages[which] = size;
	}
}

static void churn_init(struct churn *churn, const struct page_peer *peer, void *pool, uint64_t seed)
{
	*churn = (struct churn){.peer = peer, .pool = pool, .seed = seed};
	churn->runs = checked(calloc(POOL_PAGES / 8, sizeof(*churn->runs)));
	churn->pages = checked(calloc(POOL_PAGES / 8, sizeof(*churn->pages)));
}

static void churn_drop(struct churn *churn)
{
	for (int i = 0; i < churn->live; i++)
		churn->peer->free(churn->pool, &churn->runs[i]);
	free(churn->runs);
	free(churn->pages);
}

static void *churn_thread(void *arg)
{
	struct churn *churn = arg;

	cpu_pin_nth(churn->cpu);
	pthread_barrier_wait(churn->barrier);
	churn_steps(churn);
	return NULL;
}

struct churn_crew {
	struct churn churn[THREADS_MAX];
	int threads;
	long steps;
};

/* Wall-clock ns for each step of all threads together. */
static double measure_churn(void *context)
{
	struct churn_crew *crew = context;
	pthread_t thread[THREADS_MAX];
	pthread_barrier_t barrier;
	double begin;

	pthread_barrier_init(&barrier, NULL, (unsigned)crew->threads + 1);
	for (int i = 0; i < crew->threads; i++) {
		crew->churn[i].steps = crew->steps / crew->threads;
		crew->churn[i].barrier = &barrier;
		crew->churn[i].cpu = (unsigned)i;
		if (pthread_create(&thread[i], NULL, churn_thread, &crew->churn[i]))
			abort();
	}
	/* From before the first can begin to after the last has ended: one that is held up early must not look fast. */
	begin = clock_seconds();
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < crew->threads; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&barrier);
	return (clock_seconds() - begin) * 1e9 / (double)crew->steps;
}

static void churn(const char *out_dir)
{
	printf("\nchurn of 1 to 64 pages with half the pool in use, ns for a free and an allocation, all threads together\n");
	for (int threads = 1; threads <= 4; threads *= 2) {
		static struct churn_crew crew[PEERS];
		struct round_values values[PEERS];
		struct pool_map map;
		char what[64];

		for (int i = 0; i < PEERS; i++) {
			void *pool = peers[i]->create(region, POOL_BYTES);

			crew[i].threads = threads;
			crew[i].steps = 200000;
			for (int t = 0; t < threads; t++)
				churn_init(&crew[i].churn[t], peers[i], pool, (uint64_t)t + 1);
			if (i == 0 && threads == 1)
				pool_map_begin(&map, ist_manager_client_pool(page_peer_manager(pool)));
			for (int t = 0; t < threads; t++)
				fill_half(&crew[i].churn[t], POOL_PAGES / (size_t)threads);
			if (i == 0 && threads == 1)
				pool_map_add(&map);
			values[i] = (struct round_values){
			        .name = peers[i]->name, .measure = measure_churn, .context = &crew[i]};
		}
		rounds_run(values, PEERS, rounds);
		snprintf(what, sizeof(what), "%d thread%s", threads, threads == 1 ? "" : "s");
		for (int i = 0; i < PEERS; i++)
			print_row(what, &values[i]);
		snprintf(what, sizeof(what), "%d thread%s, times the textbook's buddy behind a mutex",
		         threads, threads == 1 ? "" : "s");
		print_goal(what, values[0].median / values[2].median, threads == 1 ? 2 : 1);
		if (threads == 1)
			pool_map_add(&map);
		for (int i = 0; i < PEERS; i++) {
			size_t used = 0, blocks = peers[i]->free_blocks(crew[i].churn[0].pool), possible;

			for (int k = 0; k < crew[i].churn[0].live; k++)
				used += crew[i].churn[0].pages[k];
			possible = (POOL_PAGES - used) / BLOCK_PAGES;
			if (threads == 1) {
				printf("  whole free 2 MiB blocks left         %-24s %6zu of %zu\n",
				       peers[i]->name, blocks, possible);
				if (i == 0)
					print_goal("blocks possible, times blocks left",
					           (double)possible / (double)blocks, 252.0 / 240);
			}
		}
		for (int i = 0; i < PEERS; i++) {
			void *pool = crew[i].churn[0].pool;

			for (int t = 0; t < threads; t++)
				churn_drop(&crew[i].churn[t]);
			if (i == 0 && threads == 1) {
				pool_map_add(&map);
				pool_map_end(&map, out_dir);
			}
			peers[i]->destroy(pool);
		}
	}
}

/* --- what comes back -------------------------------------------------------------------------------------- */

static void merging(void)
{
	struct page_run *runs = checked(calloc(POOL_PAGES, sizeof(*runs)));
	uint64_t seed = 3;

	printf("\npool filled with single pages, a random half freed, 20 times as much churn, all freed: 2 MiB blocks\n");
	for (int i = 0; i < PEERS; i++) {
		void *pool = peers[i]->create(region, POOL_BYTES);
		size_t live = 0, churned;

		while (live < POOL_PAGES && peers[i]->alloc(pool, 1, &runs[live]))
			live++;
		for (size_t k = live; k > live / 2; k--) {
			size_t which = random_next(&seed) % k;
			struct page_run last = runs[k - 1];

			peers[i]->free(pool, &runs[which]);
			runs[which] = last;
		}
		live /= 2;
		for (churned = 0; churned < 20 * live; churned++) {
			size_t which = random_next(&seed) % live;

			peers[i]->free(pool, &runs[which]);
			if (!peers[i]->alloc(pool, 1, &runs[which]))
				abort();
		}
		for (size_t k = 0; k < live; k++)
			peers[i]->free(pool, &runs[k]);
		printf("  %-24s %4zu of %zu\n", peers[i]->name, peers[i]->free_blocks(pool),
		       POOL_PAGES / BLOCK_PAGES);
		peers[i]->destroy(pool);
	}
	free(runs);
}

static void usable(void)
{
	const size_t sizes[] = {3, 5, 7};
	struct page_run *runs = checked(calloc(POOL_PAGES, sizeof(*runs)));

	printf("\nrequests of 3, 5 and 7 pages until the first refusal: share of what would fit\n");
	for (int i = 0; i < PEERS; i++) {
		printf("  %-24s", peers[i]->name);
		for (int s = 0; s < 3; s++) {
			void *pool = peers[i]->create(region, POOL_BYTES);
			size_t live = 0;

			while (live < POOL_PAGES && peers[i]->alloc(pool, sizes[s], &runs[live]))
				live++;
			printf("  %6.2f %%", 100.0 * (double)live / (double)(POOL_PAGES / sizes[s]));
			while (live > 0)
				peers[i]->free(pool, &runs[--live]);
			peers[i]->destroy(pool);
		}
		printf("\n");
	}
	free(runs);
}

struct failing {
	const struct page_peer *peer;
	void *pool;
	size_t pages;
};

static double measure_failing(void *context)
{
	const struct failing *failing = context;
	int count = failing->peer == &page_peer_first_fit ? 200 : 20000;
	struct page_run run;
	double begin = clock_seconds();

	for (int i = 0; i < count; i++) {
		if (failing->peer->alloc(failing->pool, failing->pages, &run))
			abort();
	}
	return (clock_seconds() - begin) * 1e9 / count;
}

static void failures(double one_page)
{
	struct page_run *runs = checked(calloc(POOL_PAGES, sizeof(*runs)));
	struct failing failing[PEERS];
	struct round_values values[PEERS];

	printf("\na request that must fail, ns\n");
	for (int i = 0; i < PEERS; i++) {
		failing[i] = (struct failing){peers[i], peers[i]->create(region, POOL_BYTES), 1};
		for (size_t live = 0; live < POOL_PAGES && peers[i]->alloc(failing[i].pool, 1, &runs[live]);)
			live++;
		values[i] = (struct round_values){
		        .name = peers[i]->name, .measure = measure_failing, .context = &failing[i]};
	}
	rounds_run(values, PEERS, rounds);
	for (int i = 0; i < PEERS; i++)
		print_row("1 page, pool full", &values[i]);
	print_goal("times a pair of 1 page", values[0].median / one_page, 4);
	/* Every page of isthmus is still in use: its manager stays, as it would refuse to go. */
	free(runs);
}

/* --- zeroing ---------------------------------------------------------------------------------------------- */

struct zeroing {
	struct ist_client_pool *pool;
	char *memory;
	size_t bytes;
	int fd;
};

static int zero_rounds(size_t bytes)
{
	int count = (int)((size_t)(16u << 20) / bytes);

	return count > 0 ? count : 1;
}

/* Whoever comes after a hole was punched would pay for what the system does with new pages, so nobody is measured there. */
static double warm_up(const struct zeroing *z)
{
	memset(z->memory, 1, z->bytes);
	return clock_seconds();
}

static double measure_zeroed_alloc(void *context)
{
	const struct zeroing *z = context;
	int count = zero_rounds(z->bytes);
	struct ist_shm shm;
	double begin = warm_up(z);

	for (int i = 0; i < count; i++) {
		if (ist_client_pool_alloc(z->pool, z->bytes, &shm) || ist_shm_free(&shm))
			abort();
	}
	return (clock_seconds() - begin) * 1e9 / count;
}

static double measure_memset(void *context)
{
	const struct zeroing *z = context;
	int count = zero_rounds(z->bytes);
	double begin = warm_up(z);

	for (int i = 0; i < count; i++) {
		memset(z->memory, 0, z->bytes);
		atomic_signal_fence(memory_order_seq_cst); /* the next memset may not swallow this one */
	}
	return (clock_seconds() - begin) * 1e9 / count;
}

/* Give the pages back to the file, and take new ones by a touch of each: what a user of the buffer pays for. */
static double measure_punch(void *context)
{
	const struct zeroing *z = context;
	int count = zero_rounds(z->bytes);
	double begin = clock_seconds();

	for (int i = 0; i < count; i++) {
		if (madvise(z->memory, z->bytes, MADV_REMOVE))
			abort();
		for (size_t at = 0; at < z->bytes; at += IST_PAGE_SIZE)
			__atomic_store_n(&z->memory[at], 0, __ATOMIC_RELAXED);
	}
	return (clock_seconds() - begin) * 1e9 / count;
}

static void zeroing(void)
{
	const size_t sizes[] = {1, 4, 16, 64, 1024, 16384};
	size_t bytes = (size_t)80 << 20;
	int fd = memfd_create("bench", MFD_CLOEXEC);
	struct ist_manager_config config = {.size = bytes, .paddr = 1u << 30};
	struct ist_manager *manager;

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		abort();
	config.vaddr = checked(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0));
	if (ist_manager_create(&config, &manager))
		abort();
	printf("\nzeroed allocation and free, ns, in a memory file; beside it the zeroing alone\n");
	for (int s = 0; s < 6; s++) {
		/* The first allocation lies at the start of the client pool: all three work on the same pages. */
		struct zeroing z = {ist_manager_client_pool(manager),
		                    (char *)config.vaddr + 4 * IST_PAGE_SIZE, sizes[s] * IST_PAGE_SIZE, fd};
		struct round_values values[3] = {
		        {.name = "isthmus", .measure = measure_zeroed_alloc, .context = &z},
		        {.name = "memset", .measure = measure_memset, .context = &z},
		        {.name = "punch a hole, touch", .measure = measure_punch, .context = &z},
		};
		char what[64];
		double best;

		rounds_run(values, 3, rounds);
		snprintf(what, sizeof(what), "%zu page%s", sizes[s], sizes[s] == 1 ? "" : "s");
		for (int i = 0; i < 3; i++)
			print_row(what, &values[i]);
		best = values[1].median < values[2].median ? values[1].median : values[2].median;
		print_goal("times the best way of zeroing", values[0].median / best,
		           sizes[s] <= 64 ? 1.1 : 1.0);
	}
	ist_manager_destroy(manager);
	munmap(config.vaddr, bytes);
	close(fd);
}

/* --- bookkeeping ------------------------------------------------------------------------------------------ */

static double resident_kib(void)
{
	long ignored, pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	if (!statm || fscanf(statm, "%ld %ld", &ignored, &pages) != 2)
		pages = 0;
	if (statm)
		fclose(statm);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void bookkeeping(void)
{
	struct page_run *runs = checked(calloc(POOL_PAGES, sizeof(*runs)));
	const size_t sizes[] = {BLOCK_PAGES, 16, 1};

	memset(runs, 1, POOL_PAGES * sizeof(*runs)); /* so that only the pool's own memory grows */
	printf("\nbookkeeping of a 1 GiB client pool, KiB of resident memory more\n");
	for (int s = 0; s < 3; s++) {
		double before = resident_kib();
		void *pool = page_peer_isthmus.create(region, POOL_BYTES);
		size_t live = 0;

		printf("  %-34s %8.0f\n", "created", resident_kib() - before);
		while (live < POOL_PAGES && page_peer_isthmus.alloc(pool, sizes[s], &runs[live]))
			live++;
		printf("  full of runs of %3zu pages           %8.0f\n", sizes[s], resident_kib() - before);
		while (live > 0)
			page_peer_isthmus.free(pool, &runs[--live]);
		page_peer_isthmus.destroy(pool);
	}
	free(runs);
}

/* With a second thread about, however idle, the C library's mutexes really lock. */
static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(int argc, char **argv)
{
	const char *out_dir = ".";
	pthread_t idler;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			rounds = 3;
		else
			out_dir = argv[i];
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	machine_print();
	if (pthread_create(&idler, NULL, idle, NULL))
		abort();
	region = checked(mmap(NULL, POOL_BYTES + IST_PAGE_SIZE, PROT_READ | PROT_WRITE,
	                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	region += IST_PAGE_SIZE;
	bookkeeping();
	double one_page = pairs();
	churn(out_dir);
	merging();
	usable();
	zeroing();
	failures(one_page);
	return 0;
}
