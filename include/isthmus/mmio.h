/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Registers of devices, mapped and unmapped at any time, any number of them: what kernels call ioremap. */
#ifndef ISTHMUS_MMIO_H
#define ISTHMUS_MMIO_H

#include <isthmus/mapping.h>

IST_BEGIN_DECLS

/*
 * Map [paddr, paddr + len) of a backing with IST_DEVICE (backing.h), whose file decides how it is cached. *vaddr is where paddr
 * lies. Mapping the same range again gives the same address and counts; a range inside one that is mapped shares its
 * pages. Translated, found and referenced like every mapping; its owner is the host.
 *
 * Returns 0; -EINVAL a null argument, len 0 or a range that wraps; -ENXIO it is not wholly in backings of devices (so
 * memory, and what is registered as such, is refused, as registers are by ist_mapping_register); -EACCES a protected page, or
 * one of the carve-out; what the file's own mmap answers; and -ENOSPC, -ENOTSUP, -ENOMEM, -EAGAIN, -EDEADLK as of ist_mapping_register. May block.
 * Source: requirements M1, M2, M5.
 */
IST_API int ist_mmio_map(struct ist_manager *manager, uint64_t paddr, size_t len, void **vaddr);

/*
 * Take back one ist_mmio_map that had this len and answered this vaddr. After the last one it is not found any more, and its
 * pages are unmapped when no reference, no range inside it and no read section needs them (ist_virt_to_phys knows them until the
 * last range inside it has gone).
 *
 * Returns 0; -EINVAL a null argument or len 0; -ENOENT there is no such mapping: both must be exact; -ENOMEM, -EAGAIN,
 * -EDEADLK. May block. Source: doc/requirements.md, M3.
 */
IST_API int ist_mmio_unmap(struct ist_manager *manager, const void *vaddr, size_t len);

IST_END_DECLS

#endif
