/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Backings: what physical addresses mean in this process. Needed before pages there can be registered or mapped. */
#ifndef ISTHMUS_BACKING_H
#define ISTHMUS_BACKING_H

#include <isthmus/manager.h>

IST_BEGIN_DECLS

/* Attributes of a backing, and of what is mapped from it. */
#define IST_READ_ONLY 1u /* mapped without write permission */
#define IST_DEVICE                                                                                           \
	2u /* registers of a device, not memory: for ist_mmio_map only; the file decides about caching */
#define IST_UNCACHED 4u /* the file maps it uncached; kept and reported, nothing else depends on it */

/* Zero-initialise, then fill in. Members may be added at the end. */
struct ist_backing {
	uint64_t paddr; /* of the first byte, a multiple of IST_PAGE_SIZE */
	uint64_t size; /* bytes, a multiple of IST_PAGE_SIZE */
	/*
	 * Where it is: the bytes from `offset` of an open file (a memfd that stands for guest RAM, /dev/mem, a UIO or VFIO
	 * region, hugetlbfs), or, if vaddr is not null, memory that the caller has mapped and keeps mapped.
	 */
	void *vaddr;
	int fd;
	uint64_t offset; /* a multiple of IST_PAGE_SIZE */
	uint32_t attributes; /* IST_READ_ONLY | IST_DEVICE | IST_UNCACHED */
};

/*
 * Add a backing; any number of them, as long as they do not overlap. A descriptor is duplicated.
 *
 * A file must be as long as the backing needs it, and stay so: a page behind the end of a file that is truncated later kills
 * whoever touches it (SIGBUS). The library itself touches none, but its callers do; so let the file be sealed against
 * shrinking (F_SEAL_SHRINK of memfd_create) where somebody else holds it too. Nothing is asked of other seals.
 *
 * A regular file is mapped once, as a whole, when it is added, and unmapped when the backing is removed: what is registered of it lies
 * there, without system calls (mapping.h). Where that cannot be had (opened for reading only; no such stretch of address space) its
 * pages are mapped when they are registered. Devices are never mapped as a whole. Of a file whose pages are larger than the host's
 * (hugetlbfs) no pieces can be mapped: it is refused if it cannot be mapped as a whole, and what is registered of it must be
 * one stretch, or segments, without guard pages.
 *
 * Memory of the caller's may be made of several mappings side by side, of one file or of several. What of it is mapped again
 * wants shared mappings; where one file ends and another begins is read from /proc/self/maps once a backing. Memory that is in
 * several backings is translated from virtual to physical by the one that was added first.
 *
 * Returns 0;
 *   -EINVAL   a null argument, an empty or wrapping range, something not a multiple of IST_PAGE_SIZE, an unknown attribute, a
 *             regular file that is too short (or empty);
 *   -EMLINK   the same memory of the caller's in more than 1024 backings;
 *   -ENOTSUP  a file of larger pages than the host's, and size or offset is not a multiple of them;
 *   -EEXIST   it overlaps a backing that is there;
 *   -EBADF    vaddr is null and fd no open descriptor (or another negative errno value of duplicating);
 *   -ENOMEM   no memory for bookkeeping;
 *   -EDEADLK  called inside a read section.
 * May block.
 */
IST_API int ist_backing_add(struct ist_manager *manager, const struct ist_backing *backing);

/*
 * Remove the backing that begins at paddr. When nothing of it is in use, nothing new can be registered (-ENXIO), and the call
 * waits for what was unregistered to be unmapped: for readers, and holding up nobody else.
 *
 * Returns 0; -ENOENT there is none; -EBUSY a mapping has pages of it, also one that is unregistered but referenced or whose
 * owner is being destroyed, or it is being removed; -ENOMEM, -EAGAIN (the system refuses to unmap something, there is no memory, too
 * much waits for readers): call again; -EINVAL, -EDEADLK as above. May block.
 */
IST_API int ist_backing_remove(struct ist_manager *manager, uint64_t paddr);

/* The backing that holds paddr, as it was added, but with our descriptor. -ENOENT, -EINVAL, -EDEADLK. May block. */
IST_API int ist_backing_find(struct ist_manager *manager, uint64_t paddr, struct ist_backing *out);

/*
 * Protect physical addresses: no page of [paddr, paddr + size) can be registered (-EACCES) until it is unprotected by the
 * same two values. For memory that is lent to somebody else. The range is widened to whole pages.
 *
 * protect: waits, as ist_backing_remove does, for what was unregistered to be unmapped. 0; -EBUSY a page of it is registered, or
 * a reference or an owner that is being destroyed still reaches it; -EEXIST it overlaps a protected range; -EINVAL empty or
 * wrapping; -ENOMEM; -EDEADLK. When it fails nothing is protected. unprotect: 0; -ENOENT; -EDEADLK. May block. Source: doc/requirements.md, D11.
 */
IST_API int ist_protect(struct ist_manager *manager, uint64_t paddr, uint64_t size);
IST_API int ist_unprotect(struct ist_manager *manager, uint64_t paddr, uint64_t size);

IST_END_DECLS

#endif
