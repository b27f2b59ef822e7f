/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/pamap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-bp.h>

struct range {
	uint64_t from, size, to;
};

struct snapshot {
	size_t count;
	struct range range[]; /* sorted by from, never overlapping */
};

/*
 * Readers load the snapshot with consume-like acquire [P1] inside a read section; the writer publishes a new one
 * with release and frees the old one a grace period later.
 */
struct pamap {
	struct snapshot *_Atomic snapshot; /* null: empty */
	pthread_mutex_t writer;
};

int pamap_create(struct pamap **out)
{
	struct pamap *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	pthread_mutex_init(&map->writer, NULL);
	*out = map;
	return 0;
}

void pamap_destroy(struct pamap *map)
{
	free(atomic_load_explicit(&map->snapshot, memory_order_relaxed));
	pthread_mutex_destroy(&map->writer);
	free(map);
}

/* How many ranges start at or below `at`. */
static size_t rank(const struct snapshot *snapshot, uint64_t at)
{
	size_t low = 0, high = snapshot ? snapshot->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (snapshot->range[middle].from <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct snapshot *snapshot_make(size_t count)
{
	struct snapshot *made = malloc(sizeof(*made) + count * sizeof(made->range[0]));

	if (made)
		made->count = count;
	return made;
}

/* Publish, and free the old snapshot once no reader has it. Under the writer's mutex. */
static void publish(struct pamap *map, struct snapshot *old, struct snapshot *made)
{
	atomic_store_explicit(&map->snapshot, made, memory_order_release); /* [P1] */
	if (old) {
		synchronize_rcu();
		free(old);
	}
}

static bool overlaps(const struct snapshot *old, size_t rank_of_from, uint64_t from, uint64_t size)
{
	if (rank_of_from > 0) {
		const struct range *below = &old->range[rank_of_from - 1];

		if (from - below->from < below->size)
			return true;
	}
	return old && rank_of_from < old->count && old->range[rank_of_from].from - from < size;
}

int pamap_insert(struct pamap *map, uint64_t from, uint64_t size, uint64_t to)
{
	struct snapshot *old, *made;
	size_t count, at;
	int error = 0;

	if (size == 0 || size - 1 > UINT64_MAX - from || size - 1 > UINT64_MAX - to)
		return -EINVAL;
	pthread_mutex_lock(&map->writer);
	old = atomic_load_explicit(&map->snapshot, memory_order_relaxed);
	count = old ? old->count : 0;
	at = rank(old, from);
	if (overlaps(old, at, from, size)) {
		error = -EEXIST;
		goto out;
	}
	made = snapshot_make(count + 1);
	if (!made) {
		error = -ENOMEM;
		goto out;
	}
	if (old) {
		memcpy(made->range, old->range, at * sizeof(old->range[0]));
		memcpy(made->range + at + 1, old->range + at, (count - at) * sizeof(old->range[0]));
	}
	made->range[at] = (struct range){from, size, to};
	publish(map, old, made);
out:
	pthread_mutex_unlock(&map->writer);
	return error;
}

int pamap_remove(struct pamap *map, uint64_t from)
{
	struct snapshot *old, *made = NULL;
	size_t at;
	int error = 0;

	pthread_mutex_lock(&map->writer);
	old = atomic_load_explicit(&map->snapshot, memory_order_relaxed);
	at = rank(old, from);
	if (at == 0 || old->range[at - 1].from != from) {
		error = -ENOENT;
		goto out;
	}
	if (old->count > 1) {
		made = snapshot_make(old->count - 1);
		if (!made) {
			error = -ENOMEM;
			goto out;
		}
		memcpy(made->range, old->range, (at - 1) * sizeof(old->range[0]));
		memcpy(made->range + at - 1, old->range + at, (old->count - at) * sizeof(old->range[0]));
	}
	publish(map, old, made);
out:
	pthread_mutex_unlock(&map->writer);
	return error;
}

bool pamap_lookup(struct pamap *map, uint64_t at, uint64_t len, struct pamap_value *out)
{
	const struct snapshot *snapshot;
	bool found = false;
	size_t below;

	/* An empty map needs no read section, so a manager without dynamic mappings never meets RCU. */
	if (!atomic_load_explicit(&map->snapshot, memory_order_relaxed))
		return false;
	rcu_read_lock();
	snapshot = atomic_load_explicit(&map->snapshot, memory_order_acquire); /* [P1] */
	below = rank(snapshot, at);
	if (below > 0) {
		const struct range *range = &snapshot->range[below - 1];

		if (at - range->from < range->size && len <= range->size - (at - range->from)) {
			out->to = range->to + (at - range->from);
			found = true;
		}
	}
	rcu_read_unlock();
	return found;
}
