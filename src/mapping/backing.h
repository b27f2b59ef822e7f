/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Ranges of physical pages, sorted and disjoint: the backings, and what is protected. Few and rarely changed, asked for on
 * the control path: arrays. All under the space's mutex.
 */
#ifndef MAPPING_BACKING_H
#define MAPPING_BACKING_H

#include <isthmus/backing.h>

#include <stdatomic.h>

struct backing {
	uint64_t page, pages;
	char *vaddr; /* null: fd */
	int fd; /* ours */
	uint64_t offset;
	uint32_t attributes;
	_Atomic uint64_t
	        uses; /* mappings that lie in the caller's memory itself, until no reader can know them */
};

/* An array of pointers to things that begin with {page, pages}. */
struct range {
	uint64_t page, pages;
};

struct ranges {
	struct range **item;
	size_t count, room;
};

/* The first range that ends behind `page`: it holds the page or lies above it. Null: none. */
struct range *ranges_at(const struct ranges *ranges, uint64_t page);
/* -EEXIST overlaps; -ENOMEM */
int ranges_add(struct ranges *ranges, struct range *range);
void ranges_remove(struct ranges *ranges, const struct range *range);
bool ranges_overlap(const struct ranges *ranges, uint64_t page, uint64_t pages);

/* The backing of a page, or null. */
struct backing *backing_at(const struct ranges *ranges, uint64_t page);

#endif
