/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * What memory debuggers are told of the pools, when the library is built for one of them (meson options valgrind and
 * asan_poison): free memory may not be touched, an allocation may, up to the byte that was asked for. Nothing at all
 * otherwise.
 */
#ifndef BASE_TOOLS_H
#define BASE_TOOLS_H

#include <stddef.h>

/* Whether there is anybody to tell: then what is freed is told before anybody else may have it. */
#if defined(ISTHMUS_ASAN_POISON) || defined(ISTHMUS_VALGRIND)
#define TOOLS_ARE_TOLD 1
#else
#define TOOLS_ARE_TOLD 0
#endif

#if defined(ISTHMUS_ASAN_POISON)
#include <sanitizer/asan_interface.h>

#define tools_pool_made(pool, at, size) ((void)(pool), __asan_poison_memory_region(at, size))
#define tools_pool_gone(pool, at, size) ((void)(pool), __asan_unpoison_memory_region(at, size))
#define tools_allocated(pool, at, size) ((void)(pool), __asan_unpoison_memory_region(at, size))
/* What is written for the pool's own sake while nobody owns it, and the end of that. */
#define tools_borrow(at, size) __asan_unpoison_memory_region(at, size)
#define tools_return(at, size) __asan_poison_memory_region(at, size)
#define tools_freed(pool, at, size) ((void)(pool), __asan_poison_memory_region(at, size))
/* An allocation that was zeroed before it became one. */
#define tools_zeroed(at, size) ((void)(at), (void)(size))

#elif defined(ISTHMUS_VALGRIND)
#include <valgrind/memcheck.h>

/* What was in the pool's memory before counts as initialised: a driver's messages keep their old contents. */
static inline void tools_pool_made(const void *pool, void *at, size_t size)
{
	VALGRIND_CREATE_MEMPOOL(pool, 0, 1);
	VALGRIND_MAKE_MEM_NOACCESS(at, size);
}

static inline void tools_pool_gone(const void *pool, void *at, size_t size)
{
	VALGRIND_DESTROY_MEMPOOL(pool);
	VALGRIND_MAKE_MEM_DEFINED(at, size);
}

static inline void tools_allocated(const void *pool, void *at, size_t size)
{
	VALGRIND_MEMPOOL_ALLOC(pool, at, size);
}

static inline void tools_freed(const void *pool, void *at, size_t size)
{
	(void)size;
	VALGRIND_MEMPOOL_FREE(pool, at);
}

static inline void tools_borrow(void *at, size_t size)
{
	VALGRIND_MAKE_MEM_DEFINED(at, size);
}

static inline void tools_zeroed(void *at, size_t size)
{
	VALGRIND_MAKE_MEM_DEFINED(at, size);
}

static inline void tools_return(void *at, size_t size)
{
	VALGRIND_MAKE_MEM_NOACCESS(at, size);
}

#else

#define tools_pool_made(pool, at, size) ((void)(pool), (void)(at), (void)(size))
#define tools_pool_gone(pool, at, size) ((void)(pool), (void)(at), (void)(size))
#define tools_allocated(pool, at, size) ((void)(pool), (void)(at), (void)(size))
#define tools_borrow(at, size) ((void)(at), (void)(size))
#define tools_return(at, size) ((void)(at), (void)(size))
#define tools_freed(pool, at, size) ((void)(pool), (void)(at), (void)(size))
#define tools_zeroed(at, size) ((void)(at), (void)(size))

#endif

#endif
