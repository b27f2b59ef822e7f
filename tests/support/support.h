/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What most tests need: cmocka, a carve-out between guard pages, a manager over it, random numbers. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <cmocka.h>

#include <isthmus/isthmus.h>

#include "support/scale.h"

#ifdef NDEBUG
#error "tests must not be built with NDEBUG"
#endif

#define KIB 1024u
#define MIB (1024u * 1024u)
#define PADDR UINT64_C(0x42000000)

/*
 * `size` bytes of memory, `skew` bytes behind a page boundary, with inaccessible pages directly before and after the
 * pages that it touches. Filled with 0xa5.
 */
struct carve_out {
	char *start;
	size_t size;
	char *mapping;
	size_t mapped;
};

struct carve_out carve_out_make(size_t size, size_t skew);
void carve_out_drop(struct carve_out *carve_out);

/* A manager over a carve-out of `size` bytes at PADDR with the given driver pool (0: default); asserts success. */
struct fixture {
	struct carve_out carve_out;
	struct ist_manager *manager;
	struct ist_driver_pool *driver;
	struct ist_client_pool *client;
};

struct fixture fixture_make(size_t size, size_t driver_pool_size);
void fixture_drop(struct fixture *fixture); /* asserts that everything has been given back */

/* Either pool behind one face, so that a test can run over both. */
struct any_pool {
	const char *name;
	int (*alloc)(const struct any_pool *pool, size_t size, struct ist_shm *out);
	void (*stats)(const struct any_pool *pool, struct ist_pool_stats *out);
	size_t granule;
	void *pool;
};

struct any_pool any_driver(struct ist_driver_pool *pool);
struct any_pool any_client(struct ist_client_pool *pool); /* zeroing */
struct any_pool any_client_nozero(struct ist_client_pool *pool);

/* A small generator, so that a seed reproduces a run everywhere. */
uint32_t random_next(uint64_t *state);
size_t random_below(uint64_t *state, size_t limit);

/* Seconds since some point, for time limits. */
double seconds_now(void);

#endif
