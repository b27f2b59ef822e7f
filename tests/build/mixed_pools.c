/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Must not compile: a driver message from the client pool. */
#include <isthmus/isthmus.h>

int message_from_the_wrong_pool(struct ist_manager *manager, struct ist_shm *out);

int message_from_the_wrong_pool(struct ist_manager *manager, struct ist_shm *out)
{
	return ist_driver_pool_alloc(ist_manager_client_pool(manager), 224, out);
}
