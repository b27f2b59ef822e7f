/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Fork: the child finds every map whole and unlocked, because fork takes all their mutexes first. It may look up,
 * update and destroy; the reclaimer is started again when there is something to do.
 */
#ifndef PAMAP_ATFORK_H
#define PAMAP_ATFORK_H

struct pamap;

void atfork_enlist(struct pamap *map);
void atfork_delist(struct pamap *map);
/* Before the first map: install the hooks, once. -ENOMEM */
int atfork_start(void);

#endif
