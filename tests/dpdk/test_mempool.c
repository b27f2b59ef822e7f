/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * examples/dpdk-mempool by what DPDK asks of a pool: taking and giving back, one by one and in bulk, caches of lcores and of the user, exhaustion, walks,
 * audits, several pools, packet buffers, many lcores at once. And what it does beyond: misuse is refused.
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mempool_isthmus.h"
#include "tee/check.h"

#define OBJECTS 2047u
#define BYTES 200u
#define LCORES 4
#define BULK 32u

/* What each object of a test is filled with when the pool is made, and must still hold whenever it is taken. */
struct stamp {
	struct rte_mempool *mp;
	uint32_t number;
	uint32_t taken; /* by one lcore at a time */
	char rest[BYTES - 16];
};

static void set_stamp(struct rte_mempool *mp, void *context, void *object, unsigned number)
{
	struct stamp *stamp = object;

	(void)context;
	stamp->mp = mp;
	stamp->number = number;
	stamp->taken = 0;
	memset(stamp->rest, (int)number, sizeof(stamp->rest));
}

static struct rte_mempool *make(const char *name, unsigned count, unsigned size, unsigned cache,
                                unsigned flags)
{
	struct rte_mempool *mp = rte_mempool_create_empty(name, count, size, cache, 0, SOCKET_ID_ANY, flags);

	if (!mp || rte_mempool_set_ops_byname(mp, MEMPOOL_ISTHMUS, NULL) ||
	    rte_mempool_populate_default(mp) < 0) {
		printf("no pool %s: %s\n", name, rte_strerror(rte_errno));
		exit(1);
	}
	if (size >= sizeof(struct stamp))
		rte_mempool_obj_iter(mp, set_stamp, NULL);
	return mp;
}

static bool is_whole(const struct stamp *stamp, const struct rte_mempool *mp)
{
	for (size_t i = 0; i < sizeof(stamp->rest); i++) {
		if (stamp->rest[i] != (char)stamp->number)
			return false;
	}
	return stamp->mp == mp && rte_mempool_from_obj((void *)(uintptr_t)stamp) == mp;
}

static void count_objects(struct rte_mempool *mp, void *context, void *object, unsigned number)
{
	unsigned *count = context;

	CHECK(number == *count && rte_mempool_from_obj(object) == mp);
	++*count;
}

static void count_bytes(struct rte_mempool *mp, void *context, struct rte_mempool_memhdr *header,
                        unsigned number)
{
	(void)mp, (void)number;
	*(size_t *)context += header->len;
}

/* One object, then two, as each comes they differ; what is in them stays; walks, audits and dumps. */
static void basics(unsigned cache, unsigned flags)
{
	struct rte_mempool *mp = make("basics", OBJECTS, sizeof(struct stamp), cache, flags);
	void *one = NULL, *two = NULL;
	unsigned count = 0;
	size_t bytes = 0;
	FILE *nowhere = fopen("/dev/null", "w");

	CHECK(rte_mempool_avail_count(mp) == OBJECTS && rte_mempool_in_use_count(mp) == 0 &&
	      rte_mempool_full(mp));
	CHECK(rte_mempool_obj_iter(mp, count_objects, &count) == OBJECTS && count == OBJECTS);
	rte_mempool_mem_iter(mp, count_bytes, &bytes);
	CHECK(bytes >= (size_t)OBJECTS * sizeof(struct stamp));
	CHECK(rte_mempool_get(mp, &one) == 0 && rte_mempool_get(mp, &two) == 0 && one != two);
	CHECK(rte_mempool_avail_count(mp) == OBJECTS - 2 && rte_mempool_in_use_count(mp) == 2);
	CHECK(is_whole(one, mp) && is_whole(two, mp));
	CHECK(rte_mempool_get_priv(mp) != NULL);
	CHECK(rte_mempool_virt2iova(one) == RTE_BAD_IOVA ||
	      rte_mempool_virt2iova(one) != rte_mempool_virt2iova(two));
	if (nowhere) {
		rte_mempool_dump(nowhere, mp);
		rte_mempool_list_dump(nowhere);
		fclose(nowhere);
	}
	rte_mempool_audit(mp);
	rte_mempool_put(mp, two);
	rte_mempool_put(mp, one);
	CHECK(rte_mempool_full(mp) && mempool_isthmus_misuses(mp) == 0);
	CHECK(rte_mempool_lookup("basics") == mp);
	rte_mempool_free(mp);
	CHECK(rte_mempool_lookup("basics") == NULL);
}

