/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "percpu/percpu.h"

#include <errno.h>

#include "base/bits.h"
#include "percpu/arch_generic.h"
#include "percpu/rseq.h"
#include "platform/platform.h"
#include "platform/topology.h"

#define NEGATIVE_ENTRIES 2

#ifdef ISTHMUS_TEST_HOOKS
static unsigned pretended_cpus, pretended_possible;

void percpu_pretend_cpus(unsigned cpus)
{
	pretended_cpus = cpus;
}

void percpu_pretend_possible(unsigned cpus)
{
	pretended_possible = cpus;
}
#else
static const unsigned pretended_cpus, pretended_possible;
#endif

static bool is_plugged(const struct percpu *percpu, int64_t block)
{
	/* Relaxed: says where to look, orders nothing. */
	return atomic_load_explicit(percpu_entry(percpu, block), memory_order_relaxed) != percpu->empty;
}

static int64_t distance_to(const struct percpu *percpu, uint32_t block)
{
	return percpu->first + (int64_t)block * (int64_t)percpu->block_bytes;
}

static size_t measure_block(unsigned classes, const uint16_t *slots)
{
	size_t bytes = sizeof(struct percpu_head) + classes * sizeof(struct magazine);

	for (unsigned c = 0; c < classes; c++)
		bytes += slots[c] * sizeof(uint32_t);
	return bits_round_up(bytes, platform_page_size()); /* no two CPUs on one page: each touches its own */
}

/* Slots are laid out by increasing class; a page of them costs memory when a value first comes that far. */
static void lay_out_block(struct percpu *percpu, uint32_t block)
{
	const uint16_t *slots = percpu->slots;
	struct magazine *magazine = percpu_magazine(percpu, block, 0);
	size_t at = percpu->classes * sizeof(struct magazine);

	for (unsigned c = 0; c < percpu->classes; c++) {
		magazine_begin(&magazine[c], (uint32_t)((at - PERCPU_AT(c)) / sizeof(uint32_t)));
		at += slots[c] * sizeof(uint32_t);
	}
}

/*
 * The table's pages, wiped in a child: entries, `ours`, and zeroes for the empty block. In a child an entry is 0 and
 * leads to the table itself, whose zeroes then are an empty block too.
 */
static int make_table(struct percpu *percpu)
{
	/* Sequences look without asking at the entry that the kernel's number says, whatever number that is. */
	size_t entries = bits_max(percpu->blocks, rseq_numbers()) + NEGATIVE_ENTRIES,
	       magazines = percpu->classes * sizeof(struct magazine);
	size_t ours = entries * sizeof(int64_t);
	/* The empty block, too, has a word before it (0: no token). */
	size_t empty = bits_round_up(ours + sizeof(uint64_t) + sizeof(uint64_t), CACHE_LINE);
	char *memory;

	percpu->table_bytes = empty + magazines;
	memory = platform_map(percpu->table_bytes);
	if (!memory)
		return -ENOMEM;
	percpu->table = memory + NEGATIVE_ENTRIES * sizeof(int64_t);
	percpu->ours = (_Atomic uint32_t *)(void *)(memory + ours);
	if (platform_wipe_on_fork(&percpu->wiped, memory, percpu->table_bytes, percpu->ours)) {
		platform_unmap(memory, percpu->table_bytes);
		return -ENOMEM;
	}
	percpu->empty = memory + empty - percpu->table;
	for (size_t i = 0; i < entries; i++)
		atomic_init(percpu_entry(percpu, (int64_t)i - NEGATIVE_ENTRIES), percpu->empty);
	atomic_init(percpu->ours, 1);
	return 0;
}

static void drop_table(struct percpu *percpu)
{
	platform_wipe_end(&percpu->wiped);
	platform_unmap(percpu->table - NEGATIVE_ENTRIES * sizeof(int64_t), percpu->table_bytes);
}

static int make_blocks(struct percpu *percpu, unsigned classes, const uint16_t *slots)
{
	size_t ready_bytes = bits_round_up(percpu->blocks, CACHE_LINE);
	char *memory;

	percpu->block_bytes = measure_block(classes, slots);
	if (percpu->block_bytes / sizeof(uint32_t) > MAGAZINE_POSITION_MAX)
		return -EINVAL;
	percpu->all_bytes =
	        bits_round_up(ready_bytes, platform_page_size()) + percpu->blocks * percpu->block_bytes;
	memory = platform_map(percpu->all_bytes);
	if (!memory)
		return -ENOMEM;
	percpu->ready = (_Atomic uint8_t *)(void *)memory;
	memory += bits_round_up(ready_bytes, platform_page_size());
	percpu->first = memory + sizeof(struct percpu_head) - percpu->table;
	return 0;
}

int percpu_create(struct percpu *percpu, unsigned classes, const uint16_t *slots)
{
	int error;

	percpu->sequences = rseq_start();
	topology_start();
	percpu->classes = classes;
	percpu->blocks = pretended_possible ? pretended_possible : rseq_possible_cpus();
	/* Sequences index the table with what the kernel says, so then it cannot be made smaller. */
	if (pretended_cpus && (!percpu->sequences || pretended_cpus > percpu->blocks))
		percpu->blocks = pretended_cpus;
	error = make_table(percpu);
	if (error)
		return error;
	error = make_blocks(percpu, classes, slots);
	if (error) {
		drop_table(percpu);
		return error;
	}
	percpu->slots = slots;
	return 0;
}

