/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The kernel's part of restartable sequences, for models: CPUs, and a fence that aborts every sequence (arch_model.h). */
#include "percpu/rseq.h"

#include "percpu/percpu.h"

struct percpu_thread_area percpu_area;
_Atomic uint64_t percpu_aborts;
unsigned model_fences;
void (*model_asked_number)(void);

#ifndef MODEL_CPUS
#define MODEL_CPUS 2
#endif

bool rseq_start(void)
{
	return true;
}

bool rseq_counts_threads(void)
{
	return false;
}

int32_t rseq_number(void)
{
	int32_t number = model_cpu();

	if (model_asked_number)
		model_asked_number();
	return number;
}

uint32_t rseq_cpu(void)
{
	return (uint32_t)model_cpu();
}

bool rseq_fence(void)
{
	explore_point();
	model_fences++;
	return true;
}

unsigned rseq_possible_cpus(void)
{
	return MODEL_CPUS;
}

unsigned rseq_numbers(void)
{
	return MODEL_CPUS;
}
