/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "table/stock.h"

void stock_init(struct stock *stock, size_t size, size_t beside, uint32_t limit)
{
	pthread_mutex_init(&stock->lock, NULL);
	slots_init(&stock->slots, size);
	slots_init(&stock->beside, beside);
	stock->limit = limit;
	stock->unused = 0;
}

void stock_drop(struct stock *stock)
{
	slots_drop(&stock->slots);
	slots_drop(&stock->beside);
	pthread_mutex_destroy(&stock->lock);
}

static uint32_t *next_of(struct stock *stock, uint32_t number)
{
	return slots_at(&stock->slots, number);
}

/* Beside first: what is only there is made up for by the next one. */
static uint32_t make(struct stock *stock)
{
	if (stock->slots.made == stock->limit)
		return 0;
	if (stock->beside.size && stock->beside.made == stock->slots.made && !slots_make(&stock->beside))
		return 0;
	return slots_make(&stock->slots);
}

uint32_t stock_take(struct stock *stock)
{
	return stock_take_list(stock, 1);
}

uint32_t stock_take_list(struct stock *stock, uint32_t count)
{
	uint32_t first = 0, *link = &first;

	pthread_mutex_lock(&stock->lock);
	for (; count > 0; count--) {
		uint32_t number = stock->unused;

		if (number)
			stock->unused = *next_of(stock, number);
		else
			number = make(stock);
		*link = number;
		if (!number)
			break;
		link = next_of(stock, number);
	}
	*link = 0;
	pthread_mutex_unlock(&stock->lock);
	return first;
}

void stock_give(struct stock *stock, uint32_t first, uint32_t last)
{
	pthread_mutex_lock(&stock->lock);
	*next_of(stock, last) = stock->unused;
	stock->unused = first;
	pthread_mutex_unlock(&stock->lock);
}
