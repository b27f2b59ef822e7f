/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "slab/quarantine.h"

#include <errno.h>

#include "platform/platform.h"

#define START_BITS 40
#define GRANULES_MAX ((UINT64_C(1) << (64 - START_BITS)) - 1)

int quarantine_create(struct quarantine *quarantine, size_t count)
{
	*quarantine = (struct quarantine){.count = count};
	if (count == 0)
		return 0;
	if (count > SIZE_MAX / sizeof(uint64_t))
		return -ENOMEM;
	quarantine->slots = platform_map(count * sizeof(uint64_t));
	return quarantine->slots ? 0 : -ENOMEM;
}

void quarantine_destroy(struct quarantine *quarantine)
{
	if (quarantine->slots)
		platform_unmap((void *)(uintptr_t)quarantine->slots, quarantine->count * sizeof(uint64_t));
}

static struct quarantined unpack(uint64_t word)
{
	if (word == 0)
		return (struct quarantined){0, 0};
	return (struct quarantined){(size_t)(word & ((UINT64_C(1) << START_BITS) - 1)) - 1,
	                            (size_t)(word >> START_BITS)};
}

/* Acquire: what was done to the run that comes out; release: to the one that goes in. */
static struct quarantined swap(struct quarantine *quarantine, size_t index, uint64_t word)
{
	return unpack(atomic_exchange_explicit(&quarantine->slots[index], word, memory_order_acq_rel));
}

struct quarantined quarantine_exchange(struct quarantine *quarantine, struct quarantined run)
{
	uint64_t ticket;

	if (run.granules > GRANULES_MAX || run.start + 1 >= UINT64_C(1) << START_BITS)
		return run;
	ticket = atomic_fetch_add_explicit(&quarantine->next, 1,
	                                   memory_order_relaxed); /* only to take turns */
	return swap(quarantine, (size_t)(ticket % quarantine->count),
	            (uint64_t)run.granules << START_BITS | (uint64_t)(run.start + 1));
}

struct quarantined quarantine_take(struct quarantine *quarantine, size_t index)
{
	if (!quarantine_has(quarantine, index))
		return (struct quarantined){0, 0};
	return swap(quarantine, index, 0);
}

size_t quarantine_inside(const struct quarantine *quarantine, size_t *granules)
{
	size_t inside = 0;

	*granules = 0;
	for (size_t i = 0; i < quarantine->count; i++) {
		struct quarantined run =
		        unpack(atomic_load_explicit(&quarantine->slots[i], memory_order_relaxed));

		inside += run.granules != 0;
		*granules += run.granules;
	}
	return inside;
}
