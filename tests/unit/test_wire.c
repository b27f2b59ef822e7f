/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* OP-TEE's page lists: what is read and what not, what is refused, and a peer that rewrites them meanwhile. */
#include "support/guest.h"
#include "support/sanitizers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define PAGE IST_PAGE_SIZE
#define RAM (16 * MIB)
#define LIST 2000u /* the page of the RAM where lists begin */
#define ENTRIES 511u

static _Atomic uint64_t *word_of(struct guest *guest, size_t page, size_t word)
{
	return (_Atomic uint64_t *)(void *)(guest->ram + page * PAGE) + word;
}

static void write_word(struct guest *guest, size_t page, size_t word, uint64_t value)
{
	atomic_store_explicit(word_of(guest, page, word), value, memory_order_relaxed);
}

/* Entry i names page `first + i * step`; list pages lie one behind the other, but for a stray page between. */
static uint64_t write_list(struct guest *guest, size_t count, size_t first, size_t step)
{
	size_t page = LIST;

	for (size_t i = 0; i < count; i++) {
		if (i > 0 && i % ENTRIES == 0) {
			write_word(guest, page, ENTRIES, GUEST_PADDR + (page + 2) * PAGE);
			page += 2;
		}
		write_word(guest, page, i % ENTRIES, GUEST_PADDR + (first + i * step) * PAGE);
	}
	return GUEST_PADDR + LIST * PAGE;
}

static void lists_of_all_lengths(void **state)
{
	static const size_t counts[] = {1, 2, 510, 511, 512, 513, 1022, 1023, 1500};
	struct guest guest = guest_make(RAM);

	(void)state;
	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		struct ist_registration r = {.size = counts[k] * PAGE - 10, .cookie = 4};
		uint64_t list = write_list(&guest, counts[k], 3, 1);
		struct ist_mapping mapping;

		/* No link is looked at that is not needed: what stands there may be anything. */
		if (counts[k] % ENTRIES == 0)
			write_word(&guest, LIST + 2 * (counts[k] / ENTRIES - 1), ENTRIES, 0xdeadbeef);
		assert_int_equal(ist_mapping_register_list(guest.fixture.manager, list + 9, &r, &mapping), 0);
		assert_int_equal((uintptr_t)mapping.vaddr % PAGE, 9);
		guest_check((char *)mapping.vaddr - 9, GUEST_PADDR + 3 * PAGE,
		            (counts[k] < 1990 ? counts[k] : 0) * PAGE);
		assert_int_equal(ist_mapping_unregister(guest.fixture.manager, 0, 4, 0), 0);
	}
	guest_drop(&guest);
}

struct cancelled {
	struct ist_manager *manager;
	uint64_t list;
	int error, lists;
};

/* Cancelled before it begins: nothing in a registration may be where that takes effect, though the list is read by system calls. */
static void *register_cancelled(void *argument)
{
	struct cancelled *cancelled = argument;
	struct ist_registration r = {.size = 600 * PAGE, .cookie = 5};
	struct ist_mapping mapping;

	pthread_cancel(pthread_self());
	for (int i = 0; i < 8; i++) {
		r.cookie = (uint64_t)i + 5;
		cancelled->error =
		        ist_mapping_register_list(cancelled->manager, cancelled->list, &r, &mapping);
		if (cancelled->error || ist_mapping_unregister(cancelled->manager, 0, r.cookie, 0))
			break;
		cancelled->lists++;
	}
	pthread_testcancel();
	return NULL;
}

/* Neither the backing that the list lies in nor those of the pages stay pinned. */
static void cancelled_while_pinned(void **state)
{
	struct guest guest = guest_make(RAM);
	struct cancelled cancelled = {guest.fixture.manager, write_list(&guest, 600, 3, 2), -EINVAL, 0};
	pthread_t thread;
	void *result;

	(void)state;
	if (IS_ASAN) { /* it takes the frames that are unwound for frames still */
		guest_drop(&guest);
		skip();
	}
	assert_int_equal(pthread_create(&thread, NULL, register_cancelled, &cancelled), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_int_equal(cancelled.error, 0);
	assert_int_equal(cancelled.lists, 8);
	assert_int_equal(ist_mapping_drain(guest.fixture.manager), 0);
	guest_drop(&guest); /* which removes the backing */
}

static void what_is_refused(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_registration r = {.size = 600 * PAGE};
	struct ist_owner_config owner = {.id = 7, .max_buffer_pages = 512};
	uint64_t list = write_list(&guest, 600, 3, 2);
	struct ist_mapping mapping, untouched;
	struct ist_mapping_stats stats;

	(void)state;
	memset(&mapping, 0x5a, sizeof(mapping));
	untouched = mapping;
	write_word(&guest, LIST + 2, 50, GUEST_PADDR + 1);
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -EINVAL);
	write_word(&guest, LIST + 2, 50, GUEST_PADDR);
	write_word(&guest, LIST, ENTRIES, GUEST_PADDR + (LIST + 2) * PAGE + 8);
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -EINVAL);
	write_word(&guest, LIST, ENTRIES, 0x1000); /* in no backing */
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -ENXIO);
	assert_int_equal(ist_mapping_register_list(manager, 0x1000, &r, &mapping), -ENXIO);
	r.size = 0;
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -EINVAL);
	r.size = SIZE_MAX;
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -EINVAL);
	/* A list that runs in circles ends when it has given as many pages as were asked for. */
	write_word(&guest, LIST, ENTRIES, list);
	r.size = 2000 * PAGE;
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), 0);
	assert_int_equal(ist_mapping_unregister_one(manager, &mapping, 0), 0);
	mapping = untouched;
	/* And is not walked at all if that is too many. */
	r.size = (size_t)1 << 50;
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -ENOSPC);
	assert_int_equal(ist_owner_create(manager, &owner), 0);
	r.owner = 7;
	r.size = 512 * PAGE + 1;
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -EDQUOT);
	r.owner = 8;
	assert_int_equal(ist_mapping_register_list(manager, list, &r, &mapping), -ENOENT);
	assert_memory_equal(&mapping, &untouched, sizeof(mapping));
	ist_mapping_stats(manager, &stats);
	assert_int_equal(stats.mappings, 0);
	assert_int_equal(ist_owner_destroy(manager, 7), 0);
	guest_drop(&guest);
}

