/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The end of an owner: of his mappings, his buffers of the client pool, and those of the regions that a provider's memory made
 * it grow by. It stands on top of these three and calls them; none of them calls it.
 */
#ifndef TEARDOWN_TEARDOWN_H
#define TEARDOWN_TEARDOWN_H

#include "client/client_pool.h"
#include "space/space.h"
#include "provider/provider.h"

/* Where an owner may have something. */
struct teardown {
	struct space *space;
	struct ist_client_pool *client;
	struct provider *provider;
};

/* As ist_owner_destroy_begin, ist_owner_destroy_step and ist_owner_destroy. */
int teardown_begin(struct teardown of, uint32_t id);
int teardown_step(struct teardown of, uint32_t id, uint32_t budget);
int teardown_owner(struct teardown of, uint32_t id);

#endif
