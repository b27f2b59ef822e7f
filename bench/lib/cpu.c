/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "cpu.h"

#include <pthread.h>
#include <sched.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static cpu_set_t allowed;
static uint32_t count;

static void read_allowed(void)
{
	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		count = (uint32_t)CPU_COUNT(&allowed);
}

void cpu_pin(int cpu)
{
	cpu_set_t one;

	pthread_once(&once, read_allowed);
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	(void)!sched_setaffinity(0, sizeof(one), &one);
}

void cpu_pin_nth(uint32_t number)
{
	uint32_t left;

	pthread_once(&once, read_allowed);
	if (!count)
		return;
	left = number % count;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET((size_t)cpu, &allowed) && left-- == 0) {
			cpu_pin(cpu);
			return;
		}
	}
}

void cpu_unpin(void)
{
	pthread_once(&once, read_allowed);
	if (count)
		(void)!sched_setaffinity(0, sizeof(allowed), &allowed);
}
