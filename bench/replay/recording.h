/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A file of recorded traffic as a plan to replay, and the memory that it was recorded over. */
#ifndef BENCH_RECORDING_H
#define BENCH_RECORDING_H

#include "plan.h"

/* The recorded system's: a carve-out of 2 MiB, and isthmus' default for the driver pool in it. */
#define RECORDED_POOL ((size_t)2 << 20)
#define RECORDED_DRIVER_POOL ((size_t)16 << 10)

struct recording {
	char name[128]; /* of the file, without directory and ending */
	uint32_t events, objects;
	struct plan plan;
};

/* Returns 0, or -1 with *error set. plan_release frees what it holds. */
int recording_load(const char *path, struct recording *recording, struct trace_error *error);

/* The two pools of a carve-out at `vaddr`, with the physical address that the recorded one had. */
struct region recording_region(unsigned char *vaddr, size_t pool, size_t driver_pool);

#endif
