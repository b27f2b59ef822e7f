/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One translation unit, as GenMC wants it. */
#include "count_scenarios.c"
#include "threads.c"
