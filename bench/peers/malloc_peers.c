/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "malloc_peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct malloc_peer malloc_peers[MALLOC_PEERS] = {
        {.name = "jemalloc", .library = "libjemalloc.so.2", .alloc_name = "malloc", .free_name = "free"},
        {.name = "mimalloc",
         .library = "libmimalloc.so.2",
         .alloc_name = "mi_malloc",
         .free_name = "mi_free"},
        {.name = "tcmalloc (gperftools)",
         .library = "libtcmalloc_minimal.so.4",
         .alloc_name = "tc_malloc",
         .free_name = "tc_free"},
        {.name = "glibc", .alloc = malloc, .free = free},
};

/* dlsym gives an object pointer where a function pointer is wanted. */
static void find(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	memcpy(function, &found, sizeof(found));
}

void malloc_peers_load(void)
{
	for (int i = 0; i < MALLOC_PEERS; i++) {
		struct malloc_peer *peer = &malloc_peers[i];
		void *library;

		if (!peer->library)
			continue;
		library = dlopen(peer->library, RTLD_NOW | RTLD_LOCAL);
		if (library) {
			find(library, peer->alloc_name, &peer->alloc);
			find(library, peer->free_name, &peer->free);
		}
		if (!peer->alloc || !peer->free) {
			peer->alloc = NULL;
			fprintf(stderr, "not compared with %s: %s cannot be loaded\n", peer->name,
			        peer->library);
		}
	}
}
