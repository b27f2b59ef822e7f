/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/world.h"

#include <errno.h>
#include <string.h>

struct world world;

uint64_t world_paddr(int page)
{
	return BASE + (uint64_t)page * PAGE;
}

size_t world_below(size_t limit)
{
	return random_below(&world.seed, limit);
}

int world_backing_of(int page)
{
	return page < HALF ? 0 : page < RAM_PAGES ? 1 : 2;
}

void world_against(bool condition, int error)
{
	for (size_t i = 0; i < world.reasons; i++)
		condition &= world.reason[i] != error;
	if (condition)
		world.reason[world.reasons++] = error;
}

bool world_foretold(int answer)
{
	bool known = answer == 0 && world.reasons == 0;

	for (size_t i = 0; i < world.reasons; i++)
		known |= answer == world.reason[i];
	if (!known)
		print_message("answer %d, %zu reasons, the first %d\n", answer, world.reasons,
		              world.reasons ? world.reason[0] : 0);
	assert_true(known);
	world.reasons = 0;
	return answer == 0;
}

bool world_has(const struct entry *e, int page)
{
	for (size_t i = 0; i < e->pages; i++)
		if (e->page[i] == page)
			return true;
	return false;
}

bool world_is_used(int page)
{
	for (size_t i = 0; i < world.entries; i++)
		if (world_has(&world.entry[i], page))
			return true;
	return false;
}

bool world_is_protected(int page)
{
	for (size_t i = 0; i < world.protections; i++)
		if (page >= world.protection[i].first &&
		    page < world.protection[i].first + world.protection[i].count)
			return true;
	return false;
}

bool world_is_kept(const struct entry *e)
{
	if (e->live || e->refs + e->maps > 0)
		return true;
	for (size_t i = 0; i < world.entries; i++)
		if (world.entry[i].parent == e->serial)
			return true;
	return false;
}

void world_sweep(void)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < world.entries; i++) {
			if (world_is_kept(&world.entry[i]))
				continue;
			memmove(&world.entry[i], &world.entry[i + 1],
			        (world.entries - i - 1) * sizeof(world.entry[0]));
			world.entries--;
			again = true;
			break;
		}
	}
	for (uint32_t id = 1; id < OWNERS; id++) {
		bool left = false;

		for (size_t i = 0; i < world.entries; i++)
			left |= world.entry[i].owner == id;
		if (world.owner[id] == DYING && !left)
			world.owner[id] = ABSENT;
	}
}

struct entry *world_some(void)
{
	return world.entries ? &world.entry[world_below(world.entries)] : NULL;
}

struct entry *world_by_cookie(uint32_t id, uint64_t cookie)
{
	for (size_t i = 0; i < world.entries; i++)
		if (world.entry[i].live && world.entry[i].owner == id && world.entry[i].cookie == cookie &&
		    cookie)
			return &world.entry[i];
	return NULL;
}

void world_against_owner(uint32_t id, uint64_t cookie)
{
	world_against(world.owner[id] == ABSENT, -ENOENT);
	world_against(world.owner[id] == DYING, -ESHUTDOWN);
	world_against(world_by_cookie(id, cookie) != NULL, -EEXIST);
}

void world_against_pages(const int *page, size_t count, bool strict)
{
	for (size_t i = 0; i < count; i++) {
		world_against(!world.backing[world_backing_of(page[i])] || page[i] >= RAM_PAGES, -ENXIO);
		world_against(world_is_protected(page[i]), -EACCES);
		world_against(strict && world_is_used(page[i]), -EEXIST);
		for (size_t k = 0; k < i; k++)
			world_against(strict && page[i] == page[k], -EEXIST);
	}
}

struct entry *world_append(enum kind kind, uint32_t id, uint64_t cookie, size_t pages)
{
	struct entry *e = &world.entry[world.entries++];

	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->live = true;
	e->owner = id;
	e->cookie = cookie;
	e->pages = pages;
	e->parent = NONE;
	e->serial = ++world.serial;
	return e;
}
