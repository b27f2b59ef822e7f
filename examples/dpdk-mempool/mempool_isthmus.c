/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * DPDK decides where objects are, and what is in them stays while they are free (buffers of packets are set up once, when the pool is made).
 * So an object cannot be whatever piece of memory an allocator finds: it is the allocator's part to say which objects are free. Each object
 * has a ticket: a message of 64 bytes of an isthmus driver pool, in address space that nobody ever touches, for isthmus keeps nothing
 * in the memory that it hands out. Who holds an object holds its ticket.
 *
 * Which ticket is which object's is by place: the one at byte 64 * k of the pool, or up to 63 bytes behind, is of object k. No two messages that
 * are held at once are both there, as they do not overlap: that is all of isthmus that this stands on.
 */
#include "mempool_isthmus.h"

#include <errno.h>
#include <isthmus/isthmus.h>
#include <rte_errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#define TICKET 64u /* the size that isthmus is fastest at, in bulk */
#define BATCH 64u

/*
 * Of object k. `ticket` is written by whoever takes the object, and read by whoever gives it back, to whom the object came with all that was written
 * before: relaxed is enough. It is atomic for the sake of those who give back what they do not have: they read something, and are refused.
 */
struct slot {
	char *object;
	_Atomic(char *) ticket;
};

/* Objects in one piece of memory, one behind the other. */
struct chunk {
	char *start; /* of the first object */
	size_t bytes; /* to the end of the last one's place */
	uint32_t first; /* its number */
};

struct pool {
	struct ist_manager *manager;
	struct ist_driver_pool *tickets;
	char *base; /* of the tickets */
	size_t mapped;
	uint32_t slots; /* tickets that there are: at least one an object */
	uint32_t objects; /* so far */
	size_t stride; /* from object to object */
	uint64_t reciprocal; /* 2^64 / stride, rounded up: see number_in */
	struct chunk *chunk;
	uint32_t chunks;
	_Atomic uint64_t strangers; /* addresses put back that are of no object */
	struct slot slot[];
};

static size_t slot_of(const struct pool *pool, const char *ticket)
{
	return (size_t)(ticket - pool->base) / TICKET;
}

/* As many tickets as there are; the pool is new, so nobody else wants one. Those of objects are given back as these come. */
static void hold_all(struct pool *pool)
{
	void *ticket;

	while (ist_driver_pool_alloc_bulk(pool->tickets, TICKET, 1, &ticket) == 0)
		atomic_store_explicit(&pool->slot[slot_of(pool, ticket)].ticket, ticket,
		                      memory_order_relaxed);
}

static int make_tickets(struct pool *pool)
{
	struct ist_manager_config config = {.driver_pool_size = pool->mapped / 2, .size = pool->mapped};
	int error;

	pool->base = mmap(NULL, pool->mapped, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool->base == MAP_FAILED)
		return -ENOMEM;
	config.vaddr = pool->base;
	error = ist_manager_create(&config, &pool->manager);
	if (error) {
		munmap(pool->base, pool->mapped);
		return error;
	}
	pool->tickets = ist_manager_driver_pool(pool->manager);
	hold_all(pool);
	return 0;
}

/* Half of the address space is a client pool, which is there because managers have one, and takes no memory. */
static int pool_alloc(struct rte_mempool *mp)
{
	size_t bytes = ((size_t)mp->size * TICKET + IST_PAGE_SIZE - 1) / IST_PAGE_SIZE * IST_PAGE_SIZE;
	size_t slots = bytes / TICKET;
	struct pool *pool = calloc(1, sizeof(*pool) + slots * sizeof(pool->slot[0]));
	int error;

	if (!pool)
		return -ENOMEM;
	pool->mapped = 2 * bytes;
	pool->slots = (uint32_t)slots;
	pool->stride = mp->header_size + mp->elt_size + mp->trailer_size;
	pool->reciprocal = UINT64_MAX / pool->stride + 1;
	error = make_tickets(pool);
	if (error) {
		free(pool);
		return error;
	}
	mp->pool_data = pool;
	return 0;
}

/* Whatever is still held is given back first: a manager does not end before that. */
static void pool_free(struct rte_mempool *mp)
{
	struct pool *pool = mp->pool_data;

	if (!pool)
		return;
	for (uint32_t i = 0; i < pool->slots; i++) {
		void *ticket = atomic_load_explicit(&pool->slot[i].ticket, memory_order_relaxed);

		if (ticket)
			ist_driver_pool_free_bulk(pool->tickets, &ticket, 1);
	}
	if (ist_manager_destroy(pool->manager) == 0)
		munmap(pool->base, pool->mapped);
	free(pool->chunk);
	free(pool);
	mp->pool_data = NULL;
}

static const struct chunk *chunk_of(const struct pool *pool, const char *object)
{
	uint32_t low = 0, count = pool->chunks;

	while (count > 1) {
		uint32_t half = count / 2;

		low = pool->chunk[low + half].start <= object ? low + half : low;
		count -= half;
	}
	return count && (size_t)(object - pool->chunk[low].start) < pool->chunk[low].bytes ? &pool->chunk[low]
	                                                                                   : NULL;
}

/*
 * offset / stride without a division: exact as long as offset * stride is below 2^64, which it is for pools of 2^32 objects of 64 KiB. Were it not,
 * an object would be refused, as the slot that is found has another.
 */
static inline size_t number_in(const struct pool *pool, size_t offset)
{
	__extension__ typedef unsigned __int128 wide;

	return (size_t)(((wide)pool->reciprocal * offset) >> 64);
}

