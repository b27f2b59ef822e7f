/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Dynamic mappings: pages that somebody else owns (a guest, a client) registered at run time and found again by cookie, by
 * physical and by virtual address, until they are unregistered or their owner is destroyed.
 *
 * Two kinds of call. The control path (register, unregister, ...) may block. What an owner registers and unregisters where
 * its backings are mapped holds up that owner alone; all else makes system calls and is one after the
 * other, but for what it waits for: readers, references, pages of a list and callbacks hold up their own call alone. Of these
 * waits unregister's for references and ist_mapping_drain are cancellation points; a thread that is cancelled there leaves
 * nothing locked, and what it had done stays done. Lookups and references take no lock and never wait for the control path (a thread's first lookup registers it
 * with RCU, which takes a lock once; the last put of a mapping that is unregistered takes one for a few instructions, to
 * leave it to those who unmap).
 *
 * What a mapping's pages hold may change at any time: the peer writes there.
 */
#ifndef ISTHMUS_MAPPING_H
#define ISTHMUS_MAPPING_H

#include <isthmus/backing.h>
#include <isthmus/owner.h>
#include <isthmus/read.h>

#include <sys/uio.h>

IST_BEGIN_DECLS

/* How mappings are made. Zero-initialise; every 0 means the default. Members may be added at the end. */
struct ist_mapping_config {
	uint64_t
	        window_size; /* address space for mappings, bytes; default 64 GiB. It is reserved, not used. */
	/*
	 * Bytes of unregistered pages that stay mapped, so that registering the same pages for the same owner again costs
	 * no system call; default 0: none. They are no longer found by any lookup, but a stray pointer in this process
	 * still reaches them, and the file's pages stay in use: switch it on for owners that know. What the owner
	 * sees does not change. Flushed by ist_mapping_flush, when the owner is destroyed, and when address space or
	 * the system's mappings run out.
	 */
	uint64_t cache_size;
	uint32_t flags; /* IST_MAPPING_STRICT, for all mappings */
};

/*
 * Before the first mapping; without it, the defaults. A first mapping that failed for want of address space has fixed nothing.
 * 0; -EINVAL; -EBUSY there has been a mapping; -EDEADLK. May block.
 */
IST_API int ist_mapping_configure(struct ist_manager *manager, const struct ist_mapping_config *config);

/* A mapping as it is found. A plain value, which owns nothing; the private members tell it from all others. */
struct ist_mapping {
	void *vaddr; /* of the first byte; null: it lies in several places (IST_MAPPING_SEGMENTS) */
	size_t size; /* bytes, exactly as registered */
	uint64_t cookie;
	uint32_t owner;
	uint32_t attributes; /* of the backings, and IST_READ_ONLY as asked */
	/* Private: which mapping, and which use of its place. */
	uint32_t slot;
	uint32_t generation;
};

#define IST_MAPPING_READ_ONLY 1u /* map without write permission */
#define IST_MAPPING_GUARD 2u /* an inaccessible page before and behind it */
#define IST_MAPPING_STRICT                                                                                   \
	4u /* -EEXIST if any page of it is mapped already, also if one is twice in its list */
#define IST_MAPPING_GUARDED 8u /* cannot be unregistered by cookie until ist_mapping_unguard */
#define IST_MAPPING_SEGMENTS                                                                                 \
	16u /* in several places, if that is where the pages are: see ist_mapping_segments */

/* Zero-initialise, then fill in. Members may be added at the end. */
struct ist_registration {
	/*
	 * The pages: an array of addresses, multiples of IST_PAGE_SIZE (each element is read once); or, if pages is null,
	 * contiguous ones from `paddr` on.
	 */
	const uint64_t *pages;
	size_t page_count; /* with pages: at least as many as offset and size need; more are ignored */
	uint64_t paddr; /* without pages: of the first byte, any alignment */
	uint64_t offset; /* with pages: of the first byte in the first page, below IST_PAGE_SIZE */
	size_t size; /* bytes, not 0 */
	uint32_t owner;
	uint32_t flags; /* IST_MAPPING_... */
	uint64_t cookie; /* to find it by, the owner's choice; 0: none */
};

