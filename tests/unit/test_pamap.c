/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The PA map, one thread: against an array of its mappings. */
#include <errno.h>

#include "pamap/map.h"
#include "pamap/tree.h"
#include "rcu/rcu.h"
#include "support/pamap_model.h"
#include "support/support.h"

#define LAST_PAGE (UINT64_MAX >> PAMAP_PAGE_SHIFT)

static struct pamap_model model;

static int set_up(void **state)
{
	(void)state;
	pamap_model_make(&model);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pamap_model_drop(&model);
	return 0;
}

static struct pamap_entry entry_at(uint64_t page, uint64_t pages, uint64_t to)
{
	return (struct pamap_entry){page, pages, to, (uint32_t)(page * 7 + pages) & 0xffffff, (uint16_t)(page % 5), 3};
}

static void wrong_arguments(void **state)
{
	struct pamap_entry e = entry_at(0, 0, 0), f;

	(void)state;
	assert_int_equal(pamap_model_insert(&model, &e, 0), -EINVAL);
	e = entry_at(LAST_PAGE, 2, 0);
	assert_int_equal(pamap_model_insert(&model, &e, 0), -EINVAL);
	e = entry_at(0, 2, LAST_PAGE);
	assert_int_equal(pamap_model_insert(&model, &e, 0), -EINVAL);
	e = entry_at(LAST_PAGE + 1, 1, 0);
	assert_int_equal(pamap_model_insert(&model, &e, 0), -EINVAL);
	e = entry_at(0, PAMAP_PAGES_MAX + 1, 0);
	assert_int_equal(pamap_model_insert(&model, &e, 0), -EFBIG);
	e = entry_at(5, 1, 5);
	assert_int_equal(pamap_model_remove(&model, &e), -ENOENT);
	f = entry_at(5, 2, 5);
	assert_int_equal(pamap_model_replace(&model, &e, &f), -EINVAL);
	pamap_model_check(&model);
}

static void both_ends_of_the_space(void **state)
{
	const uint64_t region = UINT64_C(1) << 30;
	struct pamap_entry e[] = {
		entry_at(LAST_PAGE, 1, 5),
		entry_at(0, 1, LAST_PAGE),
		entry_at(LAST_PAGE - 9, 9, 100),
		entry_at(1, 4096, 77),
		entry_at(region - 1, 2, 9),
		entry_at(region - 1, 1, 9),
		entry_at(region, 1, 9),
		entry_at(5 * region - 100, 3 * region, 1),
		entry_at(LAST_PAGE - PAMAP_PAGES_MAX + 1, PAMAP_PAGES_MAX, 0),
		entry_at(0, PAMAP_PAGES_MAX, LAST_PAGE - PAMAP_PAGES_MAX + 1),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(e) / sizeof(e[0]); i++) {
		assert_int_equal(pamap_model_insert(&model, &e[i], 0), 0);
		pamap_model_check(&model);
	}
	for (size_t i = 0; i < sizeof(e) / sizeof(e[0]); i++) {
		assert_int_equal(pamap_model_remove(&model, &e[i]), 0);
		pamap_model_check(&model);
	}
}

/* The same page three times: the oldest answers, an owner finds his own, each removal uncovers the next. */
static void duplicates(void **state)
{
	struct pamap_entry e[] = {
		{.page = 100, .pages = 1, .to = 1, .owner = 1}, {.page = 100, .pages = 1, .to = 2, .owner = 2},
		{.page = 100, .pages = 1, .to = 2, .owner = 2}, {.page = 96, .pages = 10, .to = 3, .owner = 3}};
	struct pamap_value value;

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pamap_model_insert(&model, &e[i], 0), 0);
		pamap_model_check(&model);
	}
	assert_int_equal(pamap_model_insert(&model, &e[0], PAMAP_EXCLUSIVE), -EEXIST);
	assert_true(pamap_lookup(model.map, 100 << 12, 1, &value));
	assert_int_equal(value.owner, 1);
	assert_true(pamap_lookup(model.map, 100 << 12, 4097, &value)); /* only one mapping has both pages */
	assert_int_equal(value.owner, 3);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pamap_model_remove(&model, &e[i]), 0);
		pamap_model_check(&model);
		assert_int_equal(pamap_lookup(model.map, 100 << 12, 1, &value), i < 3);
		if (i < 3)
			assert_int_equal(value.owner, i == 0 ? 2 : i == 1 ? 2 : 3);
	}
}

