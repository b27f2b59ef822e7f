/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A thread that stops, or dies, at any instruction of an operation: allocate, free, messages by pointer, look-up, get and
 * put. Two ways, for each operation:
 *
 *   stopped  one thread is stepped through the operation from its first instruction to its last, and after each of them
 *            another thread does all kinds of operations on the same manager, each of which must succeed.
 *   killed   a thread is stepped to an instruction, left standing while the others work and count what can be
 *            allocated, and then made to leave (its stack never runs again: the kernel ends it there). The others work and
 *            count again. A process and a manager of its own for each; each instruction in its turn, or as many as there is
 *            time for, more with a larger ISTHMUS_TEST_SCALE, and other ones each time.
 *
 * What is counted: everything is allocated, in the smallest pieces, until there is nothing, and each piece must be at a
 * place of its own. So what is missing is what the dead thread has: no more than its call was about, and a batch of a
 * cache (doc/guarantees.md, 2), nor less than nothing. Then its owner is destroyed, and the manager, where nothing of it is in use.
 *
 * A step inside of a restartable sequence makes the kernel start that again, as any interruption does: so it is the path
 * beside it that is stepped through. Without sequences it is the path that all take.
 * usage: test_kill_everywhere [SERIES]
 */
#include <elf.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill_process.h"
#include "stepping.h"

static bool wait_for_done(void)
{
	struct pollfd ready = {.fd = done[0], .events = POLLIN};
	char word;

	return poll(&ready, 1, PATIENCE) == 1 && read(done[0], &word, 1) == 1;
}

/* False, and the line of the caller: the others did not come to an end, or found something wrong. */
static bool others(enum order order, int line)
{
	char word = (char)order;

	if (write(orders[1], &word, 1) == 1 && wait_for_done() && !shared->wrong)
		return true;
	printf("  FAULT: %s: order %c of line %d: %s, line %d\n", series->name, word, line,
	       shared->wrong ? "wrong" : "BLOCKED", shared->wrong);
	return false;
}

#define OTHERS(order) others(order, __LINE__)

static pid_t start_process(void)
{
	pid_t process;

	memset(shared, 0, sizeof(*shared));
	if (pipe(orders) || pipe(done))
		return -1;
	process = fork();
	if (process == 0)
		obey();
	return process;
}

static void end_process(pid_t process)
{
	int status;

	kill(process, SIGKILL);
	while (waitpid(-1, &status, __WALL) >
	       0) /* with the thread that is stepped, which is a child of its own */
		continue;
	for (int end = 0; end < 2; end++)
		close(orders[end]), close(done[end]);
}

/* A thread that is about to begin the operation. 0, -1: none; -2: there is no stepping here. */
static pid_t start_victim(void)
{
	pid_t thread;
	int status;

	if (!OTHERS(PREPARE) || !OTHERS(STEP))
		return -1;
	while ((thread = atomic_load_explicit(&shared->thread, memory_order_relaxed)) == 0)
		usleep(10);
	while (waitpid(thread, &status, __WALL) != thread) {
		if (errno == ECHILD && kill(thread, 0))
			return -2;
		usleep(100); /* not traced yet */
	}
	return WIFSTOPPED(status) ? thread : -2;
}

static bool resume(pid_t thread, enum __ptrace_request how)
{
	int status;

	return ptrace(how, thread, NULL, NULL) == 0 && waitpid(thread, &status, __WALL) == thread &&
	       WIFSTOPPED(status);
}

static bool step(pid_t thread)
{
	return resume(thread, PTRACE_SINGLESTEP);
}

static bool has_run(void)
{
	return atomic_load_explicit(&shared->has_run, memory_order_acquire) != 0;
}

/* Lets the operation come to its end, if it has not. */
static bool finish(pid_t thread)
{
	return has_run() || (resume(thread, PTRACE_CONT) && has_run());
}

/* Ends a thread where it stands. */
static bool let_die(pid_t thread)
{
	struct user_regs_struct regs;
	struct iovec whole = {&regs, sizeof(regs)};
	int status;

	if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &whole))
		return false;
