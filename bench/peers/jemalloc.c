/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * jemalloc with one arena a pool, whose extent hooks carve from that pool and from nowhere else.
 *
 * Its best fair shot: an explicit thread cache per thread and pool; its own metadata outside the pool; no retained
 * address space; and before a request counts as refused, the thread's cache is flushed, the arena is purged, and the
 * request is made again. What cannot be turned off in 5.3.0 is a page of padding for requests from 16 KiB up (the
 * option cache_oblivious exists there, but is not read).
 *
 * The library is loaded with dlopen into a scope of its own, so it never becomes the program's malloc. It wants
 * static thread-local storage, of which glibc keeps little back for late loading: where that is too little, the
 * process starts itself again with the tunable that asks for more.
 */
#include "peer.h"
#include "region_list.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libjemalloc.so.2"
/* The same copy of the library is compared as plain malloc (malloc_peers.h): nothing here may hold that back. */
#define OPTIONS "retain:false,background_thread:false"
#define TLS_TUNABLE "glibc.rtld.optional_static_tls=32768"
#define RESTARTED "ISTHMUS_BENCH_RESTARTED"

/* From the jemalloc manual; the header cannot be used without linking to the library. */
#define FLAG_ALIGN_PAGE 12
#define FLAG_ALIGN_8 3
#define FLAG_TCACHE(index) ((int)(((index) + 2) << 8))
#define FLAG_ARENA(index) ((int)(((index) + 1) << 20))

struct extent_hooks {
	void *(*alloc)(struct extent_hooks *, void *, size_t, size_t, bool *, bool *, unsigned int);
	bool (*dalloc)(struct extent_hooks *, void *, size_t, bool, unsigned int);
	void (*destroy)(struct extent_hooks *, void *, size_t, bool, unsigned int);
	bool (*commit)(struct extent_hooks *, void *, size_t, size_t, size_t, unsigned int);
	bool (*decommit)(struct extent_hooks *, void *, size_t, size_t, size_t, unsigned int);
	bool (*purge_lazy)(struct extent_hooks *, void *, size_t, size_t, size_t, unsigned int);
	bool (*purge_forced)(struct extent_hooks *, void *, size_t, size_t, size_t, unsigned int);
	bool (*split)(struct extent_hooks *, void *, size_t, size_t, size_t, bool, unsigned int);
	bool (*merge)(struct extent_hooks *, void *, size_t, void *, size_t, bool, unsigned int);
};

/* What experimental.arenas_create_ext takes (5.3 and later). */
struct arena_config {
	struct extent_hooks *hooks;
	bool metadata_use_hooks;
};

struct jemalloc_pool {
	struct extent_hooks hooks; /* first: the hooks get its address */
	pthread_mutex_t mutex;
	struct region_list list;
	unsigned int arena;
};

struct jemalloc_state {
	struct jemalloc_pool pools[POOL_COUNT];
	size_t sizes[POOL_COUNT];
};

struct jemalloc_thread {
	unsigned int caches[POOL_COUNT];
};

static struct {
	void *(*mallocx)(size_t, int);
	void (*sdallocx)(void *, size_t, int);
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
} je;

static void *hook_alloc(struct extent_hooks *hooks, void *at, size_t size, size_t align, bool *zero,
                        bool *commit, unsigned int arena)
{
	struct jemalloc_pool *pool = (struct jemalloc_pool *)(void *)hooks;
	uintptr_t base;

	(void)arena;
	if (at) /* growing in place is not offered */
		return NULL;
	pthread_mutex_lock(&pool->mutex);
	base = region_list_take(&pool->list, size, align);
	pthread_mutex_unlock(&pool->mutex);
	if (!base)
		return NULL;
	if (*zero)
		memset((void *)base, 0, size);
	*commit = true;
	return (void *)base;
}

static bool hook_dalloc(struct extent_hooks *hooks, void *vaddr, size_t size, bool committed,
                        unsigned int arena)
{
	struct jemalloc_pool *pool = (struct jemalloc_pool *)(void *)hooks;
	bool ok;

	(void)committed;
	(void)arena;
	pthread_mutex_lock(&pool->mutex);
	ok = region_list_give(&pool->list, (uintptr_t)vaddr, size);
	pthread_mutex_unlock(&pool->mutex);
	return !ok;
}