static void too_many_of_one_page(void **state)
{
	struct pamap_entry e = entry_at(7, 3, 1);

	(void)state;
	for (uint32_t i = 0; i < PAMAP_OVERLAP_MAX; i++) {
		e.handle = i;
		assert_int_equal(pamap_insert(model.map, &e, 0), 0);
	}
	e.handle = PAMAP_OVERLAP_MAX;
	assert_int_equal(pamap_insert(model.map, &e, 0), -EMLINK);
	for (uint32_t i = 0; i < PAMAP_OVERLAP_MAX; i++) {
		struct pamap_value value;

		assert_true(pamap_lookup(model.map, 8 << 12, 1, &value));
		assert_int_equal(value.handle, i);
		e.handle = i;
		assert_int_equal(pamap_remove(model.map, &e), 0);
	}
}

/* Contiguous pages up, down and in random order: leaves, blocks, back again. */
/* A mapping of several pages where emptied entries of single ones still stand in the leaf: it hides them, not they it. */
static void over_emptied_entries(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct pamap_entry single[12], keep = entry_at(100, 1, 1), wide;

		assert_int_equal(pamap_model_insert(&model, &keep, 0), 0);
		for (size_t i = 0; i < 12; i++) {
			single[i] = entry_at(200 + 3 * i, 1, 50 + i);
			assert_int_equal(pamap_model_insert(&model, &single[i], 0), 0);
		}
		for (size_t i = 0; i < 12; i++)
			assert_int_equal(pamap_model_remove(&model, &single[i]), 0);
		wide = entry_at(195 + random_below(&seed, 40), 1 + random_below(&seed, 20), 1000);
		assert_int_equal(pamap_model_insert(&model, &wide, 0), 0);
		pamap_model_check(&model);
		assert_int_equal(pamap_model_remove(&model, &wide), 0);
		assert_int_equal(pamap_model_remove(&model, &keep), 0);
	}
}

static void dense(void **state)
{
	enum { PAGES = 1500 };
	static uint64_t order[PAGES];
	uint64_t seed = 5;

	(void)state;
	for (int direction = 0; direction < 3; direction++) {
		for (uint64_t i = 0; i < PAGES; i++)
			order[i] = direction == 1 ? PAGES - 1 - i : i;
		for (size_t i = PAGES; direction == 2 && i > 1; i--) {
			size_t k = random_below(&seed, i);
			uint64_t swapped = order[k];

			order[k] = order[i - 1];
			order[i - 1] = swapped;
		}
		for (int i = 0; i < PAGES; i++) {
			struct pamap_entry e = entry_at(1000 + order[i], 1, 5000 - order[i]);

			/* More ways to be an owner than a block has numbers for. */
			e.owner = (uint16_t)(direction == 2 ? order[i] % 40 : 1);
			assert_int_equal(pamap_model_insert(&model, &e, 0), 0);
		}
		pamap_model_check(&model);
		for (int i = 0; i < PAGES; i++) {
			struct pamap_entry e = model.entry[random_below(&seed, model.count)];

			assert_int_equal(pamap_model_remove(&model, &e), 0);
			if (i % 250 == 0)
				pamap_model_check(&model);
		}
		assert_int_equal(model.count, 0);
	}
}

/* Long mappings over, under and beside dense ones. */
static void nested_over_blocks(void **state)
{
	uint64_t seed = 11;

	(void)state;
	for (uint64_t i = 0; i < 1024; i++) {
		struct pamap_entry e = entry_at(512 + i, 1, i);

		if (i % 7 != 3)
			assert_int_equal(pamap_model_insert(&model, &e, 0), 0);
	}
	for (int i = 0; i < 12; i++) {
		struct pamap_entry e = entry_at(random_below(&seed, 1500), 1 + random_below(&seed, 700), 9000);

		assert_int_equal(pamap_model_insert(&model, &e, 0), 0);
	}
	pamap_model_check(&model);
	while (model.count > 0) {
		struct pamap_entry e = model.entry[random_below(&seed, model.count)];

		assert_int_equal(pamap_model_remove(&model, &e), 0);
		if (model.count % 100 == 0)
			pamap_model_check(&model);
	}
}

struct shape {
	uint64_t space, longest;
	size_t most;
	bool strange; /* values that fit no word */
};

static struct pamap_entry random_entry(uint64_t *seed, const struct shape *shape)
{
	uint64_t page = random_below(seed, shape->space), pages = 1 + random_below(seed, shape->longest);
	struct pamap_entry e = {page, pages, random_below(seed, 1 << 20), (uint32_t)random_below(seed, 100),
				(uint16_t)random_below(seed, 6), (uint8_t)random_below(seed, 3)};

