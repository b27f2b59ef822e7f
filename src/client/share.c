/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "client/share.h"

#include <errno.h>
#include <unistd.h>

#include "platform/platform.h"

/* While pool->file is this, somebody is setting it. */
#define FILE_BEING_SET (-1)

int client_share_set_file(struct ist_client_pool *pool, int fd, uint64_t offset)
{
	int none = 0;

	if (!atomic_compare_exchange_strong_explicit(&pool->file, &none, FILE_BEING_SET, memory_order_relaxed,
	                                             memory_order_relaxed))
		return -EEXIST;
	pool->file_offset = offset;
	atomic_store_explicit(&pool->file, fd + 1, memory_order_release); /* pairs with file_of */
	return 0;
}

/* The pool's descriptor, with file_offset to be read after it; negative if there is none. */
static int file_of(struct ist_client_pool *pool)
{
	int file = atomic_load_explicit(&pool->file, memory_order_acquire);

	return file > 0 ? file - 1 : -ENOTSUP;
}

void client_share_drop_file(struct ist_client_pool *pool)
{
	int fd = file_of(pool);

	if (fd >= 0)
		close(fd);
	platform_spare_trim();
}

static int put_back(struct ist_client_pool *pool, size_t start, size_t pages)
{
	size_t offset = start * IST_PAGE_SIZE;

	return platform_map_file_at(pool->pool.vaddr + offset, pages * IST_PAGE_SIZE, file_of(pool),
	                            pool->file_offset + offset);
}

int client_share_end(struct ist_client_pool *pool, size_t start, size_t pages)
{
	int error = put_back(pool, start, pages);

	if (error == -ENOMEM && platform_spare_spend()) {
		error = put_back(pool, start, pages);
		platform_spare_restore();
	}
	if (!error || error == -ESTALE)
		platform_spare_drop();
	return error;
}

void client_share_lose(struct ist_client_pool *pool)
{
	/* Relaxed: read when nobody is at work on the pool. */
	atomic_fetch_add_explicit(&pool->lost, 1, memory_order_relaxed);
}

/* A file of its own under a run that is ours: its descriptor, or a negative errno value; -ESTALE as client_share_end. */
static int share_begin(struct ist_client_pool *pool, size_t start, size_t bytes)
{
	int error, fd = platform_sealed_file(bytes);

	if (fd < 0)
		return fd;
	platform_spare_hold(); /* until client_share_end */
	error = platform_map_sealed_at(pool->pool.vaddr + start * IST_PAGE_SIZE, bytes, fd);
	if (!error)
		return fd;
	platform_spare_drop();
	close(fd);
	return error;
}

int client_share_export(const struct ist_shm *shm, struct ist_export *out)
{
	struct ist_client_pool *client;
	struct pool *pool;
	bool isolated;
	int fd, error;

	pool = pool_find(shm->pool);
	if (!pool || pool->kind != POOL_CLIENT)
		return -EINVAL;
	client = (struct ist_client_pool *)(void *)pool;
	error = client_pool_check(client, shm, &isolated);
	if (error)
		return error;
	fd = isolated ? -ENOTSUP : file_of(client);
	if (fd >= 0)
		fd = platform_duplicate(fd);
	if (fd < 0)
		return fd;
	out->fd = fd;
	out->offset = client->file_offset + pool_offset(&client->pool, shm);
	out->length = shm->view.size;
	return 0;
}

int client_share_alloc(struct ist_client_pool *pool, const struct ist_client_request *request,
                       struct ist_shm *out, int *fd)
{
	struct client_claim claim;
	int made, error = client_request_check(pool, request);

	if (error)
		return error;
	if (file_of(pool) < 0 || platform_page_size() > IST_PAGE_SIZE)
		return -ENOTSUP;
	error = client_pool_claim(pool, request, &claim);
	if (error)
		return error;
	made = share_begin(pool, claim.start, bits_ceil_div(request->size, IST_PAGE_SIZE) * IST_PAGE_SIZE);
	if (made == -ESTALE) {
		client_share_lose(pool);
		return -ENOMEM;
	}
	if (made < 0) {
		client_pool_unclaim(pool, request, &claim);
		return made;
	}
	/* Last of all: from here on the end of its owner may free it, and undo the mapping. */
	client_pool_publish(pool, request, &claim, true, out);
	*fd = made;
	return 0;
}
