/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a mapping consists of: segments, each of consecutive pages of one backing. */
#ifndef SPACE_SEGMENT_H
#define SPACE_SEGMENT_H

#include <stdint.h>

struct segment {
	uint64_t page; /* the first */
	uint64_t at : 40; /* which page of the mapping that is */
	uint64_t backing : 24;
};

#endif
