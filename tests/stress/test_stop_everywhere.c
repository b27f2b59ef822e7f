/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Two ends of one allocation, the first stopped after each of its instructions up to the one that decides, and after some
 * of those that follow (more with a larger ISTHMUS_TEST_SCALE); there the second from beginning to end, then the rest of
 * the first: exactly one is obeyed, the other refused, and the run is handed out once afterwards. By holder,
 * copy, and the end of the owner, each against each, in a pool as it is and in one with a quarantine; and in the driver
 * pool. The same of each of these against the quarantine, which lets the run out for somebody else while it is being freed or
 * freed again. And an allocation stopped everywhere while its owner ends and the place is given to somebody else.
 *
 * A debugger steps a thread of another process. A step inside of a restartable sequence makes the kernel start that again,
 * as any interruption does; what may happen while one runs on undisturbed, tests/model/client_scenarios.c tries.
 *
 * What the numbers mean: instructions of the first operation, at how many it was stopped, and how often each of the two
 * was the one obeyed. usage: test_stop_everywhere [SERIES]
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client_pool.h"
#include "stepping.h"
#include "support/support.h"

enum { OWNER = 7, NOT_RUN = 1, STEPS_MAX = 200000 };
enum operation { FREE, FREE_COPY, FREE_FOUND, END, ALLOCATE, END_AND_REUSE, LET_OUT };

struct series {
	const char *name;
	enum operation first, second;
	uint32_t quarantine;
	bool driver;
};

static const struct series all_series[] = {
        {"holder, copy", FREE, FREE_COPY, 0, false},
        {"holder, owner's end", FREE, END, 0, false},
        {"owner's end, holder", FREE_FOUND, FREE, 0, false},
        {"owner's end, owner's end", FREE_FOUND, END, 0, false},
        {"quarantine: holder, copy", FREE, FREE_COPY, 1, false},
        {"quarantine: holder, owner's end", FREE, END, 1, false},
        {"quarantine: owner's end, holder", FREE_FOUND, FREE, 1, false},
        {"quarantine: owner's end, owner's end", FREE_FOUND, END, 1, false},
        {"quarantine, holder", LET_OUT, FREE, 1, false},
        {"holder, quarantine", FREE, LET_OUT, 1, false},
        {"quarantine, copy", LET_OUT, FREE_COPY, 1, false},
        {"copy, quarantine", FREE_COPY, LET_OUT, 1, false},
        {"quarantine, owner's end", LET_OUT, END, 1, false},
        {"owner's end, quarantine", FREE_FOUND, LET_OUT, 1, false},
        {"driver: quarantine, holder", LET_OUT, FREE, 1, true},
        {"driver: holder, quarantine", FREE, LET_OUT, 1, true},
        {"driver: quarantine, copy", LET_OUT, FREE_COPY, 1, true},
        {"driver: copy, quarantine", FREE_COPY, LET_OUT, 1, true},
        {"driver: holder, copy", FREE, FREE_COPY, 0, true},
        {"driver, quarantine: holder, copy", FREE, FREE_COPY, 1, true},
        {"allocation, owner's end and reuse", ALLOCATE, END_AND_REUSE, 0, false},
};

/* Between the debugger and the process that it steps. */
struct shared {
	_Atomic int first_has_run;
	int first_result, second_result; /* of the two operations */
	int wrong; /* line of what was not so afterwards */
};

static struct shared *shared;
static int go[2], gone[2]; /* pipes: to let the second operation run, and to tell that it has */
static const struct series *series;
static struct fixture f;
static struct ist_shm handle, copy, pushing, reused; /* pushing: takes the place in the quarantine */
static struct ist_client_allocation found_first; /* by who ends the owner */

static int find_of_owner(struct ist_client_allocation *found)
{
	uint64_t at = 0;

	while (ist_client_pool_next(f.client, at, found) == 0) {
		if (found->owner == OWNER)
			return 0;
		at = ((found->view.paddr + found->view.size - 1) | (IST_PAGE_SIZE - 1)) + 1;
	}
	return -ENOENT;
}

static int end_owner(void)
{
	struct ist_client_allocation found;
	int error = find_of_owner(&found);

	return error ? error : client_pool_free_found(f.client, &found);
}

static int allocate(uint32_t owner, uint32_t flags, struct ist_shm *out)
{
	struct ist_client_request request = {.size = 3000, .owner = owner, .flags = flags};

	return series->driver ? ist_driver_pool_alloc(f.driver, 100, out)
	                      : ist_client_pool_alloc_request(f.client, &request, out);
}

