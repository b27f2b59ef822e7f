/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Translation between physical and virtual addresses of everything that a manager knows. */
#ifndef ISTHMUS_TRANSLATE_H
#define ISTHMUS_TRANSLATE_H

#include <isthmus/manager.h>

IST_BEGIN_DECLS

/*
 * Where [paddr, paddr + len) lies in this process, or where [vaddr, vaddr + len) lies physically. The carve-out
 * (after rounding, both pools) is one mapping; whether the bytes are allocated does not matter. A dynamic mapping
 * (mapping.h) is found by whole pages, one stretch of consecutive physical pages at a time; of several mappings that hold the
 * range the oldest answers. What is found there stays mapped only inside a read section (read.h) or with a reference.
 *
 * Returns 0 and the address of the first byte in *out;
 *   -EINVAL  manager or out is null, len is 0, or the range runs past the top of the address space;
 *   -ENOENT  the range does not lie wholly inside one mapping.
 * Wait-free; for the carve-out signal safe. (A thread's first lookup outside the carve-out, once a manager has other
 * mappings, registers it with RCU, which takes a lock.) Source: requirements T1 to T3.
 */
IST_API int ist_phys_to_virt(struct ist_manager *manager, uint64_t paddr, size_t len, void **out);
IST_API int ist_virt_to_phys(struct ist_manager *manager, const void *vaddr, size_t len, uint64_t *out);

IST_END_DECLS

#endif
