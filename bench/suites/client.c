/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The client pool beside two page allocators behind a mutex, over address space that nobody touches. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/gbench.h"
#include "peers/page_peers.h"
#include "suites.h"

#define POOL_BYTES ((size_t)1 << 30)
#define BLOCK_PAGES 512u

enum { PEERS = 3, BATCH = 64 };

struct subject {
	const struct page_peer *peer;
	void *pool;
};

static struct subject subjects[PEERS] = {
        {&page_peer_isthmus, NULL}, {&page_peer_first_fit, NULL}, {&page_peer_buddy, NULL}};

static void pair(struct gbench_state *state, void *context)
{
	const struct subject *subject = context;
	size_t pages = (size_t)gbench_argument(state, 0);
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

/* More than there is: an answer, not a search. */
static void refusal(struct gbench_state *state, void *context)
{
	const struct subject *subject = context;
	struct page_run run;

	while (gbench_keep_running(state)) {
		if (subject->peer->alloc(subject->pool, POOL_BYTES / IST_PAGE_SIZE + 1, &run))
			abort();
	}
}

static void add(const char *what, struct subject *subject, gbench_function *function, bool scales)
{
	char name[96];
	struct gbench *b;

	snprintf(name, sizeof(name), "client/%s/%s", what, subject->peer->name);
	b = gbench_register(name, function, subject);
	if (function == refusal)
		return;
	gbench_argument_name(b, "pages");
	gbench_argument_of(b, scales ? 4 : 1);
	if (scales) {
		suites_thread_counts(b);
		gbench_use_real_time(b);
		return;
	}
	gbench_argument_of(b, 16);
	gbench_argument_of(b, 100);
	gbench_argument_of(b, BLOCK_PAGES);
}

void suite_client_register(void)
{
	for (int i = 0; i < PEERS; i++) {
		/* A page before the pool, for what the peers want to have in front. */
		char *region = mmap(NULL, POOL_BYTES + IST_PAGE_SIZE, PROT_READ | PROT_WRITE,
		                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (region == MAP_FAILED)
			exit(1);
		subjects[i].pool = subjects[i].peer->create(region + IST_PAGE_SIZE, POOL_BYTES);
		add("pair", &subjects[i], pair, false);
		add("scaling", &subjects[i], pair, true);
		add("refusal", &subjects[i], refusal, false);
	}
}
