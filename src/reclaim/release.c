/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the limbo does with mappings that no reader can know any more: unmap, give back, make the slots ready for use. */
#include <errno.h>
#include <stdlib.h>

#include "platform/platform.h"
#include "reclaim/limbo.h"
#include "space/range_words.h"

#define GROUP 256u /* slots that are handled at once */

struct release {
	struct space *space;
	uint32_t slot[GROUP];
	unsigned count;
	uint32_t refused; /* a list */
};

static int by_address(const void *a, const void *b, void *context)
{
	struct space *space = context;
	uint32_t x = mapping_at(space, *(const uint32_t *)a)->run.first,
	         y = mapping_at(space, *(const uint32_t *)b)->run.first;

	return (x > y) - (x < y);
}

int limbo_unmap_run(struct space *space, struct run run)
{
	return platform_reserve_at(window_address(&space->window, run), (size_t)run.count * IST_PAGE_SIZE);
}

/* Slots [from, to) of the group lie side by side: at once, or if that is refused one by one. */
static void unmap_side_by_side(struct release *release, unsigned from, unsigned to)
{
	struct space *space = release->space;
	struct run first = mapping_at(space, release->slot[from])->run,
	           last = mapping_at(space, release->slot[to - 1])->run;
	int error = limbo_unmap_run(space, (struct run){first.first, last.first + last.count - first.first});

	for (unsigned i = from; i < to; i++) {
		struct mapping *mapping = mapping_at(space, release->slot[i]);

		int own = error && error != -ESTALE ? limbo_unmap_run(space, mapping->run) : error;

		if (own && own != -ESTALE) {
			mapping->next = release->refused;
			release->refused = release->slot[i];
			release->slot[i] = 0;
			continue;
		}
		window_leave(&space->window, mapping->run);
		if (own)
			window_lose(
			        &space->window); /* a part of it may be somebody else's: never used again */
		else
			window_give(&space->window, mapping->run);
		mapping->place = PLACE_NONE;
	}
}

/* A list of an owner's slots, linked from first to last. He has not ended before his batch has. */
static void push_released(struct space *space, uint32_t first, uint32_t last)
{
	struct mapping *mapping = mapping_at(space, last);
	struct owner *owner = mapping_owner(space, mapping);
	uint32_t top = atomic_load_explicit(&owner->released, memory_order_relaxed);

	do
		mapping->next = top;
	while (!atomic_compare_exchange_weak_explicit(&owner->released, &top, first,
	                                              memory_order_release, /* space_take_slot */
	                                              memory_order_relaxed));
}

/* What was mapped for it is gone: all else that it had. */
static void strip(struct space *space, struct mapping *mapping)
{
	if (mapping->kind == MAPPING_RANGE)
		range_drop(space, mapping);
}

/* The slots' next lives may begin, of one owner's at a time. Clears the group. */
static void release_group(struct release *release)
{
	struct space *space = release->space;
	uint32_t first = 0, last = 0, released = 0;

	for (unsigned i = 0; i < release->count; i++) {
		struct mapping *mapping = mapping_at(space, release->slot[i]);

		if (release->slot[i] == 0)
			continue;
		if (first && mapping_at(space, first)->owner != mapping->owner) {
			push_released(space, first, last);
			first = last = 0;
		}
		strip(space, mapping);
		/* Before the slot lives again [space.S4]: limbo_wait_end reads refs before this. */
		atomic_fetch_add_explicit(&mapping->generation, 1, memory_order_release);
		released++;
		mapping->next = first;
		first = release->slot[i];
		last = last ? last : first;
	}
	if (first)
		push_released(space, first, last);
	atomic_fetch_sub_explicit(&space->limbo.waiting, released, memory_order_relaxed);
	release->count = 0;
}

static void unmap_group(struct release *release)
{
	struct space *space = release->space;
	unsigned from = 0;

	qsort_r(release->slot, release->count, sizeof(release->slot[0]), by_address, space);
	for (unsigned i = 1; i <= release->count; i++) {
		const struct run *before = &mapping_at(space, release->slot[i - 1])->run;

		if (i < release->count &&
		    mapping_at(space, release->slot[i])->run.first == before->first + before->count)
			continue;
		unmap_side_by_side(release, from, i);
		from = i;
	}
}

static void add_to_group(struct release *release, uint32_t slot)
{
	release->slot[release->count++] = slot;
}

static void unmap_and_release(struct release *release)
{
	if (release->count)
		unmap_group(release);
	release_group(release);
}

uint32_t limbo_unmap(struct space *space, uint32_t slot)
{
	struct release release = {.space = space};

	while (slot) {
		uint32_t next = mapping_at(space, slot)->next;

		add_to_group(&release, slot);
		if (release.count == GROUP)
			unmap_and_release(&release);
		slot = next;
	}
	unmap_and_release(&release);
	return release.refused;
}

uint32_t limbo_release(struct space *space, uint32_t slot)
{
	struct release release = {.space = space};
	uint32_t runs = 0;

	while (slot) {
		struct mapping *mapping = mapping_at(space, slot);
		uint32_t next = mapping->next;

		if (mapping_has_run(mapping)) {
			mapping->next = runs;
			runs = slot;
		} else {
			add_to_group(&release, slot);
		}
		if (release.count == GROUP)
			release_group(&release);
		slot = next;
	}
	release_group(&release);
	return runs;
}

void limbo_release_one(struct space *space, uint32_t slot)
{
	struct release release = {.space = space};

	add_to_group(&release, slot);
	release_group(&release);
}
