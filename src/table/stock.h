/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Slots (slots.h) that are taken and given back. A record begins with the number of the next unused one, a word that is its
 * own while it is in use. What of a record is rarely needed may lie in a second one beside, under the same number. The lock is
 * held for a few instructions, and nests inside all others.
 */
#ifndef TABLE_STOCK_H
#define TABLE_STOCK_H

#include <pthread.h>

#include "table/slots.h"

struct stock {
	pthread_mutex_t lock;
	struct slots slots, beside; /* beside: of size 0 if there are none */
	uint32_t limit; /* no number is higher */
	uint32_t unused; /* a list */
};

void stock_init(struct stock *stock, size_t size, size_t beside, uint32_t limit);
void stock_drop(struct stock *stock);

/* A number, its record with whatever it had behind the first word, or zeroed; 0: no memory. */
uint32_t stock_take(struct stock *stock);
/* The same, up to so many, as a list; 0: none. They are as close together as can be had. */
uint32_t stock_take_list(struct stock *stock, uint32_t count);
/* A list of numbers, linked by their first words from first to last. */
void stock_give(struct stock *stock, uint32_t first, uint32_t last);

#endif