/* To the last one, and back; whatever the order, each object is there once, and the count is exact. */
static void exhaust(struct rte_mempool *mp, unsigned total, unsigned bulk)
{
	void **object = calloc(total + bulk, sizeof(*object));
	unsigned char *seen = calloc(total, 1);
	unsigned got = 0;

	while (rte_mempool_get_bulk(mp, object + got, bulk) == 0)
		got += bulk;
	while (rte_mempool_get(mp, &object[got]) == 0)
		got++;
	CHECK(got == total);
	CHECK(rte_mempool_get(mp, &object[got]) == -ENOENT && rte_mempool_avail_count(mp) == 0 &&
	      rte_mempool_empty(mp));
	for (unsigned i = 0; i < got; i++) {
		struct stamp *stamp = object[i];

		CHECK(is_whole(stamp, mp) && stamp->number < total && !seen[stamp->number]++);
	}
	for (unsigned i = 0; i < got; i++) { /* shuffled */
		unsigned other = (unsigned)rand() % got;
		void *swap = object[i];

		object[i] = object[other];
		object[other] = swap;
	}
	for (unsigned i = 0; i < got; i += bulk)
		rte_mempool_put_bulk(mp, object + i, got - i < bulk ? got - i : bulk);
	CHECK(rte_mempool_full(mp) && rte_mempool_avail_count(mp) == total);
	free(object);
	free(seen);
}

static void exhaustion(void)
{
	static const unsigned counts[] = {1, 2, 63, 64, 65, 1000, OBJECTS, 16384};

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (unsigned cache = 0; cache <= 256 && cache * 3 / 2 <= counts[i]; cache += 128) {
			struct rte_mempool *mp =
			        make("exhaustion", counts[i], sizeof(struct stamp), cache, 0);

			for (unsigned bulk = 1; bulk <= 512; bulk *= 8)
				exhaust(mp, counts[i], bulk);
			CHECK(mempool_isthmus_misuses(mp) == 0);
			rte_mempool_free(mp);
		}
	}
}

/* A cache of one's own, in front of a pool without. */
static void user_cache(void)
{
	struct rte_mempool *mp = make("cache", OBJECTS, sizeof(struct stamp), 0, 0);
	struct rte_mempool_cache *cache = rte_mempool_cache_create(128, SOCKET_ID_ANY);
	void *object[64];

	CHECK(cache != NULL);
	for (unsigned turn = 0; turn < 100; turn++) {
		unsigned count = 1 + turn % 64;

		CHECK(rte_mempool_generic_get(mp, object, count, cache) == 0);
		for (unsigned i = 0; i < count; i++)
			CHECK(is_whole(object[i], mp));
		rte_mempool_generic_put(mp, object, count, cache);
	}
	CHECK(cache->len > 0 && rte_mempool_avail_count(mp) == OBJECTS - cache->len);
	rte_mempool_cache_flush(cache, mp);
	CHECK(rte_mempool_full(mp));
	rte_mempool_cache_free(cache);
	rte_mempool_free(mp);
}

