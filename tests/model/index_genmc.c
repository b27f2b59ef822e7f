/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One translation unit, as GenMC wants it. */
/* The index has two halves behind its table. */
#define GENMC_HALVES(bytes, i) ((bytes) == 40 && (i) == 1 ? 2 : 0)
#include "genmc/support.h"
#include "rcu_stub.h"

#include "../../src/table/index.c"
#include "index_scenarios.c"
#include "threads.c"
