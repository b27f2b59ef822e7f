/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Slots of mappings that had nothing to unmap: whose they are when, while readers may know them and afterwards. */
#include "support/guest.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_slot_rests),
	        cmocka_unit_test(slots_of_the_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