#ifdef __aarch64__
	regs.pc = (uintptr_t)leave;
	regs.sp &= ~(uintptr_t)15;
#else
	regs.rip = (uintptr_t)leave;
	regs.rsp = ((regs.rsp - 256) & ~(uintptr_t)15) - 8;
	regs.orig_rax = (unsigned long long)-1;
#endif
	return ptrace(PTRACE_SETREGSET, thread, NT_PRSTATUS, &whole) == 0 &&
	       ptrace(PTRACE_CONT, thread, NULL, NULL) == 0 && waitpid(thread, &status, __WALL) == thread &&
	       WIFEXITED(status);
}

/* How many instructions the operation has, undisturbed, LONG at most; 0: a fault, or -77. */
static long measure(void)
{
	pid_t process = start_process(), thread = start_victim();
	long length = 0;

	while (thread > 0 && !has_run() && length < LONG && step(thread))
		length++;
	if (thread == -2)
		length = -77;
	else if (thread < 0 || !finish(thread) || shared->result)
		length = 0;
	end_process(process);
	return length;
}

struct losses {
	struct room whole, own; /* what there is without the operation; and what that is about */
	long stops, kills;
	size_t messages, pages; /* at most lost */
};

static bool measure_rooms(struct losses *losses)
{
	pid_t process = start_process();
	bool good = OTHERS(COUNT);

	losses->whole = shared->room;
	good = good && OTHERS(OWN);
	losses->own.messages = losses->whole.messages - shared->room.messages;
	losses->own.pages = losses->whole.pages - shared->room.pages;
	end_process(process);
	return good;
}

/* Neither more than there was, nor less than without what a dead thread may have. `more`: what others have freed. */
static bool is_bounded(struct losses *losses, size_t more)
{
	size_t messages = losses->whole.messages + more - shared->room.messages;
	size_t pages = losses->whole.pages - shared->room.pages;
	size_t batch = (DRIVER / 64 + 512) / GRANULE, page_batch = (CARVE_OUT - DRIVER) / 64 / IST_PAGE_SIZE;
	bool of_client = losses->own.pages > 0;

	if (shared->room.messages > losses->whole.messages + more ||
	    shared->room.pages > losses->whole.pages) {
		printf("  FAULT: %s: %zu messages of %zu and %zu pages of %zu: something is there twice\n",
		       series->name, shared->room.messages, losses->whole.messages + more, shared->room.pages,
		       losses->whole.pages);
		return false;
	}
	losses->messages = messages > losses->messages ? messages : losses->messages;
	losses->pages = pages > losses->pages ? pages : losses->pages;
	if (messages <= losses->own.messages + (losses->own.messages > 0 ? batch : 0) &&
	    pages <= losses->own.pages + (of_client ? page_batch : 0))
		return true;
	printf("  FAULT: %s: lost %zu messages' granules (its own %zu) and %zu pages (its own %zu)\n",
	       series->name, messages, losses->own.messages, pages, losses->own.pages);
	return false;
}

/* One pass, with the others at work after each instruction, and counting after each `stride`-th. False: a fault. */
static bool stop_everywhere(struct losses *losses, long stride)
{
	pid_t process = start_process(), thread = start_victim();
	bool good = thread > 0;
	const long most = scaled(3000);

	/* Whoever loses against others at each instruction goes round again: then it is let go on. */
	while (good && losses->stops < most) {
		good = step(thread) && OTHERS(WORK);
		if (has_run())
			break;
		losses->stops++;
		if (good && losses->stops % stride == 0)
			good = OTHERS(COUNT) && is_bounded(losses, 0);
	}
	/* While the others counted there was nothing to be had. */
	good = good && finish(thread) && (shared->result == 0 || shared->result == -ENOSPC);
	end_process(process);
	return good;
}

