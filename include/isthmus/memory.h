/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What kind of memory a physical address is, of all that a manager knows: its two pools, and backings. */
#ifndef ISTHMUS_MEMORY_H
#define ISTHMUS_MEMORY_H

#include <isthmus/manager.h>

IST_BEGIN_DECLS

/* Types, one bit each: a set of them is their sum. */
#define IST_MEMORY_DRIVER 1u /* the driver pool */
#define IST_MEMORY_CLIENT 2u /* the client pool of the carve-out */
#define IST_MEMORY_RAM 4u /* a backing of memory, whether or not anything of it is registered */
#define IST_MEMORY_DEVICE 8u /* a backing with IST_DEVICE */

/* A region: as much of one pool or backing as lies together. Where a backing covers the carve-out, the pools count. */
struct ist_memory {
	uint64_t paddr, size; /* paddr + size is 2^64, so 0, at the top of the address space */
	uint32_t type; /* one of the above */
	uint32_t attributes; /* of a backing (backing.h) */
};

/*
 * The region that holds a physical address; and the first one that holds it or lies above it, so that whoever goes on at its
 * end sees all. The answer is history if backings come and go.
 *
 * Return 0; -ENOENT there is none; -EINVAL a null argument. Lock-free. Source: optee_os core/mm/core_mmu.c, core_mmu_get_type_by_pa.
 */
IST_API int ist_memory_find(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out);
IST_API int ist_memory_next(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out);

/*
 * The only region of these types: -ENOENT there is none; -EEXIST there are several; -ERANGE it is smaller than `size`;
 * -EINVAL a null argument, size 0, an unknown type or none. Lock-free; the time goes with the regions.
 * Source: core_mmu_find_mapping_exclusive there.
 */
IST_API int ist_memory_only(struct ist_manager *manager, uint32_t types, uint64_t size,
                            struct ist_memory *out);

/*
 * Whether every byte of [paddr, paddr + size) is memory of these types, in one region or several side by side. An empty range is
 * of every type; one that wraps is of none. Lock-free; the time goes with the regions. Source: core_pbuf_is there.
 */
IST_API bool ist_memory_is(struct ist_manager *manager, uint32_t types, uint64_t paddr, uint64_t size);

/*
 * As ist_phys_to_virt (translate.h), and -ENOENT also if the range is not memory of these types. With IST_MEMORY_DEVICE it
 * finds registers that are mapped (mmio.h), and nothing else. Source: phys_to_virt and phys_to_virt_io there.
 */
IST_API int ist_memory_to_virt(struct ist_manager *manager, uint32_t types, uint64_t paddr, size_t size,
                               void **out);

/*
 * How two ranges of addresses lie: whether [a, a + a_size) is wholly inside [b, b + b_size), wholly outside it, or has
 * some of it. Of an empty range, or one that wraps (ending at 2^64 is fine), nothing is true. Wait-free. Source: core_is_buffer_inside, _outside and
 * _intersect in core/include/mm/core_memprot.h of optee_os.
 */
static inline bool ist_ranges_are_plain(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a_size != 0 && b_size != 0 && a_size - 1 <= UINT64_MAX - a && b_size - 1 <= UINT64_MAX - b;
}

static inline bool ist_range_intersects(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return ist_ranges_are_plain(a, a_size, b, b_size) && a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

static inline bool ist_range_is_outside(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return ist_ranges_are_plain(a, a_size, b, b_size) && !ist_range_intersects(a, a_size, b, b_size);
}

static inline bool ist_range_is_inside(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return ist_ranges_are_plain(a, a_size, b, b_size) && a >= b && a + (a_size - 1) <= b + (b_size - 1);
}

IST_END_DECLS

#endif
