/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One translation unit, as GenMC wants it. */
#include "rcu_stub.h"

#include "../../src/mapping/lookup.c"
#include "../../src/mapping/unregister.c"
#include "references_scenarios.c"
#include "threads.c"