	if (shape->strange && random_below(seed, 4) == 0)
		e.to += UINT64_C(1) << 40;
	if (shape->strange && random_below(seed, 4) == 0)
		e.handle |= 1u << 30;
	if (shape->strange && random_below(seed, 4) == 0)
		e.page += (UINT64_C(3) << 30) - shape->space / 2; /* across a border of regions */
	return e;
}

static void random_step(uint64_t *seed, const struct shape *shape)
{
	size_t grow = model.count >= shape->most ? 0 : model.count < shape->most / 2 ? 7 : 4, kind = random_below(seed, 10);
	struct pamap_entry e = random_entry(seed, shape), *some;

	if (kind < grow) {
		pamap_model_insert(&model, &e, random_below(seed, 8) == 0 ? PAMAP_EXCLUSIVE : 0);
		return;
	}
	if (model.count == 0)
		return;
	some = &model.entry[random_below(seed, model.count)];
	if (kind == 8) {
		e.page = some->page;
		e.pages = some->pages;
		pamap_model_replace(&model, &(struct pamap_entry){some->page, some->pages, some->to, some->handle, some->owner,
								  some->attributes}, &e);
	} else if (kind == 9 && random_below(seed, 8) == 0) {
		pamap_model_hide(&model, (uint16_t)random_below(seed, 6));
	} else if (kind == 9) {
		pamap_model_reap(&model, (uint16_t)random_below(seed, 6), 1 + (unsigned)random_below(seed, 40));
	} else {
		e = *some;
		pamap_model_remove(&model, &e);
	}
}

static void random_mappings(void **state)
{
	static const struct shape shapes[] = {
		{200, 9, 60, false}, {200, 60, 40, true}, {5000, 1, 1500, false}, {600, 1, 900, false},
		{1200, 8, 600, true}, {UINT64_C(1) << 29, 4000, 500, false}, {100000, 40000, 30, true}};
	uint64_t seed = 7;

	(void)state;
	for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
		for (long i = 0; i < scaled(4000); i++) {
			random_step(&seed, &shapes[k]);
			for (int n = 0; n < 4; n++)
				pamap_model_look_up(&model, random_below(&seed, shapes[k].space + 50) << 12 | 5,
						    1 + random_below(&seed, 30000), (uint16_t)random_below(&seed, 6));
			if (i % 500 == 0)
				pamap_model_check(&model);
		}
		pamap_model_check(&model);
		while (model.count > 0) {
			struct pamap_entry e = model.entry[model.count - 1];

			if (pamap_model_remove(&model, &e) == -ENOENT) {
				while (pamap_model_reap(&model, e.owner, 1000) == 1)
					;
			}
		}
		pamap_model_check(&model);
		tear_down(NULL);
		set_up(NULL);
	}
}

/* Whether the way to page x leads through the node, or ends there. */
static bool leads_through(struct root *root, int32_t x, node_ref ref)
{
	struct spot spot;

	tree_find(root, x, &spot);
	for (unsigned i = 0; i < spot.depth; i++)
		if (inner_ref(spot.level[i].node) == ref)
			return true;
	return spot.target == ref;
}

/* Every hint names a node of the tree that covers all of the bucket. Returns how many name leaves or blocks. */
static size_t check_hints(struct root *root)
{
	struct hints *hints = atomic_load_explicit(&root->hints, memory_order_relaxed);
	size_t targets = 0;

	for (uint32_t i = 0; hints && i < hints->count; i++) {
		node_ref ref = hint_node(atomic_load_explicit(&hints->slot[i], memory_order_relaxed));
		int64_t first = hints->base + ((int64_t)i << hints->shift),
		        last = first + ((int64_t)1 << hints->shift) - 1;

		if (!ref)
			continue;
		assert_in_range(last, 0, REGION_LAST);
		assert_true(leads_through(root, (int32_t)first, ref));
		assert_true(leads_through(root, (int32_t)last, ref));
		targets += node_kind(ref) != NODE_INNER;
	}
	return targets;
}

/* A place to map at: anywhere, in a dense run, in a crowd, or far up. */
static struct pamap_entry hinted_entry(uint64_t *seed)
{
	struct pamap_entry e = {.pages = 1, .owner = 1};

	switch (random_below(seed, 5)) {
	case 0:
		e.page = random_below(seed, 1 << 26);
		e.pages = 1 + random_below(seed, 200);
		break;
	case 1:
		e.page = (1 << 20) + random_below(seed, 6000);
		break;
	case 2:
		e.page = (1 << 21) + random_below(seed, 1 << 16);
		break;
	case 3:
		e.page = (1 << 30) - 1 - (random_below(seed, 1 << 12) << 8);
		break;
	default:
		e.page = random_below(seed, 1 << 30);
	}
	e.to = e.page;
	return e;
}

