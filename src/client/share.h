/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The part of sharing (isthmus/share.h) that the client pool itself needs. */
#ifndef CLIENT_SHARE_H
#define CLIENT_SHARE_H

#include <isthmus/share.h>

#include "client/client_pool.h"

/* The pool's own file from now on; the descriptor is the pool's to close. -EEXIST: it has one. */
int client_share_set_file(struct ist_client_pool *pool, int fd, uint64_t offset);

/* Close the pool's file, if any. Nobody else may be using the pool. */
void client_share_drop_file(struct ist_client_pool *pool);

/*
 * Put the pool's own pages back under a run that was isolated. A negative errno value: nothing changed; but -ESTALE: its
 * addresses are not the pool's any more, so that the run is to be lost.
 */
int client_share_end(struct ist_client_pool *pool, size_t start, size_t pages);

/* As ist_client_export and ist_client_pool_alloc_isolated. */
int client_share_export(const struct ist_shm *shm, struct ist_export *out);
int client_share_alloc(struct ist_client_pool *pool, const struct ist_client_request *request,
                       struct ist_shm *out, int *fd);

/* A run that is claimed stays so for ever, and nobody waits for it. */
void client_share_lose(struct ist_client_pool *pool);

#endif
