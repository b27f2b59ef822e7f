/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What lies in the memory file that ist_stat_export (stat.h) makes: version 1. For who writes a reader of his own; isthmus-stat
 * and isthmus-map are two. All numbers are in the byte order of the machine, sizes in bytes, places in bytes from the start of
 * the file.
 *
 * The head is written before the file can be found, and never changes but for `sequence`. The body and its tables are one
 * snapshot. `sequence` is odd while it is being written and grows by two with each. To read: load `sequence` with acquire,
 * copy all of [body_at, body_at + body_size) in words of 8 bytes that are loaded with acquire, load `sequence` again. If it was
 * even and is the same, the copy is one snapshot; else try again. Whoever reads another process's file checks the copy, never the
 * file: every place and count in the head against the size of the file, every count in the body against the rooms in the head.
 */
#ifndef ISTHMUS_STAT_PAGE_H
#define ISTHMUS_STAT_PAGE_H

#include <isthmus/types.h>

#define IST_STAT_MAGIC UINT64_C(0x3174617473747369) /* the bytes "iststat1", the lowest first */
#define IST_STAT_VERSION 1u
#define IST_STAT_FILE                                                                                        \
	"isthmus-stat" /* the memory file's name: /proc/PID/fd/N leads to "/memfd:isthmus-stat (deleted)" */
#define IST_STAT_POOLS 2u /* 0: the driver pool, 1: the client pool */
#define IST_STAT_RUNS 32u

struct ist_stat_head {
	uint64_t magic;
	uint32_t version; /* a reader of version 1 reads no other */
	uint32_t head_size; /* of this */
	uint64_t file_size;
	uint64_t sequence; /* atomic */
	int64_t pid; /* as the process sees itself: a child that inherited the file has another */
	uint64_t body_at, body_size; /* the snapshot: struct ist_stat_body and the tables */
	/* The tables, and how many rows each has room for. */
	uint64_t classes_at,
	        class_room; /* struct ist_stat_class: the first half of the driver pool, the second of the client pool */
	uint64_t cpus_at, cpu_room; /* struct ist_stat_cpu */
	uint64_t owners_at, owner_room; /* struct ist_stat_owner */
	uint64_t cells_at, cell_room; /* struct ist_stat_cell: of each pool; the driver pool's come first */
	char name[32]; /* ends with a zero byte */
};

/* A pool. Bytes, if nothing else is said. */
struct ist_stat_pool {
	uint64_t paddr, size;
	uint64_t granule; /* its smallest unit */
	uint64_t used, peak, largest_free, cached, allocs, frees, failures,
	        misuses; /* struct ist_pool_stats */
	uint64_t live; /* allocations alive */
	uint64_t runs
	        [IST_STAT_RUNS]; /* runs[k]: free runs of 2^k to 2^(k+1) - 1 granules, what CPUs keep included */
	/* Counts of slow paths: runs taken from and given to the run allocator one by one; objects moved into CPUs' magazines and
	   out of them in batches; times that magazines of other CPUs were emptied because there was nothing else. */
	uint64_t direct_allocs, direct_frees, refilled, flushed, drains;
	uint64_t classes; /* rows of its half of the table */
	uint64_t cells; /* rows of its part of the map; 0: no map */
	uint64_t cell_granules; /* of each, the last one may have less */
};

struct ist_stat_body {
	uint64_t refreshes; /* how many snapshots there were */
	uint64_t time_ns; /* when this one was taken, CLOCK_MONOTONIC */
	uint64_t took_ns; /* how long that took */
	uint64_t period_ns; /* between two; 0: when the program says so */
	uint64_t ended; /* 1: the export has ended, this is the last one */
	struct ist_stat_pool pool[IST_STAT_POOLS];
	/* struct ist_mapping_stats */
	uint64_t mappings, mapped_pages, referenced, waiting, cached, cached_bytes, cache_hits, cache_misses;
	uint64_t owners_alive, backings, window_size, window_used, bookkeeping, refused;
	/* struct ist_provider_stats */
	uint64_t asked, failed, wrong, returned, return_failures, provider_mappings, regions, region_pages,
	        region_used;
	uint64_t cpus; /* rows */
	uint64_t owners; /* rows: those that have most pages, registered and of client memory, first */
	uint64_t owners_left_out; /* for whom there is no row */
};

struct ist_stat_class {
	uint64_t granules; /* of an object; 0: all that is larger than the largest class */
	uint64_t live; /* allocations alive that are of this class */
	uint64_t bytes; /* that they asked for */
	uint64_t cached; /* objects in CPUs' magazines */
};

/*
 * By the number that restartable sequences go by: a CPU's, or where the kernel gives them (Linux 6.3) that by which it tells
 * apart the threads of a process that run at once. Without restartable sequences: by shard.
 */
struct ist_stat_cpu {
	uint64_t cached[IST_STAT_POOLS]; /* bytes in its magazines */
	uint64_t slow[IST_STAT_POOLS]; /* objects that went through its slow paths */
};

#define IST_STAT_OWNER_LIVE 1u
#define IST_STAT_OWNER_DYING 2u /* its end has begun, something is left */
#define IST_STAT_OWNER_TAG 3u /* only a tag of client memory (client.h): no such owner was created */

struct ist_stat_owner {
	uint32_t id;
	uint32_t state; /* IST_STAT_OWNER_... */
	uint64_t mappings, pages, cached, refused; /* struct ist_owner_stats */
	uint64_t client_bytes, client_allocations; /* of the carve-out's client pool */
};

/* A stretch of a pool. What is neither live nor cached is free. */
struct ist_stat_cell {
	uint16_t live, cached; /* shares of it, of 65535; cached: in magazines, in quarantine or on its way */
	uint16_t granules; /* of the largest allocation that lies in it, 65535 at most; 0: none does */
	uint16_t starts; /* allocations that start in it, 65535 at most */
};

#endif