/* List pages in the carve-out, and in memory that the caller has mapped. */
static void lists_elsewhere(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_backing memory = {.paddr = 0x100000, .size = PAGE, .vaddr = guest.ram + 77 * PAGE};
	struct ist_registration r = {.size = 2 * PAGE};
	struct ist_mapping mapping;
	struct ist_shm shm;
	uint64_t *words;

	(void)state;
	assert_int_equal(ist_client_pool_alloc(guest.fixture.client, PAGE, &shm), 0);
	words = shm.view.vaddr;
	words[0] = GUEST_PADDR + 5 * PAGE;
	words[1] = GUEST_PADDR + 4 * PAGE;
	assert_int_equal(ist_mapping_register_list(guest.fixture.manager, shm.view.paddr, &r, &mapping), 0);
	guest_check(mapping.vaddr, words[0], PAGE);
	guest_check((char *)mapping.vaddr + PAGE, words[1], PAGE);
	assert_int_equal(ist_mapping_unregister_one(guest.fixture.manager, &mapping, 0), 0);
	assert_int_equal(ist_backing_add(guest.fixture.manager, &memory), 0);
	write_word(&guest, 77, 0, GUEST_PADDR + 9 * PAGE);
	write_word(&guest, 77, 1, GUEST_PADDR + 2 * PAGE);
	assert_int_equal(ist_mapping_register_list(guest.fixture.manager, 0x100000, &r, &mapping), 0);
	guest_check((char *)mapping.vaddr + PAGE, GUEST_PADDR + 2 * PAGE, PAGE);
	assert_int_equal(ist_mapping_unregister_one(guest.fixture.manager, &mapping, 0), 0);
	assert_int_equal(ist_shm_free(&shm), 0);
	guest_drop(&guest);
}

static _Atomic bool stop;

/* Between good and bad words, entries and links alike, as fast as it can. */
static void *rewrite(void *argument)
{
	struct guest *guest = argument;
	uint64_t seed = 5;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		size_t word = random_below(&seed, random_below(&seed, 2) ? 60 : ENTRIES + 1),
		       page = LIST + 2 * random_below(&seed, 3);
		uint64_t good = GUEST_PADDR + random_below(&seed, 1000) * PAGE;
		uint64_t bad[] = {good, good, good, good + 1, 0, UINT64_MAX, GUEST_PADDR + RAM, PADDR};

		if (word == ENTRIES)
			good = GUEST_PADDR + (LIST + 2 * random_below(&seed, 3)) * PAGE;
		write_word(guest, page, word,
		           random_below(&seed, 3) == 0 ? bad[random_below(&seed, 8)] : good);
		for (size_t wait = random_below(&seed, 200); wait > 0; wait--)
			atomic_signal_fence(memory_order_seq_cst);
		write_word(guest, page, word, good);
	}
	return NULL;
}

/* Whatever was registered is inside the RAM, mapped as translation says, and as long as asked for. */
static void hostile_peer(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	uint64_t list = write_list(&guest, 1400, 1, 1), seed = 9, good = 0, refused = 0;
	double until = seconds_now() + (double)scaled(1500) / 1000;
	pthread_t peer;

	(void)state;
	atomic_store_explicit(&stop, false, memory_order_relaxed);
	assert_int_equal(pthread_create(&peer, NULL, rewrite, &guest), 0);
	while (seconds_now() < until) {
		struct ist_registration r = {
		        .size = (1 + random_below(&seed, random_below(&seed, 10) ? 60 : 1400)) * PAGE,
		        .cookie = 3};
		struct ist_mapping mapping;
		int error = ist_mapping_register_list(manager, list, &r, &mapping);

		if (error) {
			assert_true(error == -EINVAL || error == -ENXIO);
			refused++;
			continue;
		}
		good++;
		for (size_t at = 0; at < r.size; at += PAGE) {
			uint64_t paddr;

			assert_int_equal(ist_virt_to_phys(manager, (char *)mapping.vaddr + at, 1, &paddr), 0);
			assert_in_range(paddr, GUEST_PADDR, GUEST_PADDR + RAM - PAGE);
			/* The lists themselves change under our eyes; all else says where it is. */
			if (paddr < GUEST_PADDR + LIST * PAGE)
				assert_int_equal(*(uint64_t *)(void *)((char *)mapping.vaddr + at), paddr);
		}
		assert_int_equal(ist_mapping_unregister(manager, 0, 3, 0), 0);
	}
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	pthread_join(peer, NULL);
	printf("%llu registered, %llu refused\n", (unsigned long long)good, (unsigned long long)refused);
	assert_true(good > 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(cancelled_while_pinned), cmocka_unit_test(lists_of_all_lengths),
	        cmocka_unit_test(what_is_refused),        cmocka_unit_test(lists_elsewhere),
	        cmocka_unit_test(hostile_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