/* A tree of three levels grows and shrinks; what hints lead to is always right. */
/* Up to `most` mappings come and go, in a region of either kind; hints are checked at each of `every` updates. */
static void come_and_go(size_t most, long updates, long every, uint64_t base, struct region *region)
{
	static struct pamap_entry in[40000];
	struct pamap *map = model.map;
	uint64_t seed = 3 + most, to;
	size_t count = 0;

	for (long i = 0; i < updates; i++) {
		bool grow = i < updates / 2 ? random_below(&seed, 4) > 0 : random_below(&seed, 4) == 0;

		if (grow && count < most) {
			in[count] = hinted_entry(&seed);
			in[count].page += base;
			in[count].handle = (uint32_t)i & WORD_HANDLE_MAX;
			assert_int_equal(pamap_insert(map, &in[count++], 0), 0);
		} else if (count > 0) {
			size_t which = random_below(&seed, count);

			assert_int_equal(pamap_remove(map, &in[which]), 0);
			in[which] = in[--count];
		}
		if (i % every != 0)
			continue;
		region = region ? region : &map->first;
		check_hints(&region->root);
		for (size_t k = 0; k < count; k++)
			assert_true(pamap_translate(map, in[k].page << 12, in[k].pages << 12, &to));
	}
	while (count > 0)
		assert_int_equal(pamap_remove(map, &in[--count]), 0);
	check_hints(&region->root);
}

static void hints(void **state)
{
	(void)state;
	come_and_go(40000, 160000, 5000, 0, NULL);
}

static void hints_of_small_maps(void **state)
{
	(void)state;
	come_and_go(40, 2000, 1, 0, NULL);
	come_and_go(400, 4000, 3, 0, NULL);
	come_and_go(3000, 20000, 100, 0, NULL);
}

/* The last region has pages up to the end of the address space; the home region is another one. */
static void hints_of_the_last_region(void **state)
{
	const uint64_t last = LAST_PAGE >> REGION_BITS;
	struct pamap_entry e = entry_at(7, 1, 7), top = entry_at(LAST_PAGE, 1, 9);
	struct regions *regions;

	(void)state;
	assert_int_equal(pamap_insert(model.map, &e, 0), 0);
	assert_int_equal(pamap_insert(model.map, &top, 0), 0);
	regions = atomic_load_explicit(&model.map->regions, memory_order_relaxed);
	assert_int_equal(regions->region[0]->number, last);
	come_and_go(400, 4000, 3, last << REGION_BITS, regions->region[0]);
	assert_int_equal(pamap_remove(model.map, &top), 0);
	assert_int_equal(pamap_remove(model.map, &e), 0);
}

static uint64_t spread_page(uint64_t i, uint64_t count)
{
	uint64_t part = (UINT64_C(1) << REGION_BITS) / count, seed = i + 1;

	return i * part + random_below(&seed, (uint32_t)part);
}

/* While a map is small, most hints name the very entry. */
static void hints_guess(void **state)
{
	(void)state;
	for (uint64_t count = 50; count <= 1000; count += 50) {
		struct hints *made;
		struct pamap *map;
		uint64_t guessed = 0;

		assert_int_equal(pamap_create(&map), 0);
		for (uint64_t i = 0; i < count; i++) {
			struct pamap_entry e = {
			        .page = spread_page(i * 7919 % count, count), .pages = 1, .to = i};

			assert_int_equal(pamap_insert(map, &e, 0), 0);
		}
		made = atomic_load_explicit(&map->first.root.hints, memory_order_relaxed);
		for (uint64_t i = 0; i < count; i++) {
			node_ref hint = hints_find(made, spread_page(i, count) << PAMAP_PAGE_SHIFT);

			guessed += hint && node_kind(hint) == NODE_LEAF && hint_guess(hint) < LEAF_MAX &&
			           node_leaf(hint)->key[hint_guess(hint)] == (int32_t)spread_page(i, count);
		}
		assert_true(guessed > count * 3 / 4);
		pamap_destroy(map);
	}
}