/* Null: it is not the start of an object of this pool. */
static const struct slot *find_slot(const struct pool *pool, const char *object)
{
	const struct chunk *chunk = chunk_of(pool, object);
	const struct slot *slot;

	if (!chunk)
		return NULL;
	slot = &pool->slot[chunk->first + number_in(pool, (size_t)(object - chunk->start))];
	return slot->object == object ? slot : NULL;
}

static int give_back(struct pool *pool, void *const *objects, unsigned count)
{
	void *tickets[BATCH];
	unsigned found = 0;
	int error;

	for (unsigned i = 0; i < count; i++) {
		const struct slot *slot = find_slot(pool, objects[i]);

		if (slot)
			tickets[found++] = atomic_load_explicit(&slot->ticket, memory_order_relaxed);
	}
	error = found ? ist_driver_pool_free_bulk(pool->tickets, tickets, found) : 0;
	if (found < count) {
		/* Relaxed: a count that nothing is decided by. */
		atomic_fetch_add_explicit(&pool->strangers, count - found, memory_order_relaxed);
		error = error ? error : -EINVAL;
	}
	return error;
}

/* All that can be given back is; the answer is of the first that cannot. */
static int pool_enqueue(struct rte_mempool *mp, void *const *objects, unsigned count)
{
	struct pool *pool = mp->pool_data;
	int error = 0;

	while (count > 0) {
		unsigned some = count < BATCH ? count : BATCH;
		int bad = give_back(pool, objects, some);

		error = error ? error : bad;
		objects += some;
		count -= some;
	}
	return error;
}

/* The tickets come into the caller's array, and become objects there. The slot is this thread's now. */
static int pool_dequeue(struct rte_mempool *mp, void **objects, unsigned count)
{
	struct pool *pool = mp->pool_data;

	if (count == 0)
		return 0;
	if (ist_driver_pool_alloc_bulk(pool->tickets, TICKET, count, objects))
		return -ENOENT;
	for (unsigned i = 0; i < count; i++) {
		struct slot *slot = &pool->slot[slot_of(pool, objects[i])];

		/* Most often it is there already, and the line stays clean. */
		if (atomic_load_explicit(&slot->ticket, memory_order_relaxed) != objects[i])
			atomic_store_explicit(&slot->ticket, objects[i], memory_order_relaxed);
		objects[i] = slot->object;
	}
	return 0;
}

/* Tickets that are not held: those that belong to no object are. */
static unsigned pool_get_count(const struct rte_mempool *mp)
{
	const struct pool *pool = mp->pool_data;
	struct ist_pool_stats stats = {0};

	ist_driver_pool_stats(pool->tickets, &stats);
	return pool->slots - (unsigned)(stats.used / TICKET);
}

/* Sorted by address. 0; -ENOMEM. */
static int add_chunk(struct pool *pool, const struct chunk *chunk)
{
	struct chunk *more = realloc(pool->chunk, (pool->chunks + 1) * sizeof(*more));
	uint32_t at = pool->chunks;

	if (!more)
		return -ENOMEM;
	pool->chunk = more;
	for (; at > 0 && more[at - 1].start > chunk->start; at--)
		more[at] = more[at - 1];
	more[at] = *chunk;
	pool->chunks++;
	return 0;
}

/*
 * Memory comes, one piece with consecutive I/O addresses (or none that matter): objects one behind the other, with no gap where a page ends. Each is
 * announced to DPDK, and then put into the pool as any object is.
 */
static int pool_populate(struct rte_mempool *mp, unsigned most, void *vaddr, rte_iova_t iova, size_t bytes,
                         rte_mempool_populate_obj_cb_t *announce, void *context)
{
	struct pool *pool = mp->pool_data;
	size_t count = bytes / pool->stride < most ? bytes / pool->stride : most;
	struct chunk chunk = {.start = (char *)vaddr + mp->header_size, .bytes = count * pool->stride};
	int error;

	/* It was populated, which went wrong in the middle, and all was taken out again. */
	if (mp->populated_size == 0)
		pool->objects = pool->chunks = 0;
	count = count < pool->slots - pool->objects ? count : pool->slots - pool->objects;
	chunk.first = pool->objects;
	error = count ? add_chunk(pool, &chunk) : 0;
	if (error)
		return error;
	for (size_t i = 0; i < count; i++) {
		size_t offset = mp->header_size + i * pool->stride;
		void *object = (char *)vaddr + offset;

		pool->slot[pool->objects++].object = object;
		announce(mp, context, object, iova == RTE_BAD_IOVA ? RTE_BAD_IOVA : iova + offset);
		error = pool_enqueue(mp, &object, 1);
		if (error)
			return error;
	}
	return (int)count;
}

uint64_t mempool_isthmus_misuses(const struct rte_mempool *mp)
{
	const struct pool *pool = mp->pool_data;
	struct ist_pool_stats stats = {0};

	ist_driver_pool_stats(pool->tickets, &stats);
	return stats.misuses + atomic_load_explicit(&pool->strangers, memory_order_relaxed);
}

static const struct rte_mempool_ops ops = {
        .name = MEMPOOL_ISTHMUS,
        .alloc = pool_alloc,
        .free = pool_free,
        .enqueue = pool_enqueue,
        .dequeue = pool_dequeue,
        .get_count = pool_get_count,
        .populate = pool_populate,
};

RTE_MEMPOOL_REGISTER_OPS(ops);
