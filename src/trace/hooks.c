/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The public functions that begin and end something, in a library that is loaded before libisthmus: each calls the next of its
 * name and records what came of it. The library calls some of them itself, by their names: what the inner one has recorded the
 * outer one does not.
 */
#include <isthmus/isthmus.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "trace/spool.h"

/* What this thread recorded last, for calls within calls. */
struct recorded {
	uint64_t births, refusals, place;
};
static _Thread_local struct recorded last;

#define NEXT(name) ((__typeof__(&name))next_of(#name, &known.name))
#define KNOWN(name) void *_Atomic name

static struct {
	KNOWN(ist_driver_pool_alloc);
	KNOWN(ist_driver_pool_alloc_bulk);
	KNOWN(ist_driver_pool_free_bulk);
	KNOWN(ist_client_pool_alloc);
	KNOWN(ist_client_pool_alloc_nozero);
	KNOWN(ist_client_pool_alloc_request);
	KNOWN(ist_client_pool_alloc_isolated);
	KNOWN(ist_provider_client_alloc);
	KNOWN(ist_shm_free);
	KNOWN(ist_mapping_register);
	KNOWN(ist_mapping_register_list);
	KNOWN(ist_mapping_unregister);
	KNOWN(ist_mapping_unregister_one);
	KNOWN(ist_mapping_find); /* not a hook */
	KNOWN(ist_owner_destroy);
	KNOWN(ist_owner_destroy_begin);
} known;

static void *next_of(const char *name, void *_Atomic *where)
{
	/* Relaxed: whoever asks first, the answer is the same. */
	void *next = atomic_load_explicit(where, memory_order_relaxed);

	if (next)
		return next;
	next = dlsym(RTLD_NEXT, name);
	if (!next) /* the program could not have been linked */
		abort();
	atomic_store_explicit(where, next, memory_order_relaxed);
	return next;
}

/* Before the program starts, so that no signal handler has to. */
static __attribute__((constructor)) void find_all(void)
{
	if (dlsym(RTLD_NEXT, "ist_driver_pool_alloc")) {
		(void)NEXT(ist_driver_pool_alloc);
		(void)NEXT(ist_driver_pool_alloc_bulk);
		(void)NEXT(ist_driver_pool_free_bulk);
		(void)NEXT(ist_client_pool_alloc);
		(void)NEXT(ist_client_pool_alloc_nozero);
		(void)NEXT(ist_client_pool_alloc_request);
		(void)NEXT(ist_shm_free);
	}
}

static void born(struct spool_record record)
{
	last.births++;
	last.place = record.place;
	spool_add(&record, spool_number());
}

static void refused(enum spool_op op, size_t size)
{
	last.refusals++;
	spool_add(&(struct spool_record){.op = op, .size = size}, spool_number());
}

static uint8_t log2_of(size_t align)
{
	return align ? (uint8_t)(63 - __builtin_clzll(align)) : 0;
}

/* After a call: what came of it, unless a call within has said so. `before` is from before the call. */
static int settle(int error, struct spool_record record, const struct ist_shm *out, struct recorded before)
{
	if (error == 0 && (before.births == last.births || last.place != (uintptr_t)out->view.vaddr)) {
		record.place = (uintptr_t)out->view.vaddr;
		born(record);
	} else if (error == -ENOSPC && before.refusals == last.refusals) {
		refused(record.op == SPOOL_MESSAGE ? SPOOL_NO_MESSAGE : SPOOL_NO_BUFFER, record.size);
	}
	return error;
}

static int settle_buffer(int error, size_t size, const struct ist_shm *out, struct recorded before)
{
	return settle(error, (struct spool_record){.op = SPOOL_BUFFER, .size = size}, out, before);
}

static int settle_request(int error, const struct ist_client_request *request, const struct ist_shm *out,
                          struct recorded before)
{
	if (!request)
		return error;
	return settle(error,
	              (struct spool_record){.op = SPOOL_BUFFER,
	                                    .size = request->size,
	                                    .owner = request->owner,
	                                    .align = log2_of(request->align)},
	              out, before);
}

IST_API int ist_driver_pool_alloc(struct ist_driver_pool *pool, size_t size, struct ist_shm *out)
{
	struct recorded before = last;

	return settle(NEXT(ist_driver_pool_alloc)(pool, size, out),
	              (struct spool_record){.op = SPOOL_MESSAGE, .size = size}, out, before);
}

IST_API int ist_driver_pool_alloc_bulk(struct ist_driver_pool *pool, size_t size, unsigned count, void **out)
{
	int error = NEXT(ist_driver_pool_alloc_bulk)(pool, size, count, out);

	for (unsigned i = 0; error == 0 && i < count; i++)
		born((struct spool_record){.op = SPOOL_MESSAGE, .place = (uintptr_t)out[i], .size = size});
	if (error == -ENOSPC)
		refused(SPOOL_NO_MESSAGE, size);
	return error;
}

/* Those that are refused are no message's place, or one's that has ended: whoever reads this tells. */
IST_API int ist_driver_pool_free_bulk(struct ist_driver_pool *pool, void *const *vaddrs, unsigned count)
{
	if (pool && vaddrs) {
		for (unsigned i = 0; i < count; i++)
			spool_add(&(struct spool_record){.op = SPOOL_FREE, .place = (uintptr_t)vaddrs[i]},
			          spool_number());
	}
	return NEXT(ist_driver_pool_free_bulk)(pool, vaddrs, count);
}

