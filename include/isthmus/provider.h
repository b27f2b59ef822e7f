/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A provider of pages: somebody who has more memory than the carve-out and hands it out on request, such as the normal world
 * to a secure one. It serves requests one by one, and lets the client pool grow and shrink.
 *
 * Whatever the provider answered, however wrong, each cookie that it named is given back to it exactly once.
 */
#ifndef ISTHMUS_PROVIDER_H
#define ISTHMUS_PROVIDER_H

#include <isthmus/client.h>
#include <isthmus/mapping.h>

IST_BEGIN_DECLS

/* What a provider handed out. Zeroed before it is asked. */
struct ist_provided {
	uint64_t cookie; /* its name for it, not 0: to give it back by. 0: nothing was handed out */
	uint64_t page_count; /* at least as many as asked for, or it is refused */
	const uint64_t *pages; /* addresses, each read once before free is called for this cookie; or null: */
	uint64_t paddr; /* contiguous ones from here on */
};

#define IST_PROVIDE_CONTIGUOUS 1u /* one stretch of physical addresses is wanted; others are given back */

#define IST_PROVIDER_CHUNK_MAX (UINT64_C(1) << 30) /* pages: 4 TiB */

/* Zero-initialise, then fill in. Members may be added at the end. */
struct ist_provider {
	/*
	 * Both are called without any lock held and outside read sections: they may block, and call this library. alloc
	 * returns 0 or a negative errno value; a cookie that it leaves with an error is given back all the same. free
	 * returns 0, or something else that is only counted. The pages must be in a backing (backing.h) of memory and not be
	 * registered otherwise.
	 */
	int (*alloc)(void *context, uint64_t pages, unsigned flags, struct ist_provided *out);
	int (*free)(void *context, uint64_t cookie);
	void *context;
	/* The client pool grows by at least so many, at most IST_PROVIDER_CHUNK_MAX; default 256. */
	uint64_t chunk_pages;
	/* So many free pages stay when it shrinks, any number; default chunk_pages. It shrinks when a chunk more is free. */
	uint64_t keep_pages;
	uint64_t max_pages; /* the client pool does not grow by more in all; default: no limit */
};

/*
 * Set it. 0; -EINVAL a null argument or function, or chunk_pages is too large; -EBUSY something of the one before is still
 * out; -ENOMEM; -EDEADLK. May block.
 */
IST_API int ist_provider_set(struct ist_manager *manager, const struct ist_provider *provider);

/*
 * Ask the provider for `size` bytes and map them; the mapping is guarded from unregistering by cookie. free waits for the
 * last reference and for readers, and gives the pages back. A mapping that went with its owner is freed like any other.
 *
 * alloc: 0; -EINVAL a null argument or size 0; -ENODEV there is no provider; what the provider answered, -EIO for a positive
 * number; -ENOMEM it handed out less than asked for; -EEXIST pages that are registered already or in the carve-out; and the
 * errors of ist_mapping_register. free: 0; -EINVAL; -ENOENT it is not one of these, or is being freed. Both: -EDEADLK. Both may
 * block. Source: requirements R1 to R4.
 */
IST_API int ist_provider_alloc(struct ist_manager *manager, size_t size, uint32_t owner,
                               struct ist_mapping *out);
IST_API int ist_provider_free(struct ist_manager *manager, const struct ist_mapping *mapping);

/*
 * One mapping of the provider's kept for the next request, as a thread keeps one for the messages of its calls: the next
 * request of the same type and owner that fits is served by it without asking anybody. Zero-initialise; one for each
 * thread and user, which alone may use it. `type` is the caller's choice.
 */
struct ist_provider_cache {
	struct ist_mapping mapping;
	uint32_t type;
	uint32_t filled;
};

/*
 * A mapping of at least `size` bytes in *out, whole pages, which stays the cache's: the one it has, or else that one is
 * freed first and another asked for. Contents are what the last use left. Size 0: *out is zeroed and the cache stays.
 *
 * Errors as of ist_provider_alloc, and of ist_provider_free for the old one, which then stays in the cache. May block.
 * Source: doc/requirements.md, R5.
 */
IST_API int ist_provider_cache_get(struct ist_manager *manager, struct ist_provider_cache *cache,
                                   uint32_t type, size_t size, uint32_t owner, struct ist_mapping *out);

/* Give back what a cache has, at the end of a call or thread. 0, also if it has nothing; errors of ist_provider_free. */
IST_API int ist_provider_cache_clear(struct ist_manager *manager, struct ist_provider_cache *cache);

/*
 * As ist_client_pool_alloc_request (IST_CLIENT_AT is not possible), but when the client pool has no room, from memory that
 * the provider handed out, asking it for more if need be. ist_shm_free frees it. Memory that nobody uses any more goes back to
 * the provider at later calls of this, by ist_provider_trim and by ist_provider_drain.
 *
 * Each stretch that the pool grows by takes some six mappings of the process: with Linux's usual vm.max_map_count of 65530 that
 * is the end at about 10,900 of them (larger chunk_pages make fewer), and then it is -ENOMEM; all that is there goes on.
 *
 * Errors of ist_client_pool_alloc_request and of ist_provider_alloc; -ENOSPC max_pages; -ENOMEM no memory, or the system refuses
 * one more mapping: the provider has its pages back then. May block. Source: doc/requirements.md, R6.
 */
IST_API int ist_provider_client_alloc(struct ist_manager *manager, const struct ist_client_request *request,
                                      struct ist_shm *out);

/*
 * Give back what is free beyond keep_pages (trim) or all that is free (drain), and mappings that went with their owners. 0;
 * -EINVAL; -EDEADLK; drain: -EBUSY some is in use and stays. May block. Source: requirements R5, R6.
 */
IST_API int ist_provider_trim(struct ist_manager *manager);
IST_API int ist_provider_drain(struct ist_manager *manager);

struct ist_provider_stats {
	uint64_t asked, failed, wrong; /* calls of alloc; those that failed; answers that could not be used */
	uint64_t returned, return_failures; /* calls of free; those that did not return 0 */
	uint64_t mappings; /* of ist_provider_alloc */
	uint64_t regions, region_pages,
	        region_used; /* what the client pool has grown by; used: bytes as asked */
};
/* Counters at one instant. A null argument is ignored. May block. */
IST_API void ist_provider_stats(struct ist_manager *manager, struct ist_provider_stats *out);

IST_END_DECLS

#endif
