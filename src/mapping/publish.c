/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* In and out of the two address maps. */
#include <errno.h>

#include "mapping/space.h"

#define CHUNK 32u

/* The next up to CHUNK stretches of a mapping as entries of one map. */
struct walk {
	const struct mapping *mapping;
	uint32_t slot, at;
	uint64_t to; /* page of the window */
	bool reverse; /* by virtual address */
};

static struct walk walk_begin(struct space *space, uint32_t slot, bool reverse)
{
	const struct mapping *mapping = mapping_at(space, slot);

	return (struct walk){mapping, slot, mapping->out,
	                     (uint64_t)(uintptr_t)mapping->vaddr / IST_PAGE_SIZE + mapping->out_pages,
	                     reverse};
}

static size_t walk_next(struct walk *walk, struct pamap_entry *entries)
{
	const struct mapping *mapping = walk->mapping;
	const struct extent *extent = mapping_extents(mapping);
	size_t count = 0;

	for (; count < CHUNK && walk->at < mapping->extents; walk->at++, count++) {
		uint64_t page = extent[walk->at].page;

		entries[count] = (struct pamap_entry){
		        .page = walk->reverse ? walk->to : page,
		        .to = walk->reverse ? page : walk->to,
		        .pages = extent[walk->at].pages,
		        .handle = walk->slot,
		        .owner = mapping->owner,
		        .attributes = mapping->attributes,
		};
		walk->to += extent[walk->at].pages;
	}
	return count;
}

static int insert_all(struct space *space, struct pamap *map, uint32_t slot, unsigned flags)
{
	struct walk walk = walk_begin(space, slot, map == space->by_vaddr);
	struct pamap_entry entries[CHUNK];
	size_t count;
	int error = 0;

	while (!error && (count = walk_next(&walk, entries)) > 0)
		error = pamap_insert_many(map, entries, count, flags, NULL);
	return error;
}

/* What is out already is no error, so that this can be tried again. */
static int remove_these(struct pamap *map, const struct pamap_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = pamap_remove(map, &entries[i]);

		if (error && error != -ENOENT)
			return error;
	}
	return 0;
}

static int remove_all(struct space *space, struct pamap *map, uint32_t slot)
{
	struct walk walk = walk_begin(space, slot, map == space->by_vaddr);
	struct pamap_entry entries[CHUNK];
	size_t count;
	int error = 0;

	while (!error && (count = walk_next(&walk, entries)) > 0)
		error = remove_these(map, entries, count);
	return error;
}

int retract_some(struct space *space, uint32_t slot, uint32_t *budget)
{
	struct mapping *mapping = mapping_at(space, slot);
	struct pamap_entry entries[CHUNK], back[CHUNK];

	while (mapping->kind != MAPPING_RANGE && *budget > 0 && mapping->extents - mapping->out > CHUNK) {
		struct walk by_paddr = walk_begin(space, slot, false),
		            by_vaddr = walk_begin(space, slot, true);
		size_t count = walk_next(&by_paddr, entries);
		int error = remove_these(space->by_paddr, entries, count);

		walk_next(&by_vaddr, back);
		if (!error)
			error = remove_these(space->by_vaddr, back, count);
		if (error)
			return error;
		mapping->out += (uint32_t)count;
		mapping->out_pages = by_paddr.to - (uint64_t)(uintptr_t)mapping->vaddr / IST_PAGE_SIZE;
		*budget -= *budget < count ? *budget : (uint32_t)count;
	}
	return 0;
}

int retract(struct space *space, uint32_t slot)
{
	const struct mapping *mapping = mapping_at(space, slot);
	int error;

	if (mapping->kind == MAPPING_RANGE)
		return range_retract(space, slot, 0, mapping_pages(mapping));
	error = remove_all(space, space->by_paddr, slot);
	return error ? error : remove_all(space, space->by_vaddr, slot);
}

/* Whether a page of it is mapped by something that the maps do not show. */
static bool holds_any(struct space *space, uint32_t slot)
{
	const struct mapping *mapping = mapping_at(space, slot);
	const struct extent *extent = mapping_extents(mapping);

	if (mapping->kind == MAPPING_RANGE)
		return false;
	for (uint32_t i = 0; i < mapping->extents; i++)
		if (space_is_held(space, extent[i].page, extent[i].pages, slot))
			return true;
	return false;
}

/* By physical address last: who finds it can translate back. */
int publish(struct space *space, uint32_t slot, bool strict)
{
	int error = strict && holds_any(space, slot) ? -EEXIST : insert_all(space, space->by_vaddr, slot, 0);

	if (!error)
		error = insert_all(space, space->by_paddr, slot, strict ? PAMAP_EXCLUSIVE : 0);
	if (!error)
		return 0;
	if (retract(space, slot)) {
		const struct mapping *mapping = mapping_at(space, slot);

		/* It counts as its owner's until it is out: the owner's number in the maps must not be used again before. */
		owner_hold(mapping_owner(space, mapping), 0);
		mapping_owner(space, mapping)->stuck++;
		mapping_at(space, slot)->next = space->stuck;
		space->stuck = slot;
	} else {
		limbo_add(space, slot);
	}
	return error;
}

void retract_stuck(struct space *space)
{
	while (space->stuck) {
		uint32_t slot = space->stuck;
		const struct mapping *mapping = mapping_at(space, slot);
		struct owner *owner = mapping_owner(space, mapping);

		if (retract(space, slot))
			return;
		space->stuck = mapping->next;
		limbo_add(space, slot);
		owner->stuck--;
		space_owe(space, owner);
	}
}
