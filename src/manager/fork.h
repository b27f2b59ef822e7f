/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The list of all managers, for fork. */
#ifndef MANAGER_FORK_H
#define MANAGER_FORK_H

#include "manager/manager.h"

/* -ENOMEM. When its locks are there; and out again before they go. */
int manager_enlist(struct ist_manager *manager);
void manager_delist(struct ist_manager *manager);

#endif
