/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Order that ThreadSanitizer cannot see because it comes about inside a library that it did not compile: what is
 * before tsan_release(at) happens before what follows a later tsan_acquire(at). Nothing at all elsewhere.
 */
#ifndef BASE_TSAN_H
#define BASE_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define TSAN_BUILD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN_BUILD 1
#endif
#endif

#ifdef TSAN_BUILD
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define tsan_acquire(at) __tsan_acquire(at)
#define tsan_release(at) __tsan_release(at)
#else
#define tsan_acquire(at) ((void)(at))
#define tsan_release(at) ((void)(at))
#endif

#endif
