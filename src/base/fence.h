/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A full fence: what is stored before it is seen before what is loaded behind it, by whoever has one in between as well. And one of
 * release: who acquires anything that is stored behind it, in whatever order, sees what came before it.
 * ThreadSanitizer knows no fences, and a compiler that builds for it refuses them: there, something that is as good in hardware.
 */
#ifndef BASE_FENCE_H
#define BASE_FENCE_H

#include <stdatomic.h>

#include "base/tsan.h"

static inline void fence_full(void)
{
#ifdef TSAN_BUILD
	_Atomic int nothing = 0;

	atomic_exchange_explicit(&nothing, 1, memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

static inline void fence_release(void)
{
#ifdef TSAN_BUILD
	fence_full();
#else
	atomic_thread_fence(memory_order_release);
#endif
}

#endif
