/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Put before the code under test (-include): every atomic operation becomes a point at which the explorer may switch
 * to another thread. One thread runs at a time, so what lies between two points is atomic anyway; and memory is
 * sequentially consistent, whatever order is named.
 */
#ifndef TESTS_MODEL_ATOMICS_H
#define TESTS_MODEL_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>

void explore_point(void);

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit

#define atomic_load_explicit(at, order) (explore_point(), (void)(order), *(at))
#define atomic_store_explicit(at, value, order) (explore_point(), (void)(order), (void)(*(at) = (value)))
#define atomic_exchange_explicit(at, value, order) \
	__extension__({ \
		explore_point(); \
		(void)(order); \
		__typeof__(*(at) + 0) explore_was = *(at); \
		*(at) = (value); \
		explore_was; \
	})
#define EXPLORE_FETCH(at, operator, value, order) \
	__extension__({ \
		explore_point(); \
		(void)(order); \
		__typeof__(*(at) + 0) explore_was = *(at); \
		*(at) = (__typeof__(*(at) + 0))(explore_was operator(value)); \
		explore_was; \
	})
#define atomic_fetch_add_explicit(at, value, order) EXPLORE_FETCH(at, +, value, order)
#define atomic_fetch_sub_explicit(at, value, order) EXPLORE_FETCH(at, -, value, order)
#define atomic_fetch_or_explicit(at, value, order) EXPLORE_FETCH(at, |, value, order)
#define atomic_fetch_and_explicit(at, value, order) EXPLORE_FETCH(at, &, value, order)
#define atomic_compare_exchange_strong_explicit(at, expected, value, success, failure) \
	__extension__({ \
		explore_point(); \
		(void)(success), (void)(failure); \
		bool explore_equal = *(at) == *(expected); \
		if (explore_equal) \
			*(at) = (value); \
		else \
			*(expected) = *(at); \
		explore_equal; \
	})
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#endif
