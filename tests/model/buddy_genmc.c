/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* One translation unit, as GenMC wants it. */
#include "../../src/buddy/bitmap.c"
#include "../../src/buddy/bound.c"
#include "../../src/buddy/scan.c"
#include "../../src/buddy/fit.c"
#include "../../src/buddy/buddy.c"
#include "buddy_scenarios.c"
#include "threads.c"