static int run(enum operation operation)
{
	int error;

	switch (operation) {
	case FREE:
		return ist_shm_free(&handle);
	case FREE_COPY:
		return ist_shm_free(&copy);
	case FREE_FOUND:
		return client_pool_free_found(f.client, &found_first);
	case END:
		return end_owner();
	case ALLOCATE:
		return allocate(OWNER, 0, &handle);
	case END_AND_REUSE:
		error = end_owner();
		if (allocate(OWNER + 1, IST_CLIENT_NOZERO, &reused))
			return -ENOSPC;
		memset(reused.view.vaddr, 0xff, reused.view.size);
		return error;
	case LET_OUT:
		error = ist_shm_free(&pushing);
		return error ? error : allocate(OWNER + 1, IST_CLIENT_NOZERO, &reused);
	}
	return -EINVAL;
}

static bool has(enum operation operation)
{
	return series->first == operation || series->second == operation;
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)!sched_setaffinity(0, sizeof(set), &set);
}

static void *second_thread(void *unused)
{
	char word;

	(void)unused;
	pin_to((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	while (read(go[0], &word, 1) == 1) {
		shared->second_result = run(series->second);
		if (write(gone[1], &word, 1) != 1)
			break;
	}
	return NULL;
}

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition) && !shared->wrong)                                                          \
			shared->wrong = __LINE__;                                                            \
	} while (0)

static size_t used(void)
{
	struct ist_pool_stats stats;

	if (series->driver)
		ist_driver_pool_stats(f.driver, &stats);
	else
		ist_client_pool_stats(f.client, &stats);
	return stats.used;
}

static bool is_refusal(int result)
{
	return result == -EALREADY || result == -ENOENT;
}

/* One obeyed, and nobody has anything; then two at once are at two places. */
static void check_ends(void)
{
	struct ist_shm one, two;
	int first = shared->first_result, second = shared->second_result;

	MUST((first == 0 && is_refusal(second)) || (second == 0 && is_refusal(first)));
	MUST(used() == 0);
	MUST(allocate(OWNER, IST_CLIENT_NOZERO, &one) == 0 && allocate(OWNER, IST_CLIENT_NOZERO, &two) == 0);
	MUST(one.view.vaddr != two.view.vaddr);
	MUST(ist_shm_free(&one) == 0 && ist_shm_free(&two) == 0);
}

/* The next one's bytes are its own, whether the place is the same or not. */
static void check_reuse(void)
{
	MUST(shared->first_result == 0);
	for (size_t i = 0; i < reused.view.size; i++)
		MUST(((unsigned char *)reused.view.vaddr)[i] == 0xff);
	MUST(ist_shm_free(&reused) == 0);
	MUST((ist_shm_free(&handle) == 0) == (shared->second_result != 0));
	MUST(used() == 0);
}

/* Whoever frees first is obeyed, and a copy that comes after it refused; what was let out is at one place. */
static void check_let_out(void)
{
	int other = series->first == LET_OUT ? shared->second_result : shared->first_result;

	MUST((series->first == LET_OUT ? shared->first_result : shared->second_result) == 0);
	MUST(has(FREE_COPY) ? is_refusal(other) : other == 0);
	MUST(used() > 0);
	MUST(ist_shm_free(&reused) == 0);
	shared->first_result = 0;
	shared->second_result = -EALREADY;
	check_ends();
}

/* What there is before: one to be freed, or (for its copy) freed already; and one that will push it out. */
static void make_pushing(void)
{
	if (has(LET_OUT))
		MUST(allocate(OWNER + 1, IST_CLIENT_NOZERO, &pushing) == 0);
	if (has(LET_OUT) && has(FREE_COPY))
		MUST(ist_shm_free(&handle) == 0);
}

/* Between two stops of its own lies the operation. */
static void first_thread(void)
{
	pthread_t thread;

	f = fixture_make(64 * MIB, 1 * MIB);
	if (series->quarantine) {
		struct ist_manager_config config = {.vaddr = f.carve_out.start,
		                                    .paddr = PADDR,
		                                    .size = f.carve_out.size,
		                                    .driver_pool_size = 1 * MIB,
		                                    .quarantine = series->quarantine};

		if (ist_manager_destroy(f.manager) || ist_manager_create(&config, &f.manager))
			_exit(2);
		f.driver = ist_manager_driver_pool(f.manager);
		f.client = ist_manager_client_pool(f.manager);
	}
	pthread_create(&thread, NULL, second_thread, NULL);
	for (;;) {
		shared->first_result = shared->second_result = NOT_RUN;
		/* The second time it comes out of a magazine. */
		for (int i = 0; i < 2 && series->first != ALLOCATE; i++) {
			MUST(allocate(OWNER, IST_CLIENT_NOZERO, &handle) == 0);
			copy = handle;
			if (i == 0)
				MUST(ist_shm_free(&handle) == 0);
		}
		make_pushing();
		if (series->first == FREE_FOUND)
			MUST(find_of_owner(&found_first) == 0);
		raise(SIGSTOP);
		shared->first_result = run(series->first);
		atomic_store_explicit(&shared->first_has_run, 1, memory_order_release);
		raise(SIGSTOP);
		if (series->first == ALLOCATE)
			check_reuse();
		else if (has(LET_OUT))
			check_let_out();
		else
			check_ends();
	}
}

