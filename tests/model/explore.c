/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Runs each scenario in every interleaving of its threads' atomic operations that has at most so many preemptions
 * (a switch away from a thread that could have gone on). Most concurrency faults need one or two. A thread that is
 * never chosen again until the others have ended is one that stopped there: so a run without end, or one that needs
 * the stopped thread, is found too.
 *
 * Then as many runs more with switches at random points, for faults that need more preemptions.
 *
 * usage: explore [--preemptions N] [--random RUNS] [--scaled] [--must-find-fault]
 * With N negative there are only the random ones, and the scenario may itself be random. --scaled: as many of them as the
 * environment's ISTHMUS_TEST_SCALE says, in percent. With --must-find-fault (for mutants) success means that some
 * run met a fault.
 *
 * Compiled with -DEXPLORE_INPUT it is a fuzz target: the first byte of the input chooses the scenario, each byte behind it decides who
 * goes on where more than one could: 0 whoever is running, others anybody by their number. A fault aborts.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "model.h"

void explore_point(void);
int explore_thread(void);

enum { STACK = 64 * 1024, STEPS_MAX = 20000, EXPLORER = -1 };

/* One decision: who ran on from this point, whom else could have been chosen, and what that cost. */
struct step {
	signed char chosen, before; /* before: who was running, or EXPLORER */
	signed char preemptions; /* before this decision */
	unsigned char enabled; /* set of threads that have not ended */
};

static const struct model_scenario *scenario;
/* Contexts only to begin a thread on a stack of its own: each switch of them is a system call for the signal mask. */
static ucontext_t context[MODEL_THREADS];
static jmp_buf explorer, thread[MODEL_THREADS];
static bool begun[MODEL_THREADS];
static char stack[MODEL_THREADS][STACK];
static int running = EXPLORER;
/* Which CPU each thread is on, who ran there last, and how often that changed: for models of restartable sequences. */
int explore_cpu[MODEL_THREADS] = {0, 1};
unsigned explore_switches[MODEL_THREADS];
static int explore_last[MODEL_THREADS];

static struct step step[STEPS_MAX];
static int steps, planned; /* the first `planned` decisions are taken as they stand in step[] */
static unsigned enabled;
static char fault[200];
static long runs, points;
static uint64_t random_state; /* 0: no random choices */

void model_fault(const char *what, int line)
{
	snprintf(fault, sizeof(fault), "line %d: not so: %s", line, what);
	if (running != EXPLORER) {
		running = EXPLORER;
		_longjmp(explorer, 1); /* the run ends here */
	}
}

void explore_point(void)
{
	if (running != EXPLORER) {
		points++;
		if (_setjmp(thread[running]) == 0)
			_longjmp(explorer, 1);
	}
}

int explore_thread(void)
{
	return running;
}

static void runs_on(int cpu, int number)
{
	if (explore_last[cpu] != number) {
		explore_last[cpu] = number;
		explore_switches[cpu]++;
	}
}

void explore_move(int cpu)
{
	explore_cpu[running] = cpu;
	runs_on(cpu, running);
}

static void thread_main(int number)
{
	scenario->thread[number]();
	enabled &= ~(1u << number);
	_longjmp(explorer, 1);
}

/* Until its next point. A function of its own: it has no variable that a jump could spoil. */
static __attribute__((noinline)) void run_thread(int number)
{
	if (_setjmp(explorer))
		return;
	if (begun[number])
		_longjmp(thread[number], 1);
	begun[number] = true;
	setcontext(&context[number]);
}

static void start_thread(int number)
{
	ucontext_t *at = &context[number];

	getcontext(at);
	at->uc_stack.ss_sp = stack[number];
	at->uc_stack.ss_size = STACK;
	at->uc_link = NULL;
	makecontext(at, (void (*)(void))thread_main, 1, number);
	begun[number] = false;
	enabled |= 1u << number;
}

static void start_threads(void)
{
	enabled = 0;
	for (int i = 0; i < MODEL_THREADS; i++) {
		if (scenario->thread[i])
			start_thread(i);
	}
}

static int lowest(unsigned set)
{
	return __builtin_ctz(set);
}

/* Whoever is running goes on; else the lowest. */
static int default_choice(const struct step *at)
{
	if (at->before != EXPLORER && at->enabled >> at->before & 1)
		return at->before;
	return lowest(at->enabled);
}

#ifndef EXPLORE_INPUT
/* Goes on as a rule; one time in eight switches to anybody. */
static int random_choice(const struct step *at)
{
	int choice;

	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	if (random_state >> 61 != 0)
		return default_choice(at);
	do {
		random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		choice = (int)(random_state >> 40) % MODEL_THREADS;
	} while (!(at->enabled >> choice & 1));
	return choice;
}
#endif

#ifdef EXPLORE_INPUT
static const uint8_t *input;
static size_t input_left;

