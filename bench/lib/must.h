/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Calls that cannot fail in a benchmark: the program ends with a message where one does. */
#ifndef BENCH_MUST_H
#define BENCH_MUST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* `error`: 0, or a negative errno value, or true where something is not as it must be. */
#define must(error) must_be_zero((error), #error, __FILE__, __LINE__)

static inline void must_be_zero(int error, const char *what, const char *file, int line)
{
	if (!error)
		return;
	fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, error < 0 ? strerror(-error) : "failed");
	exit(1);
}

/* Memory of the C library's, zeroed, or a private mapping that nobody has touched: never null. */
static inline void *must_allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	must(!memory);
	return memory;
}

static inline void *must_map(size_t bytes)
{
	void *at =
	        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(at == MAP_FAILED);
	return at;
}

#endif
