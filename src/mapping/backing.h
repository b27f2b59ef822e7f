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
#include <stdint.h>

struct backing {
	uint64_t page, pages;
	char *vaddr; /* null: fd */
	int fd; /* ours; -1: memory of the caller's */
	bool whole; /* vaddr is ours: a file of larger pages than the host's, mapped once */
	bool leaving; /* it is being removed: nothing new */
	bool seams_known;
	uint64_t *seam; /* of the caller's memory (seams.c): addresses where another file begins, ascending */
	size_t seams;
	uint64_t offset;
	uint32_t attributes;
	_Atomic uint64_t
	        uses; /* mappings that lie in vaddr itself, until no reader can know them; and who reads a list there */
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

void backing_drop(struct backing *backing);

/* How many bytes from `at` on, at most `bytes`, are of one file and in its order. -ENOMEM and others: cannot be told. */
int64_t backing_seam(struct backing *backing, uint64_t at, uint64_t bytes);

/* The backing of a page, or null. */
struct backing *backing_at(const struct ranges *ranges, uint64_t page);

#endif
