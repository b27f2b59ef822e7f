/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What physical memory a manager knows of, and what each part is: as the functions of isthmus/memory.h. */
#ifndef MANAGER_MEMORY_H
#define MANAGER_MEMORY_H

#include <isthmus/memory.h>

#include "manager/manager.h"

#define MEMORY_TYPES (IST_MEMORY_DRIVER | IST_MEMORY_CLIENT | IST_MEMORY_RAM | IST_MEMORY_DEVICE)

int memory_find(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out);
int memory_next(struct ist_manager *manager, uint64_t paddr, struct ist_memory *out);
int memory_only(struct ist_manager *manager, uint32_t types, uint64_t size, struct ist_memory *out);
/* Of one byte at least. */
bool memory_is(struct ist_manager *manager, uint32_t types, uint64_t paddr, uint64_t size);

#endif