/* A few mappings far away from the others do not cost these their hints. */
static void hints_in_spite_of_the_far(void **state)
{
	const uint64_t counts[] = {50, 1000, 30000}, far[] = {0, (1 << 30) - 9, (1 << 30) - 5};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct hints *made;
		struct pamap *map;
		uint64_t found = 0;

		assert_int_equal(pamap_create(&map), 0);
		for (uint64_t k = 0; k < counts[i] + 3; k++) {
			struct pamap_entry e = {
			        .page = k < 3 ? far[k] : (1 << 20) + 100 * k, .pages = 1, .to = k};

			assert_int_equal(pamap_insert(map, &e, 0), 0);
		}
		made = atomic_load_explicit(&map->first.root.hints, memory_order_relaxed);
		for (uint64_t k = 3; k < counts[i] + 3; k++) {
			node_ref ref = hints_find(made, ((1 << 20) + 100 * k) << PAMAP_PAGE_SHIFT);

			found += ref && node_kind(ref) != NODE_INNER;
		}
		check_hints(&map->first.root);
		assert_true(found > counts[i] / 2);
		pamap_destroy(map);
	}
}

/* Most of what is mapped is found by a hint, wherever it lies, in whatever order it came. */
static void hints_are_many(void **state)
{
	enum { COUNT = 30000 };

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct pamap *map;
		size_t found = 0;

		assert_int_equal(pamap_create(&map), 0);
		for (uint64_t i = 0; i < COUNT; i++) {
			uint64_t spread = kind == 0   ? 1
			                  : kind == 1 ? 17
			                              : 30011,
			         at = kind == 2 ? i * 7919 % COUNT : i;
			struct pamap_entry e = {.page = 12345 + at * spread, .pages = 1, .to = at};

			assert_int_equal(pamap_insert(map, &e, 0), 0);
		}
		for (uint64_t i = 0; i < COUNT; i++) {
			struct hints *made =
			        atomic_load_explicit(&map->first.root.hints, memory_order_relaxed);
			node_ref ref = hints_find(made, (12345 + i * (kind == 0   ? 1
			                                              : kind == 1 ? 17
			                                                          : 30011))
			                                        << PAMAP_PAGE_SHIFT);

			found += ref && node_kind(ref) != NODE_INNER;
		}
		assert_true(found > COUNT * 4 / 5);
		assert_true(check_hints(&map->first.root) > 0);
		pamap_destroy(map);
	}
}

static void owners(void **state)
{
	struct pamap_entry e;
	struct pamap_reap reap;
	int steps = 0;

	(void)state;
	for (uint64_t i = 0; i < 1800; i++) {
		e = entry_at(i * 3 % 1800 * (i % 2 ? 1 : 5), 1, i);
		e.owner = (uint16_t)(i % 3);
		assert_int_equal(pamap_model_insert(&model, &e, 0), 0);
	}
	assert_int_equal(pamap_model_hide(&model, 1), 0);
	pamap_model_check(&model);
	e.owner = 1;
	assert_int_equal(pamap_model_insert(&model, &e, 0), -EBUSY);
	while (pamap_model_reap(&model, 1, 3) == 1) {
		pamap_model_check(&model);
		steps++;
	}
	assert_true(steps > 3);
	pamap_model_check(&model);
	assert_int_equal(pamap_model_insert(&model, &e, 0), 0);
	reap = (struct pamap_reap){9, 0};
	assert_int_equal(pamap_owner_reap(model.map, &reap, 1), -ENOENT);
	pamap_model_check(&model);
}

static void not_inside_a_section(void **state)
{
	struct pamap_entry e = entry_at(1, 1, 1);
	struct pamap_reap reap;
	struct pamap_value value;

	(void)state;
	assert_int_equal(pamap_insert(model.map, &e, 0), 0);
	rcu_enter();
	rcu_enter();
	rcu_leave();
	assert_true(rcu_inside());
	assert_true(pamap_lookup(model.map, 4096, 1, &value));
	assert_int_equal(pamap_insert(model.map, &e, 0), -EDEADLK);
	assert_int_equal(pamap_remove(model.map, &e), -EDEADLK);
	assert_int_equal(pamap_replace(model.map, &e, &e), -EDEADLK);
	assert_int_equal(pamap_owner_hide(model.map, 1, &reap), -EDEADLK);
	assert_int_equal(rcu_wait(), -EDEADLK);
	rcu_leave();
	assert_false(rcu_inside());
	assert_int_equal(rcu_wait(), 0);
	assert_int_equal(pamap_remove(model.map, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(wrong_arguments, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(both_ends_of_the_space, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(duplicates, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(too_many_of_one_page, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(over_emptied_entries, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(dense, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(nested_over_blocks, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(random_mappings, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(hints, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(hints_of_small_maps, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(hints_of_the_last_region, set_up, tear_down),
	        cmocka_unit_test(hints_guess),
	        cmocka_unit_test(hints_in_spite_of_the_far),
	        cmocka_unit_test(hints_are_many),
	        cmocka_unit_test_setup_teardown(owners, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(not_inside_a_section, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