/* Lets the process go on as `how` says until it stops again. False if it is dead. */
static bool resume(pid_t process, enum __ptrace_request how)
{
	int status;

	return ptrace(how, process, NULL, NULL) == 0 && waitpid(process, &status, 0) == process &&
	       WIFSTOPPED(status);
}

static bool has_run(_Atomic int *what)
{
	return atomic_load_explicit(what, memory_order_acquire) != 0;
}

static void run_second(void)
{
	char word = 0;

	if (write(go[1], &word, 1) != 1 || read(gone[0], &word, 1) != 1)
		shared->wrong = __LINE__;
}

/*
 * One trial, from stop to stop, the first operation interrupted after `count` steps; who was obeyed is counted. 1: it had
 * ended by then; -1: dead.
 */
static int try_after(pid_t process, long count, long *obeyed)
{
	bool ended;

	atomic_store_explicit(&shared->first_has_run, 0, memory_order_relaxed);
	for (long i = 0; i < count && !has_run(&shared->first_has_run); i++) {
		if (!resume(process, PTRACE_SINGLESTEP))
			return -1;
	}
	ended = has_run(&shared->first_has_run);
	run_second();
	if (!ended && !resume(process, PTRACE_CONT))
		return -1;
	obeyed[0] += shared->first_result == 0;
	obeyed[1] += shared->second_result == 0;
	if (!resume(process, PTRACE_CONT) || (ended && !resume(process, PTRACE_CONT)))
		return -1;
	return ended;
}

/* So many steps may be made for a series, besides those before it is decided. */
#define STEPS_BUDGET 40000

/* How many steps the first operation has when it is not interrupted. */
static long measure(pid_t process, long *obeyed)
{
	long length = 0;

	atomic_store_explicit(&shared->first_has_run, 0, memory_order_relaxed);
	while (!has_run(&shared->first_has_run)) {
		if (length++ == STEPS_MAX || !resume(process, PTRACE_SINGLESTEP))
			return 0;
	}
	run_second();
	obeyed[0] += shared->first_result == 0;
	return resume(process, PTRACE_CONT) && resume(process, PTRACE_CONT) ? length : 0;
}

static int run_series(const struct series *of)
{
	bool decided = false;
	long count = 0, length, stride, each = 0, obeyed[2] = {0, 0};
	int ended = 0, status;
	pid_t process;

	series = of;
	memset(shared, 0, sizeof(*shared));
	if (pipe(go) || pipe(gone))
		return 1;
	process = fork();
	if (process == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(77);
		first_thread();
	}
	if (waitpid(process, &status, 0) != process || !WIFSTOPPED(status)) {
		printf("%s: skipped: there is no stepping here\n", of->name);
		return 77;
	}
	length = measure(process, obeyed);
	stride = 1 + length * length / 2 / (scaled(STEPS_BUDGET) + 1);
	/* Each instruction up to the one that decides, then some of those that follow. */
	while (ended == 0 && shared->wrong == 0 && length > 0) {
		long before = obeyed[0];

		ended = try_after(process, count, obeyed);
		decided = decided || obeyed[0] != before || series->first == ALLOCATE;
		each = decided ? each : count;
		count += decided ? stride : 1;
	}
	kill(process, SIGKILL);
	waitpid(process, &status, 0);
	for (int end = 0; end < 2; end++)
		close(go[end]), close(gone[end]);
	printf("%s: %ld instructions, stopped at the first %ld, then at each %ldth; the first obeyed %ld times, the second "
	       "%ld\n",
	       of->name, length, each, stride, obeyed[0], obeyed[1]);
	if (shared->wrong || ended != 1)
		printf("  FAULT before step %ld: line %d, results %d and %d\n", count, shared->wrong,
		       shared->first_result, shared->second_result);
	return shared->wrong || ended != 1;
}

int main(int argc, char **argv)
{
	int failed = 0, result;

	if (!can_step())
		return 77;
	pin_to(0); /* with the thread that is stepped: they take turns */
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < sizeof(all_series) / sizeof(all_series[0]); i++) {
		if (argc > 1 && (size_t)atoi(argv[1]) != i)
			continue;
		result = run_series(&all_series[i]);
		if (result == 77)
			return 77;
		failed |= result;
	}
	return failed;
}
