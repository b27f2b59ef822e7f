/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MANAGER_MANAGER_H
#define MANAGER_MANAGER_H

#include <isthmus/manager.h>

#include "client/client_pool.h"
#include "driver/driver_pool.h"
#include "space/space.h"
#include "pamap/pamap.h"
#include "provider/provider.h"

struct ist_manager {
	struct ist_driver_pool driver;
	struct ist_client_pool client;
	struct ist_view carve_out; /* after rounding; both pools, driver pool first */
	size_t skipped; /* bytes of the caller's carve-out before it */
	struct pamap *by_paddr; /* everything but the carve-out, which needs only a comparison */
	struct pamap *by_vaddr;
	struct space space; /* dynamic mappings, their owners and backings */
	struct provider provider; /* what a provider has handed out */
	_Atomic uint32_t exports; /* of statistics: src/stat */
	size_t bytes; /* of the mapping that this lies in */
	struct ist_manager *next, **link; /* fork.c */
};

/* As the functions of isthmus/manager.h and isthmus/share.h. */
int manager_create(const struct ist_manager_config *config, struct ist_manager **out);
int manager_destroy(struct ist_manager *manager);
int manager_set_file(struct ist_manager *manager, int fd, uint64_t offset);

#endif