/*
 * Register pages: they are mapped at consecutive addresses, *out says where, and every lookup finds them. A page may be in
 * several mappings and several times in one. Pages are found as whole pages, also the bytes before and behind the buffer.
 *
 * Pages are used where their backing is mapped (backing.h), without a system call, if they are one stretch of it, no guard pages
 * are asked for, and they need not be made read-only. Several stretches
 *   - are mapped again, side by side, so that all of the buffer lies from `vaddr` on: the default, so that `vaddr` can always be
 *     used. It costs a system call and a mapping a stretch, and splits large pages;
 *   - or, with IST_MAPPING_SEGMENTS, are used where they are as well: `vaddr` is null then, and ist_mapping_segments lists them. It
 *     costs neither, and a twentieth of the time or less (bench/run mapping): the choice for rings and descriptors.
 * Both are found and translated alike. What is used where it is stays accessible in this process after it is unregistered, as long
 * as the backing is there.
 *
 * Returns 0;
 *   -EINVAL   a null argument, size 0, offset not below IST_PAGE_SIZE, an address that is not a multiple of IST_PAGE_SIZE
 *             or wraps, fewer pages than needed, an unknown flag;
 *   -ENXIO    a page in no backing, or in one of a device;
 *   -EACCES   a protected page;
 *   -EEXIST   the owner has a mapping with that cookie; or IST_MAPPING_STRICT;
 *   -ENOENT   there is no such owner; -ESHUTDOWN it is being destroyed; -EDQUOT its quota is used up;
 *   -ENOSPC   no address space left in the window, also after waiting a moment (50 ms) for readers;
 *   -ENOTSUP  the host's pages are larger than IST_PAGE_SIZE and the pages cannot be mapped exactly;
 *   -EAGAIN   too much waits for readers;
 *   -ENOMEM   no memory, or the system refuses one more mapping (vm.max_map_count);
 *   -EDEADLK  called inside a read section;
 *   or another negative errno value of mapping the file.
 * May block. Source: requirements D8 to D14.
 */
IST_API int ist_mapping_register(struct ist_manager *manager, const struct ist_registration *registration,
                                 struct ist_mapping *out);

/*
 * The same, with the pages in a list in shared memory as OP-TEE's messages have it: bits 63 to 12 of `list` are the
 * address of its first page, which holds 511 page addresses and the address of the next list page; bits 11 to 0 are the
 * offset of the buffer in its first page. `pages`, `page_count`, `paddr` and `offset` of the registration are ignored.
 * Each word is read exactly once, and only words that are needed; what is checked and used is the copy.
 *
 * Errors as above; -EINVAL also for an entry or link that is not a multiple of IST_PAGE_SIZE; -ENXIO also for a list page that
 * is neither in the carve-out nor in a backing of memory; -EFAULT a list page that is not there (of a file that was truncated). Source: requirements D1 to D7.
 */
IST_API int ist_mapping_register_list(struct ist_manager *manager, uint64_t list,
                                      const struct ist_registration *registration, struct ist_mapping *out);

/*
 * Unregister: by cookie, as the owner asks for it, or by the mapping itself. Once it has returned, no lookup finds it. The pages
 * are unmapped when every read section that might know them has ended; ist_mapping_drain waits for that.
 *
 * IST_UNREGISTER_TRY: -EBUSY while there are references. Without it the call waits for the last one to be put (do
 * not hold one yourself); meanwhile no new one is given.
 *
 * Returns 0;
 *   -ENOENT   no such cookie of this owner, a mapping that is gone, or one of which another call is waiting for references;
 *   -EPERM    by cookie: the mapping is guarded;
 *   -EINVAL   a null argument, cookie 0, an unknown flag, or a mapping that was not registered (see mmio.h, range.h);
 *   -EDEADLK  called inside a read section.
 * May block. Source: requirements D15 to D18, V5.
 */
#define IST_UNREGISTER_TRY 1u
IST_API int ist_mapping_unregister(struct ist_manager *manager, uint32_t owner, uint64_t cookie,
                                   unsigned flags);
IST_API int ist_mapping_unregister_one(struct ist_manager *manager, const struct ist_mapping *mapping,
                                       unsigned flags);

/* From now on it can be unregistered by cookie. 0; -ENOENT it is gone; -EINVAL. Lock-free. */
IST_API int ist_mapping_unguard(struct ist_manager *manager, const struct ist_mapping *mapping);

/*
 * Find a mapping by cookie, or the oldest one (of an owner, or of any) that holds the page of [paddr, paddr + len), or one that
 * holds all of its pages, at consecutive addresses. In a read section it stays mapped until the section ends; outside one the answer is history.
 * vaddr (may be null) is where paddr lies.
 *
 * Returns 0; -ENOENT; -EINVAL a null argument, len 0, a range that wraps, cookie 0. Lock-free. Source: D17, T2.
 */
IST_API int ist_mapping_find(struct ist_manager *manager, uint32_t owner, uint64_t cookie,
                             struct ist_mapping *out);
IST_API int ist_mapping_find_paddr(struct ist_manager *manager, uint64_t paddr, size_t len,
                                   struct ist_mapping *out, void **vaddr);
IST_API int ist_mapping_find_paddr_of(struct ist_manager *manager, uint32_t owner, uint64_t paddr, size_t len,
                                      struct ist_mapping *out, void **vaddr);

