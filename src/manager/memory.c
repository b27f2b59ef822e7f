/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "manager/memory.h"

#include <errno.h>

static uint64_t last_of(uint64_t paddr, uint64_t size)
{
	return paddr + (size - 1);
}

static bool holds(uint64_t paddr, uint64_t size, uint64_t at)
{
	return at - paddr < size;
}

static struct ist_memory pool_memory(const struct pool *pool, uint32_t type)
{
	return (struct ist_memory){.paddr = pool->paddr, .size = pool->size, .type = type};
}

/* What is above or below the carve-out of a backing that has `at`, which is not in it. */
static struct ist_memory backing_memory(const struct ist_manager *manager, const struct backing *backing,
                                        uint64_t at)
{
	const struct ist_view *carve_out = &manager->carve_out;
	uint64_t first = backing->page * IST_PAGE_SIZE, last = last_of(first, backing->pages * IST_PAGE_SIZE),
	         end = last_of(carve_out->paddr, carve_out->size);

	if (at > end && first <= end)
		first = end + 1;
	if (at < carve_out->paddr && last >= carve_out->paddr)
		last = carve_out->paddr - 1;
	return (struct ist_memory){
	        .paddr = first,
	        .size = last - first + 1,
	        .type = backing->attributes & IST_DEVICE ? IST_MEMORY_DEVICE : IST_MEMORY_RAM,
	        .attributes = backing->attributes,
	};
}

static bool find(struct ist_manager *manager, uint64_t at, struct ist_memory *out)
{
	const struct pool *driver = &manager->driver.pool, *client = &manager->client.pool;
	const struct backing *backing;

	if (holds(driver->paddr, driver->size, at)) {
		*out = pool_memory(driver, IST_MEMORY_DRIVER);
		return true;
	}
	if (holds(client->paddr, client->size, at)) {
		*out = pool_memory(client, IST_MEMORY_CLIENT);
		return true;
	}
	rcu_enter();
	backing = space_find_backing(&manager->space, at / IST_PAGE_SIZE);
	if (backing)
		*out = backing_memory(manager, backing, at);
	rcu_leave();
	return backing != NULL;
}

/* The region that has `at`, or the next one above. */
static bool next(struct ist_manager *manager, uint64_t at, struct ist_memory *out)
{
	uint64_t carve_out = manager->carve_out.paddr, page = at / IST_PAGE_SIZE;
	struct pamap_entry entry;
	bool is_below = at < carve_out;

	if (find(manager, at, out))
		return true;
	/* Again, if what was there has gone before it could be looked at. */
	for (; pamap_next(manager->by_paddr, page, &entry); page = entry.page + 1) {
		if (is_below && entry.page >= carve_out / IST_PAGE_SIZE)
			break;
		if (find(manager, entry.page * IST_PAGE_SIZE, out))
			return true;
	}
	return is_below && find(manager, carve_out, out);
}

int memory_find(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out)
{
	struct ist_memory found;

	if (!find(manager, paddr, &found))
		return -ENOENT;
	*out = found;
	return 0;
}

int memory_next(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out)
{
	struct ist_memory found;

	if (!next(manager, paddr, &found))
		return -ENOENT;
	*out = found;
	return 0;
}

int memory_only(struct ist_manager *manager, uint32_t types, uint64_t size, struct ist_memory *out)
{
	struct ist_memory memory, found = {.size = 0};
	uint64_t at = 0;

	if (size == 0 || types == 0 || (types & ~MEMORY_TYPES))
		return -EINVAL;
	while (next(manager, at, &memory)) {
		if (memory.type & types) {
			if (found.size)
				return -EEXIST;
			found = memory;
		}
		at = memory.paddr + memory.size;
		if (at == 0) /* it ends at the top of the address space */
			break;
	}
	if (found.size == 0)
		return -ENOENT;
	if (found.size < size)
		return -ERANGE;
	*out = found;
	return 0;
}

bool memory_is(struct ist_manager *manager, uint32_t types, uint64_t paddr, uint64_t size)
{
	struct ist_memory memory;
	uint64_t last = last_of(paddr, size);

	if (last < paddr)
		return false;
	while (find(manager, paddr, &memory) && (memory.type & types)) {
		if (last_of(memory.paddr, memory.size) >= last)
			return true;
		paddr = memory.paddr + memory.size;
	}
	return false;
}
