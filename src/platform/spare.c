/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "platform/platform.h"

#include <sys/mman.h>

#define PAGES 16u /* each a mapping of its own; moving one over another needs a few */

static _Atomic(char *) spare;
static _Atomic uint64_t holders;

static size_t bytes_of(void)
{
	return PAGES * platform_page_size();
}

/* Pages that differ from their neighbours are not joined. */
static char *make(void)
{
	size_t page = platform_page_size();
	char *made = mmap(NULL, bytes_of(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (made == MAP_FAILED)
		return NULL;
	for (size_t i = 1; i < PAGES; i += 2) {
		if (mprotect(made + i * page, page, PROT_READ)) {
			munmap(made, bytes_of());
			return NULL;
		}
	}
	return made;
}

/* Relaxed, here and below: only addresses are handed on, and nobody looks at what is there. No ABA: nothing is compared but null. */
static void fill_up(void)
{
	char *none = NULL, *made;

	if (atomic_load_explicit(&spare, memory_order_relaxed))
		return;
	made = make();
	if (made && !atomic_compare_exchange_strong_explicit(&spare, &none, made, memory_order_relaxed,
	                                                     memory_order_relaxed))
		munmap(made, bytes_of());
}

static bool give_back(void)
{
	char *made = atomic_exchange_explicit(&spare, NULL, memory_order_relaxed);

	return made && munmap(made, bytes_of()) == 0;
}

/* Sequentially consistent, the count before the look: either we see that the reserve is taken away, or trim sees us. */
void platform_spare_hold(void)
{
	atomic_fetch_add_explicit(&holders, 1, memory_order_seq_cst);
	if (!atomic_load_explicit(&spare, memory_order_seq_cst))
		fill_up();
}

/* The reserve stays: to make it takes longer than all else that a buffer of its own file does. */
void platform_spare_drop(void)
{
	atomic_fetch_sub_explicit(&holders, 1, memory_order_relaxed);
}

void platform_spare_trim(void)
{
	char *made;

	if (atomic_load_explicit(&holders, memory_order_relaxed))
		return;
	made = atomic_exchange_explicit(&spare, NULL, memory_order_seq_cst);
	if (made)
		munmap(made, bytes_of());
	if (atomic_load_explicit(&holders, memory_order_seq_cst))
		fill_up();
}

bool platform_spare_spend(void)
{
	return give_back();
}

void platform_spare_restore(void)
{
	if (atomic_load_explicit(&holders, memory_order_relaxed))
		fill_up();
}
