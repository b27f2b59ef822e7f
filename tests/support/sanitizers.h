/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What this was compiled for, as constants. Sanitizers use address space and mappings of their own, so that ours cannot be counted. */
#ifndef TESTS_SANITIZERS_H
#define TESTS_SANITIZERS_H

#include "base/tsan.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_ASAN 1
#endif
#endif
#ifndef IS_ASAN
#define IS_ASAN 0
#endif

#ifdef TSAN_BUILD
#define IS_SANITIZED 1
#else
#define IS_SANITIZED IS_ASAN
#endif

#endif