/* Zeroes once it is used up. */
static int input_choice(const struct step *at)
{
	unsigned set = at->enabled, nth;

	if (!(set & (set - 1)) || input_left == 0)
		return default_choice(at);
	input_left--;
	if (*input == 0) {
		input++;
		return default_choice(at);
	}
	for (nth = (unsigned)(*input++ - 1) % (unsigned)__builtin_popcount(set); nth > 0; nth--)
		set &= set - 1;
	return lowest(set);
}
#define random_choice input_choice
#endif

static int cost(const struct step *at, int choice)
{
	return at->before != EXPLORER && at->enabled >> at->before & 1 && choice != at->before;
}

#ifndef EXPLORE_INPUT
/* The choice after `choice`: first the default, then the others in order; -1 when there is none. */
static int next_choice(const struct step *at, int choice)
{
	int first = default_choice(at);

	for (int next = choice == first ? 0 : choice + 1; next < MODEL_THREADS; next++) {
		if (next != first && at->enabled >> next & 1)
			return next;
	}
	return -1;
}
#endif

static void run_once(void)
{
	int before = EXPLORER, preemptions = 0;

	runs++;
	fault[0] = 0;
	running = EXPLORER;
	scenario->set_up();
	start_threads();
	for (steps = 0; enabled && !fault[0]; steps++) {
		struct step *at = &step[steps];

		if (steps == STEPS_MAX) {
			snprintf(fault, sizeof(fault), "no end after %d steps", STEPS_MAX);
			return;
		}
		at->before = (signed char)before;
		at->preemptions = (signed char)preemptions;
		at->enabled = (unsigned char)enabled;
		if (steps >= planned)
			at->chosen = (signed char)(random_state ? random_choice(at) : default_choice(at));
		preemptions += cost(at, at->chosen);
		before = running = at->chosen;
		runs_on(explore_cpu[running], running);
		run_thread(running);
		running = EXPLORER;
	}
	if (!fault[0])
		scenario->check();
}

#ifndef EXPLORE_INPUT
/* Plan the next run: the last decision that has another choice within the budget takes it. False when all are done. */
static bool plan_next(int budget)
{
	while (steps-- > 0) {
		struct step *at = &step[steps];
		int choice = next_choice(at, at->chosen);

		if (choice < 0 || at->preemptions + cost(at, choice) > budget)
			continue;
		at->chosen = (signed char)choice;
		planned = steps + 1;
		return true;
	}
	return false;
}

static bool explore(int budget, long random_runs)
{
	planned = 0;
	random_state = 0;
	while (budget >= 0) {
		run_once();
		if (fault[0])
			return false;
		if (!plan_next(budget))
			break;
	}
	planned = 0;
	random_state = 1;
	while (random_runs-- > 0) {
		run_once();
		if (fault[0])
			return false;
	}
	return true;
}
#endif

static void print_schedule(void)
{
	printf("  schedule:");
	for (int i = 0; i < steps; i++) {
		if (i == 0 || step[i].chosen != step[i - 1].chosen)
			printf(" %d@%d", step[i].chosen, i);
	}
	printf("\n");
}

#ifdef EXPLORE_INPUT
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned count = 0;

	if (size == 0)
		return 0;
	while (model_scenarios[count].name)
		count++;
	scenario = &model_scenarios[data[0] % count];
	input = data + 1;
	input_left = size - 1;
	random_state = 1; /* choices are the input's */
	run_once();
	if (!fault[0])
		return 0;
	printf("%s: fault: %s\n", scenario->name, fault);
	print_schedule();
	abort();
}
#else
int main(int argc, char **argv)
{
	int preemptions = 2, faults = 0;
	bool must_find = false;
	long random_runs = 0, percent = 100;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--must-find-fault") == 0)
			must_find = true;
		else if (strcmp(argv[i], "--preemptions") == 0 && i + 1 < argc)
			preemptions = atoi(argv[++i]);
		else if (strcmp(argv[i], "--random") == 0 && i + 1 < argc)
			random_runs = atol(argv[++i]);
		else if (strcmp(argv[i], "--scaled") == 0 && getenv("ISTHMUS_TEST_SCALE"))
			percent = atol(getenv("ISTHMUS_TEST_SCALE"));
		else if (strcmp(argv[i], "--scaled") != 0)
			return 2;
	}
	random_runs = random_runs * percent / 100;
	for (scenario = model_scenarios; scenario->name; scenario++) {
		long runs_before = runs;
		bool good = explore(preemptions, random_runs);

		printf("%s: %ld runs%s%s\n", scenario->name, runs - runs_before,
		       good ? "" : ", fault: ", fault);
		if (!good) {
			print_schedule();
			faults++;
		}
	}
	printf("%ld runs (preemptions up to %d, and random), %ld steps, %d scenarios with faults\n", runs,
	       preemptions, points, faults);
	return must_find ? faults == 0 : faults != 0;
}
#endif
