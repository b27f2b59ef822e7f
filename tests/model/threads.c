/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Runs each scenario with real threads, many times; with -DMODEL_SCENARIO=n the nth alone and once, for GenMC (genmc.sh).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

void model_fault(const char *what, int line)
{
	fprintf(stderr, "line %d: not so: %s\n", line, what);
	abort();
}

static void *run_thread(void *arg)
{
	void (*const *body)(void) = arg;

	(*body)();
	return NULL;
}

static void run_once(const struct model_scenario *scenario)
{
	void (*body[MODEL_THREADS])(void);
	pthread_t thread[MODEL_THREADS];

	scenario->set_up();
	for (int i = 0; i < MODEL_THREADS; i++) {
		body[i] = scenario->thread[i];
		if (body[i] && pthread_create(&thread[i], NULL, run_thread, &body[i]))
			abort();
	}
	for (int i = 0; i < MODEL_THREADS; i++) {
		if (body[i])
			pthread_join(thread[i], NULL);
	}
	scenario->check();
}

int main(int argc, char **argv)
{
#ifdef MODEL_SCENARIO
	(void)argc, (void)argv;
	run_once(&model_scenarios[MODEL_SCENARIO]);
#else
	long times = argc > 1 ? atol(argv[1]) : 2000;

	for (const struct model_scenario *scenario = model_scenarios; scenario->name; scenario++) {
		for (long i = 0; i < times; i++)
			run_once(scenario);
		printf("%s: %ld times\n", scenario->name, times);
	}
#endif
	return 0;
}
