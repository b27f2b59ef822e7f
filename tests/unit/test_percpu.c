/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The per-CPU engine by itself, one thread: order, capacity, drains, stamps, what it costs in memory, and fork. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "percpu/percpu.h"
#include "percpu/rseq.h"
#include "platform/platform.h"
#include "support/support.h"

enum { CLASSES = 2 };

static const uint16_t slots[CLASSES] = {16, 16};
static uint32_t drained[64];
static unsigned drained_count;

static void sink(void *context, unsigned class, uint32_t value)
{
	(void)context, (void)class;
	drained[drained_count++ % 64] = value;
}

static void set_capacity(struct percpu *percpu, uint32_t capacity)
{
	for (uint32_t block = 0; block < percpu->blocks; block++) {
		for (unsigned class = 0; class < CLASSES; class ++)
			percpu_set_capacity(percpu, block, class, capacity);
	}
}

/* Every value that was put in comes out once, and none beyond the capacity goes in. */
static void values_come_out_once(void **state)
{
	struct percpu percpu = {0};
	uint32_t in[40], out[40], seen = 0;
	unsigned put, taken = 0;

	(void)state;
	assert_int_equal(percpu_create(&percpu, CLASSES, slots), 0);
	assert_false(percpu_pop(&percpu, PERCPU_AT(0), out));
	assert_int_equal(percpu_take(&percpu, 0, out, 1, true), 0);
	for (uint32_t i = 0; i < 40; i++)
		in[i] = i;
	assert_int_equal(percpu_put(&percpu, 1, in, 40, true), 0); /* no capacity yet */
	set_capacity(&percpu, 16);
	put = percpu_put(&percpu, 1, in, 40, true);
	assert_in_range(put, 1, 16);
	assert_int_equal(percpu_take(&percpu, 0, out, 40, true), 0); /* another class */
	while (taken < put) {
		unsigned more = percpu_take(&percpu, 1, out, 3, true);

		if (more == 0) {
			/* Moved to another CPU: what is left is in the first one's magazine. */
			percpu_drain(&percpu, PERCPU_ALL, sink, NULL, NULL);
			for (unsigned i = 0; i < drained_count; i++)
				seen |= 1u << drained[i];
			break;
		}
		for (unsigned i = 0; i < more; i++) {
			assert_false(seen >> out[i] & 1);
			seen |= 1u << out[i];
		}
		taken += more;
	}
	assert_int_equal(seen, (1u << put) - 1);
	percpu_destroy(&percpu);
}

static void verdict(void *context)
{
	struct percpu *percpu = context;

	/* Inside a drain nothing can be put in where there are sequences: the block is not plugged. */
	if (percpu->sequences) {
		assert_false(percpu_push(percpu, PERCPU_AT(0), 1));
		assert_int_equal(percpu_put(percpu, 0, &(uint32_t){1}, 1, true), 0);
	}
}

static void a_drain_leaves_nothing(void **state)
{
	struct percpu percpu = {0};
	uint32_t value = 9;
	uint64_t stamp;

	(void)state;
	assert_int_equal(percpu_create(&percpu, CLASSES, slots), 0);
	set_capacity(&percpu, 16);
	stamp = percpu_empty_stamp(&percpu);
	assert_true(stamp != 0);
	assert_true(stamp == percpu_empty_stamp(&percpu));
	assert_int_equal(percpu_put(&percpu, 0, &value, 1, true), 1);
	assert_true(percpu_empty_stamp(&percpu) == 0);
	drained_count = 0;
	percpu_drain(&percpu, PERCPU_ALL, sink, verdict, &percpu);
	assert_int_equal(drained_count, 1);
	assert_int_equal(drained[0], 9);
	assert_true(percpu_empty_stamp(&percpu) != 0);
	assert_true(percpu_empty_stamp(&percpu) != stamp);
	/* And it can be used again. */
	assert_int_equal(percpu_put(&percpu, 0, &value, 1, true), 1);
	drained_count = 0;
	percpu_drain(&percpu, PERCPU_ALL, sink, NULL, &percpu);
	assert_int_equal(drained_count, 1);
	percpu_destroy(&percpu);
}

