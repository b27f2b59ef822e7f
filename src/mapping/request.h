/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_REQUEST_H
#define MAPPING_REQUEST_H

#include "mapping/pages.h"
#include "space/record.h"

/* What a registration wants, copied and checked for itself. */
struct request {
	struct page_list list;
	uint64_t offset, size, cookie;
	uint32_t owner, flags;
	enum mapping_kind kind;
	uint32_t of; /* AGAIN: the slot of the first one */
};

#endif
