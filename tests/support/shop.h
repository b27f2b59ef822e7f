/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A provider for tests, which counts what it hands out, and answers as badly as it is told to. */
#ifndef TESTS_SHOP_H
#define TESTS_SHOP_H

#include <pthread.h>

#include "support/guest.h"

#define PAGE IST_PAGE_SIZE
#define SHOP_RAM (8 * MIB)
#define SHOP_OUT_MAX 512

enum shop_manner {
	GOOD,
	FAILS,
	FAILS_WITH_COOKIE,
	SHORT,
	NO_COOKIE,
	UNALIGNED,
	OUTSIDE,
	IN_USE,
	CARVE_OUT,
	SCATTERED,
	POSITIVE
};

struct shop {
	struct guest guest;
	pthread_mutex_t lock;
	enum shop_manner manner;
	uint64_t pages[SHOP_RAM / PAGE];
	uint64_t next_page, next_cookie;
	bool out[SHOP_OUT_MAX];
	unsigned handed_out, returned;
	bool enters; /* calls the library from within */
	int answer_to_free;
	unsigned delay_us;
};

/* The manager of a guest with SHOP_RAM of memory, half of which is handed out, page after page and round again. */
struct shop *shop_open(uint64_t chunk, uint64_t keep, uint64_t most);
/* Asserts that all has come back. */
void shop_close(struct shop *shop);

/* Call the library, as a provider may. */
void shop_enter_again(struct shop *shop);

#endif
