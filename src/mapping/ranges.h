/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What is protected: ranges of physical pages, sorted and disjoint. Few and rarely changed: an array. Under the space's mutex. */
#ifndef MAPPING_RANGES_H
#define MAPPING_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