/* Its owner goes, but where its reference stays; the pool goes where nothing is in use. */
static bool check_ends(const struct losses *losses)
{
	bool keeps = keeps_reference(series);
	bool lost = shared->room.pages < losses->whole.pages ||
	            shared->room.messages <= losses->whole.messages; /* with what others have freed: more */

	if (series->takes_lock)
		return true;
	if (shared->owner_end != 0 && !(keeps && shared->owner_end == -EBUSY)) {
		printf("  FAULT: %s: the owner's end says %d\n", series->name, shared->owner_end);
		return false;
	}
	if (shared->manager_end != 0 && !(lost && shared->manager_end == -EBUSY)) {
		printf("  FAULT: %s: the manager's end says %d\n", series->name, shared->manager_end);
		return false;
	}
	return true;
}

/* One thread after `count` steps: it stands, it dies. 1: it had ended by then; -1: a fault. */
static int kill_after(long count, struct losses *losses)
{
	pid_t process = start_process(), thread = start_victim();
	bool good = thread > 0, ended = false;

	for (long i = 0; good && i < count && !has_run(); i++)
		good = step(thread);
	ended = has_run();
	good = good && OTHERS(WORK) && OTHERS(COUNT) && (ended || is_bounded(losses, 0));
	good = good && let_die(thread);
	good = good && OTHERS(WORK) && OTHERS(COUNT) && (ended || is_bounded(losses, 0));
	good = good && OTHERS(END) && (ended || series->takes_lock || is_bounded(losses, 40 / GRANULE)) &&
	       check_ends(losses);
	losses->kills += good && !ended;
	end_process(process);
	return good ? ended : -1;
}

/* So many steps, and so many processes, are what a series may cost. */
enum { STEPS_BUDGET = 15000, KILLS_BUDGET = 60, COUNTS_BUDGET = 150 };

static int run_series(const struct series *of)
{
	struct losses losses = {.kills = 0};
	long length, stride, count;
	int ended = 0;

	series = of;
	length = measure();
	if (length == -77) {
		printf("%s: skipped: there is no stepping here\n", of->name);
		return 77;
	}
	if (length == 0 || !measure_rooms(&losses) ||
	    !stop_everywhere(&losses, 1 + length / scaled(COUNTS_BUDGET))) {
		printf("  FAULT: %s: %ld instructions, stopped at %ld, result %d, line %d\n", of->name,
		       length, losses.stops, shared->result, shared->wrong);
		return 1;
	}
	stride = 1 + length / scaled(KILLS_BUDGET);
	if (stride < length * length / 2 / scaled(STEPS_BUDGET))
		stride = length * length / 2 / scaled(STEPS_BUDGET);
	for (count = (long)(getpid() % stride); ended == 0 && count <= length; count += stride)
		ended = kill_after(count, &losses);
	printf("%s: %ld%s instructions; stopped at %ld, killed at each %ldth, %ld times; blocked 0; lost at most %zu bytes and "
	       "%zu pages, its own %zu and %zu\n",
	       of->name, length, length == LONG ? " and more" : "", losses.stops, stride, losses.kills,
	       losses.messages * GRANULE, losses.pages, losses.own.messages * GRANULE, losses.own.pages);
	if (ended < 0)
		printf("  FAULT: %s: killed after instruction %ld\n", of->name, count - stride);
	return ended < 0;
}

/* All of it on one of the CPUs that it may use. */
static void take_turns(void)
{
	cpu_set_t set;
	size_t cpu = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)!sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
	int failed = 0, result;

	if (!can_step())
		return 77;
	take_turns();
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	carve_out = mmap(NULL, CARVE_OUT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	                 -1, 0);
	if (shared == MAP_FAILED || carve_out == MAP_FAILED)
		return 1;
	if (!try_manager())
		return 1;
	for (size_t i = 0; i < all_series_count; i++) {
		if (argc > 1 && (size_t)atoi(argv[1]) != i)
			continue;
		result = run_series(&all_series[i]);
		if (result == 77)
			return 77;
		failed |= result;
	}
	return failed;
}
