/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The architecture's sequences. ThreadSanitizer cannot see into assembly and models cannot run it: with those, and on
 * any other architecture, there are none and the C11 fallback does all the work.
 */
#include <stdint.h>

#include "base/tsan.h"

/* What percpu_retire_batch ends: numbers of two bytes as they are and as they will be, and where. */
#define ARCH_ENDING 64u
struct arch_ending {
	uint16_t dead[ARCH_ENDING], live[ARCH_ENDING];
	uint32_t places[ARCH_ENDING];
};

#if defined(PERCPU_MODEL)
#include <arch_model.h> /* tests/model: sequences whose steps an explorer can come between */
#elif defined(PERCPU_FALLBACK_ONLY) || defined(TSAN_BUILD)
#include "percpu/arch_none.h"
#elif defined(__x86_64__) && defined(__LP64__) /* not x32 */
#include "percpu/arch_x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include "percpu/arch_aarch64.h"
#else
#include "percpu/arch_none.h"
#endif
