/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The client pool beside two page allocators behind a mutex, over 1 GiB of address space that nobody touches: pairs, requests that
 * fail, churn; what comes back as whole blocks, how much of the pool can be had, what bookkeeping takes.
 */
#include <unistd.h>

#include "lib/cpu.h"
#include "lib/random.h"
#include "peers/page_peers.h"
#include "pool_map.h"
#include "suites.h"

#define POOL_BYTES ((size_t)1 << 30)
#define POOL_PAGES (POOL_BYTES / IST_PAGE_SIZE)
#define BLOCK_PAGES 512u

enum { PEERS = 3, BATCH = 64, CREW_MAX = 4, CHURN_STEPS = 200000 };

struct subject {
	const struct page_peer *peer;
	void *pool; /* stays for as long as the program runs */
	void *full; /* the same, and nothing is free in it; null: not yet made */
};

static struct subject subjects[PEERS] = {
        {.peer = &page_peer_isthmus}, {.peer = &page_peer_first_fit}, {.peer = &page_peer_buddy}};

/* A page before the pool, for what the peers want to have in front. */
static void *make_pool(const struct page_peer *peer)
{
	static char *region; /* of those that do not stay */

	if (!region)
		region = must_map(POOL_BYTES + IST_PAGE_SIZE);
	return peer->create(region + IST_PAGE_SIZE, POOL_BYTES);
}

static void *make_lasting_pool(const struct page_peer *peer)
{
	return peer->create((char *)must_map(POOL_BYTES + IST_PAGE_SIZE) + IST_PAGE_SIZE, POOL_BYTES);
}

/* Runs of `pages` until the first refusal. */
static size_t fill(const struct page_peer *peer, void *pool, size_t pages, struct page_run *runs)
{
	size_t live = 0;

	while (live < POOL_PAGES && peer->alloc(pool, pages, &runs[live]))
		live++;
	return live;
}

static void empty(const struct page_peer *peer, void *pool, struct page_run *runs, size_t live)
{
	while (live > 0)
		peer->free(pool, &runs[--live]);
}

/* --- pairs and refusals ------------------------------------------------------------------------------------- */

static void pair(struct gbench_state *state, void *context)
{
	const struct subject *subject = context;
	size_t pages = (size_t)gbench_argument(state);
	struct page_run run;

	pin_thread(gbench_thread_index(state));
	while (gbench_keep_running_batch(state, BATCH)) {
		for (int i = 0; i < BATCH; i++) {
			if (!subject->peer->alloc(subject->pool, pages, &run))
				abort();
			subject->peer->free(subject->pool, &run);
		}
	}
}

static void refuse(struct gbench_state *state, const struct page_peer *peer, void *pool, size_t pages)
{
	struct page_run run;

	while (gbench_keep_running(state)) {
		if (peer->alloc(pool, pages, &run))
			abort();
	}
}

/* More than there is: an answer, not a search. */
static void refusal(struct gbench_state *state, void *context)
{
	const struct subject *subject = context;

	refuse(state, subject->peer, subject->pool, POOL_PAGES + 1);
}

static void refusal_when_full(struct gbench_state *state, void *context)
{
	struct subject *subject = context;

	if (!subject->full) {
		struct page_run *runs = must_allocate(POOL_PAGES, sizeof(*runs));

		subject->full = make_lasting_pool(subject->peer);
		fill(subject->peer, subject->full, 1, runs);
		free(runs);
	}
	refuse(state, subject->peer, subject->full, 1);
}

/* --- churn: runs of 1 to 64 pages, half of the pool in use ------------------------------------------------------ */

struct churner {
	struct page_run *runs;
	size_t *pages; /* of each */
	size_t live;
	uint64_t random;
};

static struct crew {
	void *pool;
	struct churner churner[CREW_MAX]; /* one for each thread */
} crew;

static size_t any_size(uint64_t *random)
{
	return 1 + random_below(random, 64);
}

static void churner_fill(struct churner *churner, const struct page_peer *peer, uint64_t seed, size_t pages)
{
	size_t used = 0;

	*churner = (struct churner){.random = seed};
	churner->runs = must_allocate(POOL_PAGES / 8, sizeof(*churner->runs));
	churner->pages = must_allocate(POOL_PAGES / 8, sizeof(*churner->pages));
	for (; used < pages; churner->live++) {
		size_t size = any_size(&churner->random);

		if (!peer->alloc(crew.pool, size, &churner->runs[churner->live]))
			break;
		used += churner->pages[churner->live] = size;
	}
}

static void churner_step(struct churner *churner, const struct page_peer *peer)
{
	size_t which = random_below(&churner->random, churner->live), size = any_size(&churner->random);

	peer->free(crew.pool, &churner->runs[which]);
	while (!peer->alloc(crew.pool, size, &churner->runs[which]))
		size = 1;
	churner->pages[which] = size;
}

/* Whole free blocks of 2 MiB: how many there could be, and are. */
static void report_blocks(struct gbench_state *state, const struct page_peer *peer)
{
	size_t used = 0, left = peer->free_blocks(crew.pool);

	for (size_t i = 0; i < crew.churner[0].live; i++)
		used += crew.churner[0].pages[i];
	gbench_set_counter(state, "blocks_possible", (double)((POOL_PAGES - used) / BLOCK_PAGES));
	gbench_set_counter(state, "blocks_left", (double)left);
	gbench_set_counter(state, "possible_per_left",
	                   (double)((POOL_PAGES - used) / BLOCK_PAGES) / (double)(left ? left : 1));
}

