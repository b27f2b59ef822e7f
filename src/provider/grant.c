/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <errno.h>

#include "base/probe.h"
#include "mapping/pages.h"
#include "mapping/register.h"
#include "mapping/unregister.h"
#include "provider/provider.h"
#include "reclaim/limbo.h"

static void count(struct provider *provider, uint64_t *counter)
{
	pthread_mutex_lock(&provider->lock);
	(*counter)++;
	pthread_mutex_unlock(&provider->lock);
}

static void give_back(struct provider *provider, uint64_t cookie)
{
	PROBE(provider_return, cookie);
	if (provider->hooks.free(provider->hooks.context, cookie))
		count(provider, &provider->stats.return_failures);
	count(provider, &provider->stats.returned);
}

/* A private copy of what it says: its array is read once. */
static int copy_answer(const struct ist_provided *answer, uint64_t pages, struct request *request)
{
	if (answer->page_count < pages)
		return -ENOMEM;
	if (!answer->pages) {
		if (answer->paddr % IST_PAGE_SIZE ||
		    pages - 1 > UINT64_MAX / IST_PAGE_SIZE - answer->paddr / IST_PAGE_SIZE)
			return -EINVAL;
		return pages_add(&request->list, answer->paddr / IST_PAGE_SIZE, pages);
	}
	return pages_copy(&request->list, answer->pages, pages);
}

static bool meets_carve_out(const struct space *space, const struct page_list *list)
{
	uint64_t first = space->carve_out->paddr / IST_PAGE_SIZE,
	         pages = space->carve_out->size / IST_PAGE_SIZE;

	for (size_t i = 0; i < list->count; i++)
		if (list->extent[i].page - first < pages ||
		    first - list->extent[i].page < list->extent[i].pages)
			return true;
	return false;
}

static int map_answer(struct provider *provider, const struct ist_provided *answer, uint64_t pages,
                      unsigned flags, struct request *request, struct ist_mapping *out)
{
	struct space *space = provider->space;
	int error = copy_answer(answer, pages, request);

	if (!error && (flags & IST_PROVIDE_CONTIGUOUS) && request->list.count > 1)
		error = -EINVAL;
	if (!error && meets_carve_out(space, &request->list))
		error = -EEXIST;
	return error ? error : space_register_and_describe(space, request, out);
}

int provider_ask(struct provider *provider, uint64_t pages, size_t size, uint32_t owner, unsigned flags,
                 struct grant *out)
{
	struct request request = {
	        .size = size, .owner = owner, .flags = IST_MAPPING_STRICT, .kind = MAPPING_PROVIDED};
	struct ist_provided answer = {0};
	struct ist_mapping mapping;
	uint64_t paddr;
	int error;

	count(provider, &provider->stats.asked);
	PROBE(provider_ask, pages);
	error = provider->hooks.alloc(provider->hooks.context, pages, flags, &answer);
	if (!error && answer.cookie == 0)
		error = -EIO;
	if (error) {
		count(provider, &provider->stats.failed);
		PROBE(provider_failed, error, pages);
		if (answer.cookie)
			give_back(provider, answer.cookie);
		return error < 0 ? error : -EIO;
	}
	pages_init(&request.list);
	error = map_answer(provider, &answer, pages, flags, &request, &mapping);
	paddr = error ? 0 : request.list.extent[0].page * IST_PAGE_SIZE;
	pages_drop(&request.list);
	if (error) {
		count(provider, &provider->stats.wrong);
		PROBE(provider_failed, error, pages);
		give_back(provider, answer.cookie);
		return error;
	}
	*out = (struct grant){mapping, answer.cookie, pages, paddr};
	return 0;
}

bool provider_has_ended(struct provider *provider, const struct grant *grant)
{
	struct mapping *mapping = mapping_at(provider->space, grant->mapping.slot);

	return atomic_load_explicit(&mapping->generation, memory_order_acquire) != grant->mapping.generation;
}

#define TRIES 10

/* No memory, or too much waits for readers: both may pass. */
static int unregister(struct provider *provider, const struct ist_mapping *mapping)
{
	int error = 0;

	for (int tries = 0; tries < TRIES; tries++) {
		error = space_unregister_handle(provider->space, mapping, MAPPING_PROVIDED, 0);
		if (error != -ENOMEM && error != -EAGAIN)
			return error;
		limbo_drain(provider->space);
	}
	return error;
}

int provider_return(struct provider *provider, const struct grant *grant)
{
	int error = unregister(provider, &grant->mapping);

	if (error && error != -ENOENT)
		return error;
	if (error == -ENOENT) /* it went with its owner; there may be references */
		limbo_wait_end(provider->space, grant->mapping.slot, grant->mapping.generation);
	limbo_drain(provider->space);
	give_back(provider, grant->cookie);
	return 0;
}