/* Each pool has its own: as many as there are, side by side. */
static void several_pools(void)
{
	struct rte_mempool *mp[8];
	void *object[8][16];
	char name[16];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "pool %u", i);
		mp[i] = make(name, 100 + i * 37, sizeof(struct stamp) + i * 8, 0,
		             i % 2 ? RTE_MEMPOOL_F_NO_CACHE_ALIGN : 0);
	}
	for (unsigned i = 0; i < 8; i++)
		CHECK(rte_mempool_get_bulk(mp[i], object[i], 16) == 0);
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned k = 0; k < 16; k++)
			CHECK(is_whole(object[i][k], mp[i]));
	}
	/* What is put into the wrong one is refused there, and is not lost. */
	rte_mempool_put_bulk(mp[0], object[1], 16);
	CHECK(mempool_isthmus_misuses(mp[0]) == 16 && rte_mempool_in_use_count(mp[0]) == 16);
	for (unsigned i = 0; i < 8; i++) {
		rte_mempool_put_bulk(mp[i], object[i], 16);
		CHECK(rte_mempool_full(mp[i]));
	}
	for (unsigned i = 0; i < 8; i++)
		rte_mempool_free(mp[i]);
}

/* Beyond what DPDK asks: a pool without lcore caches tells each misuse, and goes on. */
static void misuses(void)
{
	struct rte_mempool *mp = make("misuses", 100, sizeof(struct stamp), 0, 0);
	void *object[4], *wrong[6], *all[101];

	CHECK(rte_mempool_get_bulk(mp, object, 4) == 0);
	rte_mempool_put(mp, object[0]);
	rte_mempool_put(mp, object[0]); /* twice */
	CHECK(mempool_isthmus_misuses(mp) == 1 && rte_mempool_avail_count(mp) == 97);
	wrong[0] = (char *)object[1] + 8; /* inside */
	wrong[1] = &mp; /* anywhere */
	wrong[2] = NULL;
	wrong[3] = object[0]; /* free */
	wrong[4] = object[2]; /* good */
	wrong[5] = object[2]; /* and twice in one bulk */
	CHECK(rte_mempool_ops_enqueue_bulk(mp, wrong, 6) < 0);
	CHECK(mempool_isthmus_misuses(mp) == 6 && rte_mempool_avail_count(mp) == 98);
	/* No object is there twice. */
	CHECK(rte_mempool_get_bulk(mp, all, 98) == 0 && rte_mempool_get(mp, &all[98]) == -ENOENT);
	for (unsigned i = 0; i < 98; i++) {
		CHECK(is_whole(all[i], mp) && all[i] != object[1] && all[i] != object[3]);
		for (unsigned k = 0; k < i; k++)
			CHECK(all[i] != all[k]);
	}
	rte_mempool_free(mp); /* with all taken, as DPDK allows */
}

/* All or none. */
static void bulks(void)
{
	struct rte_mempool *mp = make("bulks", 100, sizeof(struct stamp), 0, 0);
	void *object[128], *before[128];

	memset(object, 0, sizeof(object));
	CHECK(rte_mempool_get_bulk(mp, object, 101) < 0 && object[0] == NULL && object[100] == NULL);
	CHECK(rte_mempool_avail_count(mp) == 100);
	CHECK(rte_mempool_get_bulk(mp, object, 60) == 0);
	memcpy(before, object, sizeof(object));
	CHECK(rte_mempool_get_bulk(mp, object + 60, 41) < 0 && memcmp(before, object, sizeof(object)) == 0);
	CHECK(rte_mempool_get_bulk(mp, object + 60, 40) == 0);
	rte_mempool_put_bulk(mp, object, 100);
	CHECK(rte_mempool_get_bulk(mp, object, 0) == 0);
	CHECK(rte_mempool_full(mp));
	rte_mempool_free(mp);
}

