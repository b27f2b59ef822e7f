/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One translation unit, as GenMC wants it. */
/* A mapping's handle ends with four halves. */
#define GENMC_HALVES(bytes, i) ((bytes) == 40 && (i) >= 3 ? 2 : 0)
#include "genmc/support.h"
typedef int pthread_cond_t; /* its own <pthread.h> lacks these, which nobody uses here */
typedef int pthread_once_t;
typedef int pid_t;
#include "rcu_stub.h"

#include "../../src/mapping/lookup.c"
#include "../../src/mapping/unregister.c"
#include "references_scenarios.c"
#include "threads.c"