static void churn(struct gbench_state *state, void *context)
{
	const struct page_peer *peer = ((struct subject *)context)->peer;
	int threads = gbench_thread_count(state), index = gbench_thread_index(state);
	bool alone = threads == 1, mapped = alone && peer == &page_peer_isthmus;

	if (index == 0) {
		crew.pool = make_pool(peer);
		if (mapped)
			pool_map_begin(ist_manager_client_pool(page_peer_manager(crew.pool)));
		for (int i = 0; i < threads; i++)
			churner_fill(&crew.churner[i], peer, (uint64_t)i + 1,
			             POOL_PAGES / 2 / (size_t)threads);
		if (mapped)
			pool_map_add("half full");
	}
	cpu_pin_nth((uint32_t)index); /* two threads that share a CPU would not meet */
	while (gbench_keep_running(state))
		churner_step(&crew.churner[index], peer);
	cpu_unpin();
	if (alone)
		report_blocks(state, peer);
	if (mapped)
		pool_map_add("after churn");
	if (index != 0) /* all have stopped: there is a barrier at the end of the loop */
		return;
	for (int i = 0; i < threads; i++) {
		empty(peer, crew.pool, crew.churner[i].runs, crew.churner[i].live);
		free(crew.churner[i].runs);
		free(crew.churner[i].pages);
	}
	if (mapped)
		pool_map_end("all freed");
	peer->destroy(crew.pool);
}

/* --- what comes back, what can be had, what it takes --------------------------------------------------------------- */

/* Filled with single pages, a random half freed, 20 times as much churn, all freed. */
static void merging(struct gbench_state *state, void *context)
{
	const struct page_peer *peer = ((struct subject *)context)->peer;
	struct page_run *runs = must_allocate(POOL_PAGES, sizeof(*runs));
	uint64_t random = 3;

	while (gbench_keep_running(state)) {
		void *pool = make_pool(peer);
		size_t live = fill(peer, pool, 1, runs);

		for (size_t k = live; k > live / 2; k--) {
			size_t which = random_below(&random, k);
			struct page_run last = runs[k - 1];

			peer->free(pool, &runs[which]);
			runs[which] = last;
		}
		live /= 2;
		for (size_t i = 0; i < 20 * live; i++) {
			size_t which = random_below(&random, live);

			peer->free(pool, &runs[which]);
			must(!peer->alloc(pool, 1, &runs[which]));
		}
		empty(peer, pool, runs, live);
		gbench_set_counter(state, "blocks", (double)peer->free_blocks(pool));
		gbench_set_counter(state, "blocks_possible", (double)POOL_PAGES / BLOCK_PAGES);
		peer->destroy(pool);
	}
	free(runs);
}

static void usable(struct gbench_state *state, void *context)
{
	const struct page_peer *peer = ((struct subject *)context)->peer;
	size_t pages = (size_t)gbench_argument(state);
	struct page_run *runs = must_allocate(POOL_PAGES, sizeof(*runs));

	while (gbench_keep_running(state)) {
		void *pool = make_pool(peer);
		size_t live = fill(peer, pool, pages, runs);

		gbench_set_counter(state, "usable_percent",
		                   100.0 * (double)live / (double)(POOL_PAGES / pages));
		empty(peer, pool, runs, live);
		peer->destroy(pool);
	}
	free(runs);
}

static double resident_kib(void)
{
	long ignored, pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	must(!statm || fscanf(statm, "%ld %ld", &ignored, &pages) != 2);
	fclose(statm);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* Resident memory more, of a pool that is made, and that is full of runs of so many pages. */
static void bookkeeping(struct gbench_state *state, void *context)
{
	const struct page_peer *peer = ((struct subject *)context)->peer;
	size_t pages = (size_t)gbench_argument(state), live;
	struct page_run *runs = must_allocate(POOL_PAGES, sizeof(*runs));

	memset(runs, 1, POOL_PAGES * sizeof(*runs)); /* so that only the pool's own memory grows */
	while (gbench_keep_running(state)) {
		double before = resident_kib();
		void *pool = make_pool(peer);

		gbench_set_counter(state, "KiB_created", resident_kib() - before);
		live = fill(peer, pool, pages, runs);
		gbench_set_counter(state, "KiB_full", resident_kib() - before);
		empty(peer, pool, runs, live);
		peer->destroy(pool);
	}
	free(runs);
}

/* --- registration --------------------------------------------------------------------------------------------- */

static struct gbench *add(const char *what, gbench_function *function, struct subject *subject)
{
	return gbench_register(function, subject, "client/%s/%s", what, subject->peer->name);
}

static void add_churn(struct subject *subject)
{
	for (int threads = 1; threads <= CREW_MAX; threads *= 2) {
		struct gbench *b = add("churn", churn, subject);

		gbench_threads(b, threads);
		gbench_iterations(b, CHURN_STEPS / threads);
		gbench_use_real_time(b);
	}
}

void suite_client_register(void)
{
	struct gbench *b;

	for (int i = 0; i < PEERS; i++) {
		struct subject *subject = &subjects[i];

		subject->pool = make_lasting_pool(subject->peer);
		gbench_over(add("pair", pair, subject), "pages", 1, 16, 100, BLOCK_PAGES);
		b = add("scaling", pair, subject);
		gbench_over(b, "pages", 4);
		suites_thread_counts(b);
		gbench_use_real_time(b);
		add("refusal", refusal, subject);
		add("refusal_when_full", refusal_when_full, subject);
		add_churn(subject);
		gbench_iterations(add("merging", merging, subject), 1);
		b = add("usable", usable, subject);
		gbench_over(b, "pages", 3, 5, 7);
		gbench_iterations(b, 1);
	}
	b = add("bookkeeping", bookkeeping, &subjects[0]);
	gbench_over(b, "pages", 1, 16, BLOCK_PAGES);
	gbench_iterations(b, 1);
}