static size_t resident(void *start, size_t bytes)
{
	size_t page = platform_page_size(), pages = (bytes + page - 1) / page, count = 0;
	unsigned char *in = test_malloc(pages);

	assert_int_equal(mincore(start, bytes, in), 0);
	for (size_t i = 0; i < pages; i++)
		count += in[i] & 1;
	test_free(in);
	return count * page;
}

/* 256 CPUs of which two are used, with the classes of a driver pool and some of everything in their magazines. */
static void unused_cpus_cost_no_memory(void **state)
{
	enum { MANY = 57 };
	uint16_t many[MANY];
	struct percpu percpu = {0};
	size_t bytes;

	(void)state;
	for (unsigned c = 0; c < MANY; c++)
		many[c] = 64;
	percpu_pretend_cpus(256);
	assert_int_equal(percpu_create(&percpu, MANY, many), 0);
	percpu_pretend_cpus(0);
	assert_true(percpu.blocks >= 256);
	for (unsigned c = 0; c < MANY; c++) {
		uint32_t values[64] = {0};

		percpu_set_capacity(&percpu, percpu_here(&percpu), c, 64);
		percpu_put(&percpu, c, values, 64, true);
		percpu_set_capacity(&percpu, 255, c, 64);
	}
	bytes = resident((void *)(uintptr_t)percpu.ready, percpu.all_bytes) +
	        resident(percpu.table - 2 * sizeof(int64_t), percpu.table_bytes);
	print_message("resident: %zu bytes\n", bytes);
	assert_true(bytes <= 64 * KIB);
	percpu_destroy(&percpu);
}

