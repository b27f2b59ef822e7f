/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Touches memory of the pools, rightly or wrongly, for a memory debugger to see (base/tools.h).
 *
 * usage: touch well | driver-after-free | driver-overflow | client-after-free | client-overflow | never-allocated
 * Exit status 0 if it comes to the end.
 */
#include <isthmus/isthmus.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SIZE = 100 };

static _Atomic char sum; /* so that reads are not left out */

static void must(int error)
{
	if (error) {
		fprintf(stderr, "error %d\n", error);
		exit(2);
	}
}

/* Every byte of an allocation is there to be used, again and again. */
static void touch_well(struct ist_driver_pool *driver, struct ist_client_pool *client)
{
	struct ist_shm a, b;

	for (size_t size = 1; size < 9000; size += 700) {
		for (int i = 0; i < 3; i++) {
			must(ist_driver_pool_alloc(driver, size, &a));
			must(ist_client_pool_alloc(client, size, &b));
			memset(a.view.vaddr, 1, size);
			memset(b.view.vaddr, 1, size);
			must(ist_shm_free(&a));
			must(ist_shm_free(&b));
		}
	}
}

int main(int argc, char **argv)
{
	struct ist_manager_config config = {.size = 1 << 20, .driver_pool_size = 64 << 10};
	const char *what = argc > 1 ? argv[1] : "well";
	struct ist_manager *manager;
	struct ist_shm shm;
	char *at;

	config.vaddr = mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(config.vaddr == MAP_FAILED);
	must(ist_manager_create(&config, &manager));
	touch_well(ist_manager_driver_pool(manager), ist_manager_client_pool(manager));
	must(strncmp(what, "client", 6)
	             ? ist_driver_pool_alloc(ist_manager_driver_pool(manager), SIZE, &shm)
	             : ist_client_pool_alloc(ist_manager_client_pool(manager), SIZE, &shm));
	at = shm.view.vaddr;
	if (strstr(what, "overflow"))
		at[SIZE] = 1;
	if (!strcmp(what, "never-allocated"))
		sum = ((char *)config.vaddr)[config.size / 2];
	must(ist_shm_free(&shm));
	if (strstr(what, "after-free"))
		sum = at[SIZE / 2];
	must(ist_manager_destroy(manager));
	memset(config.vaddr, 1, config.size); /* it is the caller's again */
	return 0;
}
