/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Reserved address space into which single pages are mapped, and out of which they are taken, one by one. */
#ifndef ISTHMUS_RANGE_H
#define ISTHMUS_RANGE_H

#include <isthmus/mapping.h>

IST_BEGIN_DECLS

/*
 * Reserve address space for `pages` pages, inaccessible until they are mapped. It is a mapping like others: it has a cookie (or
 * 0), an owner whose quota counts all of its pages, references, and goes with its owner.
 *
 * Returns 0; -EINVAL a null argument, pages 0 or more than the window has, an unknown flag (IST_MAPPING_READ_ONLY and
 * IST_MAPPING_GUARD are known); -ENOTSUP the host's pages are larger than IST_PAGE_SIZE; and -EEXIST, -ENOENT, -ESHUTDOWN,
 * -EDQUOT, -ENOSPC, -EAGAIN, -ENOMEM, -EDEADLK as of ist_mapping_register. May block.
 */
IST_API int ist_range_reserve(struct ist_manager *manager, uint64_t pages, uint32_t owner, uint64_t cookie,
                              unsigned flags, struct ist_mapping *out);

/*
 * Map `count` pages at page `first` of the range; all of them or none.
 *
 * Returns 0; -EINVAL a null argument, count 0, an address that is not a multiple of IST_PAGE_SIZE; -ERANGE not inside the range;
 * -EEXIST a page of the range is in use already, or IST_MAPPING_STRICT is configured for all mappings and one of the pages is
 * mapped; -ENXIO, -EACCES as of ist_mapping_register; -ENOENT the range is gone; -EAGAIN pages of the range are being unmapped,
 * or as of ist_mapping_register; -ENOMEM, -EDEADLK. Each element of the array is read once. May block. Source: requirements D21, M4.
 */
IST_API int ist_range_map(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                          const uint64_t *pages, uint64_t count);

/*
 * Unmap `count` pages at page `first` of the range; all of them or none. Waits for the read sections that may know them, and
 * holds up nobody else meanwhile.
 *
 * Returns 0; -EINVAL, -ERANGE, -ENOENT as above; -ENXIO a page of these is not mapped; -EBUSY the range is referenced;
 * -EAGAIN (another call is unmapping pages of the range), -ENOMEM call again; -EDEADLK. May block.
 */
IST_API int ist_range_unmap(struct ist_manager *manager, const struct ist_mapping *range, uint64_t first,
                            uint64_t count);

/* Give the range back, whatever is mapped in it. Errors as of ist_mapping_unregister_one. May block. */
IST_API int ist_range_release(struct ist_manager *manager, const struct ist_mapping *range, unsigned flags);

IST_END_DECLS

#endif