static void a_child_finds_nothing(void **state)
{
	struct percpu percpu = {0};
	uint32_t value = 5;
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(percpu_create(&percpu, CLASSES, slots), 0);
	set_capacity(&percpu, 16);
	assert_int_equal(percpu_put(&percpu, 0, &value, 1, true), 1);
	assert_true(percpu_is_ours(&percpu));
	child = fork();
	if (child == 0) {
		bool nothing = !percpu_is_ours(&percpu) && !percpu_pop(&percpu, PERCPU_AT(0), &value) &&
		               !percpu_push(&percpu, PERCPU_AT(1), 3) &&
		               percpu_take(&percpu, 0, &value, 1, true) == 0 &&
		               percpu_put(&percpu, 0, &value, 1, true) == 0;

		_exit(nothing ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(percpu_is_ours(&percpu));
	drained_count = 0;
	percpu_drain(&percpu, PERCPU_ALL, sink, NULL, NULL);
	assert_int_equal(drained_count, 1);
	percpu_destroy(&percpu);
}

/* A sandbox that forbids the fence once it is in use: drains find nothing, nothing breaks, and the CPU keeps its values. */
static int without_fence(void)
{
	struct sock_filter program[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
	struct percpu percpu = {0};
	uint32_t value = 5;

	if (percpu_create(&percpu, CLASSES, slots))
		return 1;
	set_capacity(&percpu, 16);
	if (!percpu.sequences)
		return 0;
	if (percpu_put(&percpu, 0, &value, 1, true) != 1)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 0; /* no filters here */
	drained_count = 0;
	percpu_drain(&percpu, PERCPU_ALL, sink, NULL, NULL);
	if (drained_count != 0)
		return 3;
	value = 0;
	for (int i = 0; i < 100 && value == 0; i++)
		percpu_take(&percpu, 0, &value, 1, true);
	return value == 5 ? 0 : 4;
}

static void a_fence_that_is_forbidden(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(without_fence());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static struct percpu small;
static _Atomic bool enough;
static _Atomic long beyond;

/* Nothing was ever put in and nothing has room: whatever succeeds has read something else than a magazine. */
static void *use_nothing(void *unused)
{
	long wrong = 0;
	uint32_t value;

	(void)unused;
	while (!atomic_load(&enough)) {
		if (rseq_number() >= 1)
			atomic_fetch_add(&beyond, 1);
		wrong += percpu_pop(&small, PERCPU_AT(0), &value);
		wrong += percpu_push(&small, PERCPU_AT(1), 1);
		wrong += percpu_take(&small, 0, &value, 1, true);
		wrong += percpu_put(&small, 1, &value, 1, true);
	}
	return (void *)wrong;
}

/* Where /sys says that there is one CPU, as in some containers, others run on more all the same. */
static void more_cpus_than_it_is_said(void **state)
{
	pthread_t thread[3];
	void *wrong;

	(void)state;
	percpu_pretend_possible(1);
	assert_int_equal(percpu_create(&small, CLASSES, slots), 0);
	percpu_pretend_possible(0);
	assert_int_equal(small.blocks, 1);
	/* Each number that the kernel can come up with has an entry, if that is not the block's of CPU 0. */
	for (unsigned number = 1; number < rseq_numbers(); number++)
		assert_true(atomic_load(percpu_entry(&small, number)) == small.empty);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, use_nothing, NULL), 0);
	for (int i = 0; i < 100 && atomic_load(&beyond) < 1000; i++)
		usleep(5000);
	atomic_store(&enough, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	print_message("operations on a CPU that it is not said of: %ld\n", atomic_load(&beyond));
	percpu_destroy(&small);
}

static void no_memory(void **state)
{
	struct percpu percpu = {0};

	(void)state;
	for (unsigned nth = 1; nth <= 2; nth++) {
		platform_fail_map(nth, 0);
		assert_int_equal(percpu_create(&percpu, CLASSES, slots), -ENOMEM);
	}
	platform_fail_map(0, 0);
	assert_int_equal(percpu_create(&percpu, CLASSES, slots), 0);
	percpu_destroy(&percpu);
}

static void pin_to_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	(void)!sched_setaffinity(0, sizeof(set), &set);
}

/* One value with its word; an abort looks like an empty magazine, so a few tries. */
static uint64_t pop_word(struct percpu *percpu)
{
	uint64_t value = 0, word = 0;
	uint32_t back;

	for (int i = 0; i < 1000 && !percpu_pop_token(percpu, PERCPU_AT(0), &value, &word); i++) {
		back = 5;
		percpu_put(percpu, 0, &back, 1, true);
	}
	back = (uint32_t)value;
	percpu_put(percpu, 0, &back, 1, true);
	return word;
}

static bool retire(struct percpu *percpu, uint64_t word, _Atomic uint8_t *bytes, size_t place, unsigned count,
                   uint32_t number)
{
	for (int i = 0; i < 1000; i++) {
		if (percpu_retire(percpu, word, bytes, place, count, &number, 0))
			return true;
	}
	return false;
}

/* What a CPU gave out it may end without an atomic operation, until somebody else wants to; and some time later again. */
static void a_token_ends_and_comes_back(void **state)
{
	_Atomic uint8_t bytes[5] = {0x81, 0x23, 0x45, 0x67, 0x89};
	_Atomic uint64_t whole = 7;
	struct percpu percpu = {0};
	uint64_t word, other;

	(void)state;
	pin_to_one_cpu();
	assert_int_equal(percpu_create(&percpu, CLASSES, slots), 0);
	percpu_use_tokens(&percpu);
	set_capacity(&percpu, 16);
	assert_int_equal(percpu_revoke(&percpu, 0), 0);
	if (!percpu.sequences) {
		assert_int_equal(percpu_revoke(&percpu, token_word(0, 1, true)), -EINVAL);
		percpu_destroy(&percpu);
		skip();
	}
	assert_int_equal(percpu_token_here(&percpu), 0); /* not plugged yet */
	word = pop_word(&percpu);
	assert_true(token_is_word(word) && !(word & TOKEN_ON)); /* it has to pay first */
	atomic_store(&percpu_head(&percpu, token_block(word))->threshold, 1);
	percpu_ended_locally(&percpu, word);
	word = pop_word(&percpu);
	assert_true(token_is_word(word) && word & TOKEN_ON);
	assert_true(percpu_holds_token(&percpu, word));
	assert_int_equal(percpu_token_here(&percpu), word);

	/* Each width, wherever it begins; only if all of it is as expected. */
	assert_false(retire(&percpu, word, bytes, 0, 2, 0x2380));
	assert_false(retire(&percpu, word, bytes, 0, 2, 0x12381));
	assert_true(retire(&percpu, word, bytes, 0, 2, 0x2381));
	assert_true(bytes[0] == 0x01 && bytes[1] == 0x23);
	assert_true(retire(&percpu, word, bytes, 4, 1, 0x89));
	assert_int_equal(bytes[4], 0x09);
	bytes[1] = 0x91;
	assert_true(retire(&percpu, word, bytes, 1, 2, 0x4591));
	assert_true(bytes[1] == 0x11 && bytes[2] == 0x45 && bytes[3] == 0x67);
	assert_false(retire(&percpu, word, bytes, 1, 2, 0x4591)); /* twice */
	while (!percpu_replace(&percpu, word, &whole, 7, 8))
		assert_int_equal(whole, 7);
	assert_false(percpu_replace(&percpu, word, &whole, 7, 9));

	/* Nobody gave these out. */
	for (unsigned bit = 0; bit < 64; bit++) {
		assert_int_equal(percpu_revoke(&percpu, word ^ UINT64_C(1) << bit), -EINVAL);
		assert_false(percpu_replace(&percpu, word ^ UINT64_C(1) << bit, &whole, 8, 9));
	}
	assert_int_equal(percpu_revoke(&percpu, token_word(percpu.blocks, 1, true)), -EINVAL);
	assert_int_equal(percpu_revoke(&percpu, token_word(token_block(word), token_epoch(word) + 1, true)),
	                 -EINVAL);

	assert_int_equal(percpu_revoke(&percpu, word), 0);
	assert_int_equal(percpu_revoke(&percpu, word), 0);
	assert_false(percpu_holds_token(&percpu, word));
	assert_false(retire(&percpu, word, bytes, 1, 2, 0x4511));
	assert_false(percpu_replace(&percpu, word, &whole, 8, 9));
	other = pop_word(&percpu);
	assert_true(token_is_word(other) && !(other & TOKEN_ON));
	assert_false(percpu_replace(&percpu, other, &whole, 8, 9));
	assert_int_equal(percpu_revoke(&percpu, other), 0);
	for (unsigned i = 0; i < TOKEN_THRESHOLD_FIRST - 1; i++)
		percpu_ended_locally(&percpu, other);
	assert_int_equal(pop_word(&percpu), other);
	percpu_ended_locally(&percpu, other);
	word = pop_word(&percpu);
	assert_true(word & TOKEN_ON);
	assert_int_equal(token_epoch(word), token_epoch(other) + 1);
	while (!percpu_replace(&percpu, word, &whole, 8, 9))
		assert_int_equal(whole, 8);
	percpu_destroy(&percpu);
}

/* One of another CPU stays here only if nothing else comes from there. */
static void strangers_go_home(void **state)
{
	struct percpu percpu = {0};
	struct percpu_head *head;
	uint64_t word, on, off;
	uint32_t other;

	(void)state;
	pin_to_one_cpu();
	percpu_pretend_cpus(64);
	assert_int_equal(percpu_create(&percpu, CLASSES, slots), 0);
	percpu_pretend_cpus(0);
	percpu_use_tokens(&percpu);
	set_capacity(&percpu, 16);
	if (!percpu.sequences) {
		percpu_destroy(&percpu);
		skip();
	}
	word = pop_word(&percpu);
	assert_false(percpu_belongs_elsewhere(&percpu, word));
	assert_false(percpu_belongs_elsewhere(&percpu, 0));
	other = (token_block(word) + 1) % percpu.blocks;
	on = token_word(other, 5, true);
	off = token_word(other, 5, false);
	head = percpu_head(&percpu, other);
	assert_true(percpu_belongs_elsewhere(&percpu, on));
	assert_false(percpu_belongs_elsewhere(&percpu, off));
	atomic_store(&head->ended, 2 * TOKEN_PRICE_ELSEWHERE + 1);
	assert_true(percpu_belongs_elsewhere(&percpu, off));
	assert_true(percpu_belongs_elsewhere(&percpu, off));
	assert_false(percpu_belongs_elsewhere(&percpu, off));
	assert_int_equal(atomic_load(&head->ended), 1);
	percpu_destroy(&percpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(values_come_out_once),
	        cmocka_unit_test(a_drain_leaves_nothing),
	        cmocka_unit_test(unused_cpus_cost_no_memory),
	        cmocka_unit_test(a_child_finds_nothing),
	        cmocka_unit_test(a_fence_that_is_forbidden),
	        cmocka_unit_test(no_memory),
	        cmocka_unit_test(more_cpus_than_it_is_said),
	        /* These stay on one CPU, and so does what comes after them. */
	        cmocka_unit_test(a_token_ends_and_comes_back),
	        cmocka_unit_test(strangers_go_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