/* Packets' buffers are set up once and for all; attached and chained ones go back where they came from. */
static void packets(void)
{
	struct rte_mempool *mp = rte_pktmbuf_pool_create_by_ops(
	        "packets", 1023, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, MEMPOOL_ISTHMUS);
	struct rte_mbuf *packet[100], *clone;

	CHECK(mp != NULL);
	if (!mp)
		return;
	for (unsigned turn = 0; turn < 50; turn++) {
		CHECK(rte_pktmbuf_alloc_bulk(mp, packet, 100) == 0);
		for (unsigned i = 0; i < 100; i++) {
			char *data = rte_pktmbuf_append(packet[i], 1000);

			CHECK(data && packet[i]->pool == mp &&
			      rte_pktmbuf_headroom(packet[i]) == RTE_PKTMBUF_HEADROOM);
			if (data)
				memset(data, (int)i, 1000);
		}
		clone = rte_pktmbuf_clone(packet[0], mp);
		CHECK(clone != NULL && rte_mbuf_refcnt_read(packet[0]) == 2);
		CHECK(rte_pktmbuf_chain(packet[1], packet[2]) == 0);
		for (unsigned i = 0; i < 100; i++) {
			CHECK(*rte_pktmbuf_mtod(packet[i], char *) == (char)i);
			if (i != 2)
				rte_pktmbuf_free(packet[i]);
		}
		rte_pktmbuf_free(clone);
		CHECK(rte_mempool_full(mp));
	}
	rte_mempool_free(mp);
}

/* Many lcores: an object that two have at once would be seen by its stamp. */
static struct rte_mempool *shared;
static unsigned turns;

static int take_and_give(void *argument)
{
	unsigned bad = 0, seed = (unsigned)(uintptr_t)argument + 1;

	for (unsigned turn = 0; turn < turns; turn++) {
		unsigned count = 1 + (unsigned)rand_r(&seed) % BULK;
		void *object[BULK];

		if (rte_mempool_get_bulk(shared, object, count))
			continue; /* others have them */
		for (unsigned i = 0; i < count; i++) {
			struct stamp *stamp = object[i];

			bad += __atomic_exchange_n(&stamp->taken, 1, __ATOMIC_RELAXED) != 0;
		}
		for (unsigned i = 0; i < count; i++) {
			struct stamp *stamp = object[i];

			bad += __atomic_exchange_n(&stamp->taken, 0, __ATOMIC_RELAXED) != 1;
		}
		rte_mempool_put_bulk(shared, object, count);
	}
	return bad > 0 ? -1 : 0;
}

static void *as_thread(void *argument)
{
	return take_and_give(argument) ? argument : NULL;
}

/* With lcore caches and without; and by threads that are no lcores, which have none. */
static void many_at_once(void)
{
	for (unsigned cache = 0; cache <= 64; cache += 64) {
		pthread_t thread[2];
		void *result;
		unsigned lcore;

		shared = make("shared", 300, sizeof(struct stamp), cache, 0);
		for (lcore = 1; lcore < LCORES; lcore++)
			CHECK(rte_eal_remote_launch(take_and_give, (void *)(uintptr_t)lcore, lcore) == 0);
		for (uintptr_t i = 0; i < 2; i++)
			CHECK(pthread_create(&thread[i], NULL, as_thread, (void *)(100 + i)) == 0);
		CHECK(take_and_give(NULL) == 0);
		for (unsigned i = 0; i < 2; i++)
			CHECK(pthread_join(thread[i], &result) == 0 && result == NULL);
		for (lcore = 1; lcore < LCORES; lcore++)
			CHECK(rte_eal_wait_lcore(lcore) == 0);
		CHECK(rte_mempool_avail_count(shared) == 300 && mempool_isthmus_misuses(shared) == 0);
		if (cache ==
		    0) /* what one put back is there for another, to the last one: no cache keeps it */
			exhaust(shared, 300, 32);
		rte_mempool_free(shared);
	}
}

static int give_all(void *object)
{
	rte_mempool_put_bulk(shared, object, 300);
	return 0;
}

/* All taken here, given back there, and taken here again. */
static void from_one_to_another(void)
{
	void *object[300];
	unsigned lcore = 1;

	shared = make("one to another", 300, sizeof(struct stamp), 0, 0);
	for (unsigned turn = 0; turn < 100; turn++) {
		CHECK(rte_mempool_get_bulk(shared, object, 300) == 0);
		CHECK(rte_eal_remote_launch(give_all, object, lcore) == 0 && rte_eal_wait_lcore(lcore) == 0);
	}
	CHECK(rte_mempool_full(shared));
	rte_mempool_free(shared);
}

