/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The benchmarks of bench/run suites, one file for each part of the library. Names are PART/WHAT/WHO/ARGUMENTS. */
#ifndef BENCH_SUITES_H
#define BENCH_SUITES_H

#include <isthmus/isthmus.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/gbench.h"
#include "lib/must.h"

void suite_driver_register(void);
void suite_bulk_register(void); /* after suite_driver_register, which loads the general allocators */
void suite_depth_register(void);
void suite_latency_register(void);
void suite_client_register(void);
void suite_zeroing_register(void);
void suite_map_register(void);
void suite_pamap_register(void);
void suite_mapping_register(const char *traces); /* may be null: nothing recorded is replayed */
void suite_guest_register(void);
void suite_tee_register(void);
void suite_tee_device_register(void); /* this one alone */
void suite_tee_front_register(void);
struct recording;
void suite_tee_replay_register(const struct recording *recording); /* which stays */
void suite_replay_register(const char *directory, bool with_jemalloc); /* of the recordings there */

/* Also what takes a gigabyte, or many seconds. */
extern bool suites_large;

/* A manager over private memory with a driver pool of so many bytes and a client pool of at least `client_bytes`; ends the program when there is none. */
struct ist_manager *suites_manager(size_t driver_bytes, size_t client_bytes);

/* 1, 2, 4 ... and the number of CPUs, and four times that: how many threads scaling is measured with. */
void suites_thread_counts(struct gbench *benchmark);

/* Keep the calling thread, the nth of a run, on the CPU that the policy of --pin gives it. Nothing with policy none. */
enum pin_policy { PIN_NONE, PIN_COMPACT, PIN_SCATTER, PIN_CORES, PIN_CACHES, PIN_NODES };
extern enum pin_policy pin_policy;
int pin_policy_by_name(const char *name); /* 0, or -1 */
void pin_thread(int nth);

/* The CPU that is as far from the first as can be had at a distance, or -1 if this machine has none. */
enum pin_distance { PIN_SAME_CORE, PIN_SAME_CACHE, PIN_SAME_PACKAGE, PIN_OTHER_PACKAGE, PIN_DISTANCES };
int pin_cpu_at(enum pin_distance distance);
int pin_first_cpu(void);

/* Tell gbench what a reader must know of this machine now, and how noisy it is; warns if too noisy to compare. */
void context_add(void);

#endif