void percpu_destroy(struct percpu *percpu)
{
	platform_unmap((void *)(uintptr_t)percpu->ready, percpu->all_bytes);
	drop_table(percpu);
}

uint32_t percpu_here(const struct percpu *percpu)
{
	int32_t number = percpu->sequences ? rseq_number() : -1;
	uint64_t hash;

	if (number >= 0 && (uint32_t)number < percpu->blocks)
		return (uint32_t)number;
	hash = ((uint64_t)(uintptr_t)__builtin_thread_pointer() >> 12) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)((hash >> 32) * percpu->blocks >> 32);
}

/* A block's first use: the layout is the same whoever writes it, so several may at once. */
static void make_block(struct percpu *percpu, uint32_t block)
{
	if (atomic_load_explicit(&percpu_head(percpu, block)->made, memory_order_acquire))
		return;
	lay_out_block(percpu, block);
	percpu_begin_token(percpu, block);
	atomic_store_explicit(&percpu_head(percpu, block)->made, 1, memory_order_release);
}

void percpu_set_capacity(struct percpu *percpu, uint32_t block, unsigned class, uint32_t capacity)
{
	make_block(percpu, block);
	magazine_set_capacity(percpu_magazine(percpu, block, class), capacity);
}

/*
 * Let this CPU use its block. `ready` is set before and looked at again by the sequence: a drain that clears it in
 * between must not be followed by a plugged block that says it is empty (percpu_empty_stamp).
 */
static bool plug(struct percpu *percpu, uint32_t block)
{
	if (atomic_load_explicit(&percpu->drainers, memory_order_relaxed) || !percpu_is_ours(percpu))
		return false;
	make_block(percpu, block);
	atomic_store_explicit(&percpu_head(percpu, block)->last_cpu, rseq_cpu(), memory_order_relaxed);
	atomic_fetch_add_explicit(&percpu->plugs, 1, memory_order_seq_cst); /* percpu_empty_stamp */
	atomic_store_explicit(&percpu->ready[block], 1, memory_order_seq_cst);
	return arch_plug(&percpu->table, block, distance_to(percpu, block), &percpu->drainers,
	                 &percpu->ready[block]);
}

/* After an operation on this CPU's block failed: is it worth another try? Not if there was nothing to do in it. */
static bool worth_a_try(struct percpu *percpu, bool may_plug, unsigned class)
{
	int32_t number = rseq_number();
	struct magazine *magazine;
	uint32_t level;

	if (number < 0 || (uint32_t)number >= percpu->blocks)
		return false;
	if (!is_plugged(percpu, number))
		return may_plug && plug(percpu, (uint32_t)number);
	magazine = percpu_magazine(percpu, (uint32_t)number, class);
	level = magazine_level(magazine, atomic_load_explicit(&magazine->word, memory_order_relaxed));
	return level != 0 && level < magazine_capacity(magazine);
}

/* Only from this thread's shard: what is in others, a drain brings back. */
static unsigned fallback_take(struct percpu *percpu, unsigned class, uint32_t *values, unsigned count)
{
	uint32_t block = percpu_here(percpu);
	unsigned taken = 0;

	if (!percpu_is_ready(percpu, block) || !percpu_is_ours(percpu))
		return 0;
	while (taken < count && fallback_pop(percpu_magazine(percpu, block, class), &values[taken]))
		taken++;
	return taken;
}

static unsigned fallback_put(struct percpu *percpu, unsigned class, const uint32_t *values, unsigned count)
{
	uint32_t here = percpu_here(percpu);

	if (!percpu_is_ours(percpu))
		return 0;
	/* The thread's own shard, and one more if somebody is at that: then the shared store. */
	for (uint32_t i = 0; i < 2 && i < percpu->blocks; i++) {
		uint32_t block = (here + i) % percpu->blocks;
		struct percpu_head *head = percpu_head(percpu, block);
		unsigned put = 0;

		if (!fallback_claim(&head->claim))
			continue;
		make_block(percpu, block);
		atomic_store_explicit(&percpu->ready[block], 1, memory_order_seq_cst);
		while (put < count && fallback_push(percpu_magazine(percpu, block, class), values[put]))
			put++;
		fallback_let_go(&head->claim);
		return put;
	}
	return 0;
}

unsigned percpu_take(struct percpu *percpu, unsigned class, uint32_t *values, unsigned count, bool may_plug)
{
	if (!percpu->sequences)
		return fallback_take(percpu, class, values, count);
	for (int i = 0; i < PERCPU_TRIES; i++) {
		unsigned taken = arch_pop_batch(&percpu->table, PERCPU_AT(class), values, count);

		if (taken || !worth_a_try(percpu, may_plug, class))
			return taken;
	}
	return 0;
}

unsigned percpu_put(struct percpu *percpu, unsigned class, const uint32_t *values, unsigned count,
                    bool may_plug)
{
	if (!percpu->sequences)
		return fallback_put(percpu, class, values, count);
	for (int i = 0; i < PERCPU_TRIES; i++) {
		unsigned put = arch_push_batch(&percpu->table, PERCPU_AT(class), values, count);

		if (put || !worth_a_try(percpu, may_plug, class))
			return put;
	}
	return 0;
}
