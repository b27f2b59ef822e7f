/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A child of fork finds every space in one piece: its locks free, no batch half unmapped. As pamap/atfork.h does for maps. */
#ifndef MAPPING_ATFORK_H
#define MAPPING_ATFORK_H

struct space;

void atfork_enlist_space(struct space *space);
void atfork_delist_space(struct space *space);

/* Install the hooks. Idempotent; before any lock of a space is taken. */
void atfork_start_spaces(void);

#endif
