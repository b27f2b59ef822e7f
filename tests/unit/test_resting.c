/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Slots of mappings that had nothing to unmap: whose they are when, while readers may know them and afterwards. */
#include "support/guest.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "manager/manager.h"

#define PAGE IST_PAGE_SIZE
#define RAM (64 * MIB)

static struct ist_mapping_stats stats_of(struct ist_manager *manager)
{
	struct ist_mapping_stats stats;

	ist_mapping_stats(manager, &stats);
	return stats;
}

static struct ist_mapping add_page(struct ist_manager *manager, uint32_t owner, size_t page)
{
	struct ist_registration r = {.paddr = GUEST_PADDR + page * PAGE, .size = PAGE, .owner = owner};
	struct ist_mapping mapping;

	assert_int_equal(ist_mapping_register(manager, &r, &mapping), 0);
	return mapping;
}

static void take_away(struct ist_manager *manager, const struct ist_mapping *mapping)
{
	assert_int_equal(ist_mapping_unregister_one(manager, mapping, 0), 0);
}

/* A thread in a read section until it is told to leave. */
struct sitting {
	pthread_t thread;
	sem_t inside, leave;
};

static void *sit(void *context)
{
	struct sitting *sitting = context;

	ist_read_enter();
	sem_post(&sitting->inside);
	sem_wait(&sitting->leave);
	ist_read_leave();
	return NULL;
}

static void sit_down(struct sitting *sitting)
{
	sem_init(&sitting->inside, 0, 0);
	sem_init(&sitting->leave, 0, 0);
	assert_int_equal(pthread_create(&sitting->thread, NULL, sit, sitting), 0);
	sem_wait(&sitting->inside);
}

static void get_up(struct sitting *sitting)
{
	sem_post(&sitting->leave);
	pthread_join(sitting->thread, NULL);
	sem_destroy(&sitting->inside);
	sem_destroy(&sitting->leave);
}

enum { AMONG = 40 };

/* What has ended says so, and rests: its slot is another one's only when whoever may know it has left; and then with a handle of its own. */
static void a_slot_rests(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping ended[AMONG], next;
	struct sitting sitting;
	uint64_t waiting;
	bool is_too_early = false, is_used_again = false;

	(void)state;
	sit_down(&sitting);
	for (int i = 0; i < AMONG; i++) {
		ended[i] = add_page(manager, 0, (size_t)i);
		take_away(manager, &ended[i]);
		for (int k = 0; k < i; k++)
			is_too_early |= ended[k].slot == ended[i].slot;
	}
	waiting = stats_of(manager).waiting;
	get_up(&sitting);
	assert_false(is_too_early);
	assert_int_equal(waiting, AMONG);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(stats_of(manager).waiting, 0);

	for (int i = 0; i < AMONG; i++) {
		next = add_page(manager, 0, (size_t)i);
		for (int k = 0; k < AMONG; k++) {
			if (ended[k].slot != next.slot)
				continue;
			is_used_again = true;
			assert_int_not_equal(ended[k].generation, next.generation);
			assert_int_equal(ist_mapping_get(manager, &ended[k]), -ENOENT);
		}
		assert_int_equal(ist_mapping_get(manager, &next), 0);
		ist_mapping_put(manager, &next);
		take_away(manager, &next);
	}
	assert_true(is_used_again);
	guest_drop(&guest);
}

/* Of an owner who is gone: others get his slots, rested or not. */
static void slots_of_the_dead(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	uint64_t bookkeeping = 0;

	(void)state;
	for (uint32_t id = 1; id <= 300; id++) {
		struct ist_mapping mapping[3];

		assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = id}), 0);
		for (int i = 0; i < 3; i++)
			mapping[i] = add_page(manager, id, (size_t)i);
		take_away(manager, &mapping[0]);
		assert_int_equal(ist_owner_destroy(manager, id), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(ist_mapping_get(manager, &mapping[i]), -ENOENT);
		assert_int_equal(ist_mapping_drain(manager), 0);
		if (id == 3)
			bookkeeping = stats_of(manager).bookkeeping;
	}
	assert_true(stats_of(manager).bookkeeping <= bookkeeping);
	guest_drop(&guest);
}

enum { FEW = 50 };

static int try_page(struct ist_manager *manager, uint32_t owner, size_t page, struct ist_mapping *out)
{
	struct ist_registration r = {.paddr = GUEST_PADDR + page * PAGE, .size = PAGE, .owner = owner};

	return ist_mapping_register(manager, &r, out);
}

/* While a reader stays no more may rest than so many, of each owner: then he waits (-EAGAIN), and nobody else does. */
static void no_more_rest(void **state)
{
	struct guest guest = guest_make(RAM);
	struct ist_manager *manager = guest.fixture.manager;
	struct ist_mapping mapping, kept, before;
	struct sitting sitting;
	int error = 0, ended = 0, other, last;

	(void)state;
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 1}), 0);
	assert_int_equal(ist_owner_create(manager, &(struct ist_owner_config){.id = 2}), 0);
	kept = add_page(manager, 1, 100);
	manager->space.waiting_max = FEW;
	sit_down(&sitting);
	memset(&mapping, 0x5a, sizeof(mapping));
	for (; ended <= 2 * FEW; ended++) {
		before = mapping;
		error = try_page(manager, 1, (size_t)ended, &mapping);
		if (error)
			break;
		take_away(manager, &mapping);
	}
	last = try_page(manager, 1, 3, &mapping);
	other = try_page(manager, 2, 3, &kept) == 0 ? ist_mapping_unregister_one(manager, &kept, 0) : -EINVAL;
	get_up(&sitting);
	assert_int_equal(error, -EAGAIN);
	assert_int_equal(last, -EAGAIN);
	assert_int_equal(ended, FEW + 1);
	assert_memory_equal(&before, &mapping, sizeof(mapping)); /* untouched */
	assert_int_equal(other, 0);
	assert_int_equal(ist_mapping_drain(manager), 0);
	assert_int_equal(try_page(manager, 1, 3, &mapping), 0);
	assert_int_equal(ist_owner_destroy(manager, 1), 0);
	assert_int_equal(ist_owner_destroy(manager, 2), 0);
	guest_drop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_slot_rests),
	        cmocka_unit_test(slots_of_the_dead),
	        cmocka_unit_test(no_more_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
