/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One translation unit, as GenMC wants it. */
#include "rcu_stub.h"

#include "../../src/table/index.c"
#include "index_scenarios.c"
#include "threads.c"