static void hook_destroy(struct extent_hooks *hooks, void *vaddr, size_t size, bool committed,
                         unsigned int arena)
{
	hook_dalloc(hooks, vaddr, size, committed, arena);
}

/* Any stretch may be cut anywhere, and neighbours may become one: false means done. */
static bool hook_split(struct extent_hooks *hooks, void *vaddr, size_t size, size_t a, size_t b,
                       bool committed, unsigned int arena)
{
	(void)hooks, (void)vaddr, (void)size, (void)a, (void)b, (void)committed, (void)arena;
	return false;
}

static bool hook_merge(struct extent_hooks *hooks, void *a, size_t a_size, void *b, size_t b_size,
                       bool committed, unsigned int arena)
{
	(void)hooks, (void)a, (void)a_size, (void)b, (void)b_size, (void)committed, (void)arena;
	return false;
}

static int arena_control(unsigned int arena, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "arena.%u.%s", arena, what);
	return je.mallctl(name, NULL, NULL, NULL, 0);
}

static bool pool_init(struct jemalloc_pool *pool, unsigned char *base, size_t size)
{
	struct arena_config config = {.hooks = &pool->hooks};
	size_t length = sizeof(pool->arena);

	pool->hooks = (struct extent_hooks){
	        .alloc = hook_alloc,
	        .dalloc = hook_dalloc,
	        .destroy = hook_destroy,
	        .split = hook_split,
	        .merge = hook_merge,
	};
	if (!region_list_init(&pool->list, (uintptr_t)base, size))
		return false;
	pthread_mutex_init(&pool->mutex, NULL);
	if (!je.mallctl("experimental.arenas_create_ext", &pool->arena, &length, &config, sizeof(config)))
		return true;
	pthread_mutex_destroy(&pool->mutex);
	region_list_fini(&pool->list);
	return false;
}

static void pool_fini(struct jemalloc_pool *pool)
{
	arena_control(pool->arena, "destroy");
	pthread_mutex_destroy(&pool->mutex);
	region_list_fini(&pool->list);
}

static int jemalloc_create(const struct region *region, void **out)
{
	struct jemalloc_state *self = calloc(1, sizeof(*self));
	enum pool pool;

	if (!self)
		return -ENOMEM;
	for (pool = 0; pool < POOL_COUNT; pool++) {
		self->sizes[pool] = region_pool_size(region, pool);
		if (pool_init(&self->pools[pool], region_pool(region, pool), self->sizes[pool]))
			continue;
		while (pool-- > 0)
			pool_fini(&self->pools[pool]);
		free(self);
		return -ENOMEM;
	}
	*out = self;
	return 0;
}

static void jemalloc_destroy(void *state)
{
	struct jemalloc_state *self = state;
	enum pool pool;

	for (pool = 0; pool < POOL_COUNT; pool++)
		pool_fini(&self->pools[pool]);
	free(self);
}

static void *jemalloc_thread_begin(void *state)
{
	struct jemalloc_thread *thread = calloc(1, sizeof(*thread));
	enum pool pool;

	(void)state;
	/* One cache a pool: a shared one would hand driver memory out as client memory. */
	for (pool = 0; thread && pool < POOL_COUNT; pool++) {
		size_t length = sizeof(thread->caches[pool]);

		if (!je.mallctl("tcache.create", &thread->caches[pool], &length, NULL, 0))
			continue;
		while (pool-- > 0)
			je.mallctl("tcache.destroy", NULL, NULL, &thread->caches[pool], length);
		free(thread);
		return NULL;
	}
	return thread;
}

static void jemalloc_thread_end(void *state, void *thread)
{
	struct jemalloc_thread *self = thread;
	enum pool pool;

	(void)state;
	for (pool = 0; pool < POOL_COUNT; pool++)
		je.mallctl("tcache.destroy", NULL, NULL, &self->caches[pool], sizeof(self->caches[pool]));
	free(self);
}

static int pool_flags(const struct jemalloc_state *self, const struct jemalloc_thread *thread, enum pool pool)
{
	return FLAG_ARENA(self->pools[pool].arena) | FLAG_TCACHE(thread->caches[pool]) |
	       (pool == POOL_CLIENT ? FLAG_ALIGN_PAGE : FLAG_ALIGN_8);
}

