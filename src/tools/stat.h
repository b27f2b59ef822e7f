/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* How isthmus-stat prints a snapshot. */
#ifndef TOOLS_STAT_H
#define TOOLS_STAT_H

#include "tools/page.h"

static inline const char *owner_state(const struct ist_stat_owner *owner)
{
	return owner->state == IST_STAT_OWNER_LIVE    ? "live"
	       : owner->state == IST_STAT_OWNER_DYING ? "dying"
	       : owner->state == IST_STAT_OWNER_TAG   ? "tag"
	                                              : "unknown";
}

void print_json(const struct page *page);

/* `before` is what the body was a while ago, or null: then there are no rates. */
void print_tables(const struct page *page, const struct ist_stat_body *before);

#endif