/* A pool that never got its memory, one whose handler is not known, and one that was given too little. */
static void odd_pools(void)
{
	struct rte_mempool *mp = rte_mempool_create_empty("odd", 10, 64, 0, 0, SOCKET_ID_ANY, 0);
	static char memory[4096] __rte_aligned(4096);
	void *object[10];
	int some;

	CHECK(mp && rte_mempool_set_ops_byname(mp, "no such handler", NULL) < 0);
	CHECK(rte_mempool_set_ops_byname(mp, MEMPOOL_ISTHMUS, NULL) == 0);
	rte_mempool_free(mp);
	mp = rte_mempool_create_empty("odd", 100, 64, 0, 0, SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_SPREAD);
	CHECK(mp && rte_mempool_set_ops_byname(mp, MEMPOOL_ISTHMUS, NULL) == 0);
	some = rte_mempool_populate_iova(mp, memory, RTE_BAD_IOVA, 1024, NULL, NULL);
	CHECK(some == 8 && rte_mempool_avail_count(mp) == 8);
	CHECK(rte_mempool_get_bulk(mp, object, 9) < 0 && rte_mempool_get_bulk(mp, object, 8) == 0);
	some = rte_mempool_populate_iova(mp, memory + 1024, RTE_BAD_IOVA, 256, NULL, NULL);
	CHECK(some == 2 && rte_mempool_avail_count(mp) == 2);
	CHECK(rte_mempool_get_bulk(mp, object + 8, 2) == 0);
	CHECK((char *)object[8] >= memory + 1024 && (char *)object[9] >= memory + 1024);
	rte_mempool_put_bulk(mp, object, 10);
	CHECK(rte_mempool_avail_count(mp) == 10 && mempool_isthmus_misuses(mp) == 0);
	rte_mempool_free(mp);
}

/* As many lcores as there are to be, on the CPUs that this process may use. */
static void describe_lcores(char *to, size_t room)
{
	unsigned cpu[LCORES], found = 0;
	size_t used;
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	for (unsigned i = 0; i < CPU_SETSIZE && found < LCORES; i++) {
		if (CPU_ISSET(i, &set))
			cpu[found++] = i;
	}
	used = (size_t)snprintf(to, room, "--lcores=");
	for (unsigned i = 0; i < LCORES; i++)
		used += (size_t)snprintf(to + used, room - used, "%s%u@%u", i ? "," : "", i, cpu[i % found]);
}

int main(int count, char **arguments)
{
	static char name[] = "test-mempool", no_huge[] = "--no-huge", no_pci[] = "--no-pci", m[] = "-m",
	            mib[] = "64", alone[] = "--no-shconf", quiet[] = "--log-level=error",
	            silent[] = "--no-telemetry", lcores[128];
	char *eal[] = {name, no_huge, no_pci, m, mib, alone, quiet, silent, lcores, NULL};

	describe_lcores(lcores, sizeof(lcores));
	turns = count > 1 ? (unsigned)atoi(arguments[1]) : 20000;
	if (rte_eal_init(9, eal) < 0) {
		printf("skipped: DPDK does not start here: %s\n", rte_strerror(rte_errno));
		return 77;
	}
	basics(0, 0);
	basics(64, 0);
	basics(64, RTE_MEMPOOL_F_NO_CACHE_ALIGN);
	basics(0, RTE_MEMPOOL_F_SP_PUT | RTE_MEMPOOL_F_SC_GET);
	basics(0, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	bulks();
	exhaustion();
	user_cache();
	several_pools();
	misuses();
	packets();
	from_one_to_another();
	many_at_once();
	odd_pools();
	printf(faults ? "%d faults\n" : "all is well\n", faults);
	rte_eal_cleanup();
	return faults != 0;
}
