/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What every public header needs: integer types, linkage and the page size.
 *
 * Conventions of the whole API, stated once:
 *  - Functions return 0 or a negative errno value. On failure every `out` is untouched.
 *  - Sizes and lengths are bytes. A paddr is a physical address (64 bits on every host), a vaddr is an address
 *    in this process.
 *  - A range [start, end) is half-open: start belongs to it, end does not.
 *  - Every function may be called from any thread at any time unless its description says otherwise.
 */
#ifndef ISTHMUS_TYPES_H
#define ISTHMUS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define IST_BEGIN_DECLS extern "C" {
#define IST_END_DECLS }
#else
#define IST_BEGIN_DECLS
#define IST_END_DECLS
#endif

#define IST_API __attribute__((visibility("default")))

/* The granule of a client pool and of every mapping, in bytes: 4 KiB whatever the host's own page size is. */
#define IST_PAGE_SIZE 4096u

#endif
