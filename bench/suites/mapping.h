/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What the measurements of dynamic mappings share: guest RAM behind a manager. */
#ifndef BENCH_MAPPING_H
#define BENCH_MAPPING_H

#include "suites.h"

#define RAM_PADDR UINT64_C(0x200000000)
#define RAM_BYTES ((size_t)64 << 20)
#define RAM_PAGES (RAM_BYTES / IST_PAGE_SIZE)

/* Address space that is never touched stands for guest memory where there must be very much of it. */
#define WIDE_PADDR UINT64_C(0x10000000000)
#define WIDE_PAGES ((uint64_t)1 << 22)
#define WIDE_VADDR ((void *)UINT64_C(0x10000000000))

enum ram { RAM_NONE, RAM_FILE, RAM_MAPPED }; /* behind a file, or as memory that the caller has mapped */

/* A manager with a cache of so many bytes and RAM at RAM_PADDR; all share one RAM, every page of it present. */
struct ist_manager *mapping_manager(enum ram ram, uint64_t cache_bytes);
int mapping_ram_file(void);
void mapping_manager_drop(struct ist_manager *manager);

void mapping_add_wide(struct ist_manager *manager); /* WIDE_PAGES */
void mapping_owner(struct ist_manager *manager, uint32_t id);

double now_ns(void);

void suite_mapping_growth_register(void);
void suite_mapping_many_register(void);
void suite_mapping_trace_register(const char *directory);

#endif