IST_API int ist_client_pool_alloc(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	struct recorded before = last;

	return settle_buffer(NEXT(ist_client_pool_alloc)(pool, size, out), size, out, before);
}

IST_API int ist_client_pool_alloc_nozero(struct ist_client_pool *pool, size_t size, struct ist_shm *out)
{
	struct recorded before = last;

	return settle_buffer(NEXT(ist_client_pool_alloc_nozero)(pool, size, out), size, out, before);
}

IST_API int ist_client_pool_alloc_request(struct ist_client_pool *pool,
                                          const struct ist_client_request *request, struct ist_shm *out)
{
	struct recorded before = last;

	return settle_request(NEXT(ist_client_pool_alloc_request)(pool, request, out), request, out, before);
}

IST_API int ist_client_pool_alloc_isolated(struct ist_client_pool *pool,
                                           const struct ist_client_request *request, struct ist_shm *out,
                                           int *fd)
{
	struct recorded before = last;

	return settle_request(NEXT(ist_client_pool_alloc_isolated)(pool, request, out, fd), request, out,
	                      before);
}

IST_API int ist_provider_client_alloc(struct ist_manager *manager, const struct ist_client_request *request,
                                      struct ist_shm *out)
{
	struct recorded before = last;

	return settle_request(NEXT(ist_provider_client_alloc)(manager, request, out), request, out, before);
}

IST_API int ist_shm_free(struct ist_shm *shm)
{
	uint64_t place = shm ? (uintptr_t)shm->view.vaddr : 0, number = spool_number();
	int error = NEXT(ist_shm_free)(shm);

	if (error == 0)
		spool_add(&(struct spool_record){.op = SPOOL_FREE, .place = place}, number);
	return error;
}

static uint64_t place_of(const struct ist_mapping *mapping)
{
	return (uint64_t)mapping->generation << 32 | mapping->slot;
}

static int settle_mapping(int error, struct ist_manager *manager, const struct ist_registration *registration,
                          const struct ist_mapping *out)
{
	if (error == 0)
		born((struct spool_record){.op = SPOOL_REGISTER,
		                           .place = place_of(out),
		                           .size = out->size,
		                           .offset = registration->pages
		                                             ? registration->offset
		                                             : registration->paddr % IST_PAGE_SIZE,
		                           .manager = (uintptr_t)manager,
		                           .owner = out->owner});
	else if (error != -EINVAL && registration && registration->size)
		refused(SPOOL_NO_REGISTER, registration->size);
	return error;
}

IST_API int ist_mapping_register(struct ist_manager *manager, const struct ist_registration *registration,
                                 struct ist_mapping *out)
{
	return settle_mapping(NEXT(ist_mapping_register)(manager, registration, out), manager, registration,
	                      out);
}

IST_API int ist_mapping_register_list(struct ist_manager *manager, uint64_t list,
                                      const struct ist_registration *registration, struct ist_mapping *out)
{
	return settle_mapping(NEXT(ist_mapping_register_list)(manager, list, registration, out), manager,
	                      registration, out);
}

static int settle_unregister(int error, uint64_t number, struct ist_manager *manager,
                             const struct ist_mapping *mapping)
{
	if (error == 0)
		spool_add(&(struct spool_record){.op = SPOOL_UNREGISTER,
		                                 .place = place_of(mapping),
		                                 .manager = (uintptr_t)manager},
		          number);
	return error;
}

IST_API int ist_mapping_unregister(struct ist_manager *manager, uint32_t owner, uint64_t cookie,
                                   unsigned flags)
{
	struct ist_mapping mapping = {0};
	uint64_t number = spool_number();

	(void)NEXT(ist_mapping_find)(manager, owner, cookie, &mapping); /* which one it will be */
	return settle_unregister(NEXT(ist_mapping_unregister)(manager, owner, cookie, flags), number, manager,
	                         &mapping);
}

IST_API int ist_mapping_unregister_one(struct ist_manager *manager, const struct ist_mapping *mapping,
                                       unsigned flags)
{
	struct ist_mapping which = mapping ? *mapping : (struct ist_mapping){0};
	uint64_t number = spool_number();

	return settle_unregister(NEXT(ist_mapping_unregister_one)(manager, mapping, flags), number, manager,
	                         &which);
}

static int settle_owner(int error, uint64_t number, struct ist_manager *manager, uint32_t owner)
{
	if (error == 0 || error == -EBUSY)
		spool_add(&(struct spool_record){.op = SPOOL_OWNER_END,
		                                 .manager = (uintptr_t)manager,
		                                 .owner = owner},
		          number);
	return error;
}

IST_API int ist_owner_destroy_begin(struct ist_manager *manager, uint32_t id)
{
	uint64_t number = spool_number();

	return settle_owner(NEXT(ist_owner_destroy_begin)(manager, id), number, manager, id);
}

IST_API int ist_owner_destroy(struct ist_manager *manager, uint32_t id)
{
	uint64_t number = spool_number();

	return settle_owner(NEXT(ist_owner_destroy)(manager, id), number, manager, id);
}