static int jemalloc_alloc(void *state, void *thread, enum pool pool, size_t size, bool zero,
                          struct block *out)
{
	struct jemalloc_state *self = state;
	struct jemalloc_thread *mine = thread;
	int flags = pool_flags(self, mine, pool);
	size_t whole;

	if (size == 0 || size > self->sizes[pool])
		return -ENOSPC;
	whole = pool == POOL_CLIENT ? round_to_pages(size) : size;
	out->vaddr = je.mallocx(whole, flags);
	if (!out->vaddr) {
		je.mallctl("tcache.flush", NULL, NULL, &mine->caches[pool], sizeof(mine->caches[pool]));
		arena_control(self->pools[pool].arena, "purge");
		out->vaddr = je.mallocx(whole, flags);
	}
	if (!out->vaddr)
		return -ENOSPC;
	out->size = size;
	/* Not jemalloc's own zeroing: it trusts memory that it believes to be clean; here the peer may have written. */
	if (zero)
		memset(out->vaddr, 0, whole);
	return 0;
}

static int jemalloc_release(void *state, void *thread, enum pool pool, struct block *block)
{
	size_t whole = pool == POOL_CLIENT ? round_to_pages(block->size) : block->size;

	je.sdallocx(block->vaddr, whole, pool_flags(state, thread, pool));
	return 0;
}

const struct peer peer_jemalloc = {
        .name = "jemalloc",
        .create = jemalloc_create,
        .destroy = jemalloc_destroy,
        .thread_begin = jemalloc_thread_begin,
        .thread_end = jemalloc_thread_end,
        .alloc = jemalloc_alloc,
        .release = jemalloc_release,
};

/* Start the program again with more static TLS. Returns only when that cannot help or was done before. */
static void restart_with_tls(char **argv)
{
	const char *tunables = getenv("GLIBC_TUNABLES");
	char *joined = NULL;

	if (getenv(RESTARTED) || setenv(RESTARTED, "1", 1))
		return;
	if (asprintf(&joined, "%s%s%s", tunables ? tunables : "", tunables && *tunables ? ":" : "",
	             TLS_TUNABLE) < 0)
		return;
	if (!setenv("GLIBC_TUNABLES", joined, 1))
		execv("/proc/self/exe", argv);
	free(joined);
}

static bool probe(const char **why)
{
	void *state, *thread;
	static unsigned char pages[2 * 16 * 4096] __attribute__((aligned(4096)));
	struct region region = {
	        .vaddr = pages, .driver_size = sizeof(pages) / 2, .client_size = sizeof(pages) / 2};
	struct block block;
	bool ok;

	if (jemalloc_create(&region, &state)) {
		*why = "it cannot keep its metadata outside an arena (jemalloc 5.3 or later can)";
		return false;
	}
	thread = jemalloc_thread_begin(state);
	ok = thread && !jemalloc_alloc(state, thread, POOL_CLIENT, 4096, true, &block);
	if (ok)
		jemalloc_release(state, thread, POOL_CLIENT, &block);
	if (thread)
		jemalloc_thread_end(state, thread);
	jemalloc_destroy(state);
	if (!ok)
		*why = "it does not serve a request from an arena of ours";
	return ok;
}

bool peer_jemalloc_available(char **argv, const char **why)
{
	void *library;

	setenv("MALLOC_CONF", OPTIONS, 1);
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		const char *reason = dlerror();

		if (reason && strstr(reason, "static TLS"))
			restart_with_tls(argv);
		*why = reason && strstr(reason, "static TLS")
		               ? "no static thread-local storage left to load it"
		               : LIBRARY " cannot be loaded (Debian package libjemalloc2)";
		return false;
	}
	*(void **)&je.mallocx = dlsym(library, "mallocx");
	*(void **)&je.sdallocx = dlsym(library, "sdallocx");
	*(void **)&je.mallctl = dlsym(library, "mallctl");
	if (!je.mallocx || !je.sdallocx || !je.mallctl) {
		*why = LIBRARY " lacks mallocx, sdallocx or mallctl";
		return false;
	}
	return probe(why);
}