/*
 * Take a reference to a mapping that was found, or find one by cookie and take a reference to it; and give it back. While there
 * is one the mapping stays mapped, whatever happens to its owner.
 *
 * get: 0; -ENOENT it is gone, or about to go; -EINVAL. put: 0; -EINVAL null, or nobody has a reference to that mapping (what
 * the library itself holds is no reference).
 * Lock-free; the last put of a mapping that was unregistered meanwhile takes a lock for a moment, to have it unmapped.
 */
IST_API int ist_mapping_get(struct ist_manager *manager, const struct ist_mapping *mapping);
IST_API int ist_mapping_find_get(struct ist_manager *manager, uint32_t owner, uint64_t cookie,
                                 struct ist_mapping *out);
IST_API int ist_mapping_put(struct ist_manager *manager, const struct ist_mapping *mapping);

/*
 * Where [offset, offset + len) of a mapping lies, in order: the first `room` pieces in `out`, and in *count how many there are in
 * all. Whoever has less room goes on behind what he got. One piece, unless IST_MAPPING_SEGMENTS was asked for. The answer holds
 * until the end of the read section, or as long as the caller has a reference.
 *
 * Returns 0; -ENOENT the mapping is gone; -ERANGE not inside it; -EINVAL a null argument (out may be null if room is 0), or len
 * 0. Lock-free; the time goes with the pieces, and log n to the first.
 */
IST_API int ist_mapping_segments(struct ist_manager *manager, const struct ist_mapping *mapping,
                                 uint64_t offset, size_t len, struct iovec *out, size_t room, size_t *count);

/*
 * All of a mapping at consecutive addresses, for as long as somebody wants that: for what was registered with IST_MAPPING_SEGMENTS and
 * now and then has to be looked at as a whole. The first call maps its pages side by side (a system call and a mapping of the
 * process each stretch), further ones answer the same address, and the last unmap takes it away again. Each map keeps
 * the mapping as a reference does, until its unmap: so it stays mapped, whatever happens to its owner. What lies in one place
 * is there already, and is only counted. Lookups by physical address answer as before; ist_virt_to_phys knows both.
 *
 * map returns 0; -ENOENT it is gone, or about to go; -EINVAL a null argument, a range or registers of a device; -ENOSPC, -ENOTSUP,
 * -ENOMEM, -EAGAIN as of ist_mapping_register; -EACCES, -ENXIO its pages are just being protected, or their backing removed; -EDEADLK.
 * unmap returns 0; -EINVAL null, or not mapped; -EDEADLK. May block. Source: doc/requirements.md, D15.
 */
IST_API int ist_mapping_map(struct ist_manager *manager, const struct ist_mapping *mapping, void **vaddr);
IST_API int ist_mapping_unmap(struct ist_manager *manager, const struct ist_mapping *mapping);

/*
 * The physical address of the byte at `offset`, or, with a granule of IST_PAGE_SIZE, of its page.
 *
 * Returns 0; -ENOENT the mapping is gone; -ERANGE not inside it; -ENXIO (range.h) no page is mapped there; -EINVAL a null
 * argument, or another granule than 0 and IST_PAGE_SIZE. Lock-free. Source: doc/requirements.md, D10.
 */
IST_API int ist_mapping_paddr(struct ist_manager *manager, const struct ist_mapping *mapping, uint64_t offset,
                              uint64_t granule, uint64_t *out);

/* Whether [offset, offset + len) lies in the mapping, overflow included (len 0 does up to its end). Wait-free. */
IST_API bool ist_mapping_holds(const struct ist_mapping *mapping, uint64_t offset, uint64_t len);

/* Unmap what the cache keeps. 0; -EINVAL; -EDEADLK. May block. */
IST_API int ist_mapping_flush(struct ist_manager *manager);

/* Wait until all that has been unregistered, and is not referenced, is unmapped. 0; -EINVAL; -EDEADLK. May block. */
IST_API int ist_mapping_drain(struct ist_manager *manager);

struct ist_mapping_stats {
	uint64_t mappings, pages; /* registered now */
	uint64_t referenced; /* unregistered, kept by references */
	uint64_t waiting; /* unregistered, waiting for read sections */
	uint64_t cached, cached_bytes, cache_hits, cache_misses;
	uint64_t owners, backings;
	uint64_t window_size, window_used; /* bytes; used: also by what is cached or waiting */
	uint64_t bookkeeping; /* bytes, with what is kept for reuse */
	uint64_t refused; /* registrations that failed */
};
/* Counters at one instant. A null argument is ignored. May block. */
IST_API void ist_mapping_stats(struct ist_manager *manager, struct ist_mapping_stats *out);

IST_END_DECLS

#endif
