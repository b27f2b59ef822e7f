/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/shop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void shop_enter_again(struct shop *shop)
{
	struct ist_mapping mapping;
	struct ist_registration r = {.paddr = GUEST_PADDR + SHOP_RAM - PAGE, .size = 64};

	assert_int_equal(ist_mapping_register(shop->guest.fixture.manager, &r, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(shop->guest.fixture.manager, &mapping, 0), 0);
	assert_int_equal(ist_mapping_drain(shop->guest.fixture.manager), 0);
}

static int shop_alloc(void *context, uint64_t pages, unsigned flags, struct ist_provided *out)
{
	struct shop *shop = context;

	assert_int_equal(out->cookie, 0);
	if (shop->enters)
		shop_enter_again(shop);
	if (shop->delay_us)
		usleep(shop->delay_us);
	if (shop->manner == FAILS)
		return -ENOMEM;
	if (shop->manner == NO_COOKIE)
		return 0;
	pthread_mutex_lock(&shop->lock);
	out->cookie = ++shop->next_cookie;
	shop->out[out->cookie] = true;
	shop->handed_out++;
	out->page_count = shop->manner == SHORT ? pages - 1 : pages;
	out->paddr = GUEST_PADDR + shop->next_page * PAGE;
	if (shop->manner == SCATTERED) {
		for (uint64_t i = 0; i < pages; i++)
			shop->pages[i] = GUEST_PADDR + (shop->next_page + 2 * (pages - i)) * PAGE;
		out->pages = shop->pages;
		shop->next_page += 2 * pages;
	}
	shop->next_page += pages;
	if (shop->next_page > SHOP_RAM / PAGE / 2)
		shop->next_page = 0; /* in these tests nobody holds so many */
	pthread_mutex_unlock(&shop->lock);
	if (shop->manner == UNALIGNED)
		out->paddr++;
	if (shop->manner == OUTSIDE)
		out->paddr = GUEST_PADDR + SHOP_RAM - (pages - 1) * PAGE;
	if (shop->manner == IN_USE)
		out->paddr = GUEST_PADDR + SHOP_RAM - 8 * PAGE;
	if (shop->manner == CARVE_OUT)
		out->paddr = PADDR + 63 * PAGE;
	(void)flags;
	return shop->manner == FAILS_WITH_COOKIE ? -EPERM : shop->manner == POSITIVE ? 7 : 0;
}

static int shop_free(void *context, uint64_t cookie)
{
	struct shop *shop = context;

	if (shop->enters)
		shop_enter_again(shop);
	pthread_mutex_lock(&shop->lock);
	assert_true(cookie > 0 && cookie <= shop->next_cookie);
	assert_true(shop->out[cookie]);
	shop->out[cookie] = false;
	shop->returned++;
	pthread_mutex_unlock(&shop->lock);
	return shop->answer_to_free;
}

struct shop *shop_open(uint64_t chunk, uint64_t keep, uint64_t most)
{
	static struct shop shop;
	struct ist_provider provider = {.alloc = shop_alloc,
	                                .free = shop_free,
	                                .context = &shop,
	                                .chunk_pages = chunk,
	                                .keep_pages = keep,
	                                .max_pages = most};

	memset(&shop, 0, sizeof(shop));
	pthread_mutex_init(&shop.lock, NULL);
	shop.guest = guest_make(SHOP_RAM);
	assert_int_equal(ist_provider_set(shop.guest.fixture.manager, &provider), 0);
	return &shop;
}

void shop_close(struct shop *shop)
{
	assert_int_equal(ist_provider_drain(shop->guest.fixture.manager), 0);
	assert_int_equal(shop->returned, shop->handed_out);
	guest_drop(&shop->guest);
}
