/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Small programs of two or three threads over the real code, for whoever can run them in every order:
 *   explore.c   all interleavings with a few preemptions, sequentially consistent, anywhere and in seconds;
 *   threads.c   real threads, many times; and, one scenario at a time, GenMC, which knows C11's weaker orders.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stdbool.h>

#ifndef MODEL_THREADS
#define MODEL_THREADS 3
#endif

struct model_scenario {
	const char *name;
	void (*set_up)(void);
	void (*thread[MODEL_THREADS])(void); /* null: no such thread */
	void (*check)(void); /* after all have ended */
};

/* Ended by an element without a name. */
extern const struct model_scenario model_scenarios[];

/* Of the explorer: the thread that runs, -1 in set_up and check; and on which CPU each is taken to be. */
int explore_thread(void);
extern int explore_cpu[MODEL_THREADS];
extern unsigned explore_switches[MODEL_THREADS]; /* of each CPU: how often another thread came to run there */
/* The thread that runs is on another CPU from now on. */
void explore_move(int cpu);

/* Ends this run with a fault. */
void model_fault(const char *what, int line);
#ifdef GENMC
#include <assert.h>
#define MODEL_ASSERT assert
#else
#define MODEL_ASSERT(condition) ((condition) ? (void)0 : model_fault(#condition, __LINE__))
#endif

#endif
