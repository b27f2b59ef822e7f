/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Does one thing so many times, for a simulator to count instructions (count.py).
 *
 * usage: count WHAT TIMES
 *        count               names what there is
 */
#include <isthmus/isthmus.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "percpu/percpu.h"

static struct ist_manager *manager;
static struct ist_driver_pool *driver;
static struct ist_client_pool *client;
static struct percpu magazines;
static struct ist_shm held;
static const uint16_t slots[1] = {64};

static void must(int error)
{
	if (error) {
		fprintf(stderr, "error %d\n", error);
		exit(1);
	}
}

static void driver_pair(size_t size)
{
	struct ist_shm shm;

	must(ist_driver_pool_alloc(driver, size, &shm));
	must(ist_shm_free(&shm));
}

static void bulk(size_t count)
{
	static void *messages[64];

	must(ist_driver_pool_alloc_bulk(driver, 64, (unsigned)count, messages));
	must(ist_driver_pool_free_bulk(driver, messages, (unsigned)count));
}

static void client_pair(size_t pages)
{
	struct ist_shm shm;

	must(ist_client_pool_alloc_nozero(client, pages * IST_PAGE_SIZE, &shm));
	must(ist_shm_free(&shm));
}

static void floor_pair(size_t unused)
{
	uint32_t value = 1;

	(void)unused;
	must(!percpu_push(&magazines, PERCPU_AT(0), value) || !percpu_pop(&magazines, PERCPU_AT(0), &value));
}

static void translate(size_t unused)
{
	void *vaddr;

	(void)unused;
	must(ist_phys_to_virt(manager, held.view.paddr, 8, &vaddr));
}

static void refused(size_t unused)
{
	struct ist_shm shm;

	(void)unused;
	must(ist_client_pool_alloc_nozero(client, SIZE_MAX / 2, &shm) == 0);
}

static const struct {
	const char *name;
	void (*run)(size_t argument);
	size_t argument;
} whats[] = {
        {"percpu-pair", floor_pair, 0},
        {"driver-pair-8", driver_pair, 8},
        {"driver-pair-64", driver_pair, 64},
        {"driver-pair-256", driver_pair, 256},
        {"driver-pair-1024", driver_pair, 1024},
        {"driver-pair-9000", driver_pair, 9000},
        {"driver-bulk-1", bulk, 1},
        {"driver-bulk-32", bulk, 32},
        {"client-pair-1", client_pair, 1},
        {"client-pair-16", client_pair, 16},
        {"client-pair-100", client_pair, 100},
        {"client-pair-512", client_pair, 512},
        {"client-refused", refused, 0},
        {"phys-to-virt-pool", translate, 0},
};

static void set_up(void)
{
	struct ist_manager_config config = {.size = 64 << 20, .driver_pool_size = 1 << 20, .paddr = 1u << 30};
	const uint32_t value = 1;

	percpu_pretend_alone();
	config.vaddr = mmap(NULL, config.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(config.vaddr == MAP_FAILED);
	must(ist_manager_create(&config, &manager));
	driver = ist_manager_driver_pool(manager);
	client = ist_manager_client_pool(manager);
	must(ist_driver_pool_alloc(driver, 8, &held));
	for (unsigned i = 0; i <= 2 * TOKEN_THRESHOLD_START;
	     i++) { /* until their CPU may end them by a sequence */
		struct ist_shm shm;

		must(ist_driver_pool_alloc(driver, 64, &shm) || ist_shm_free(&shm));
		must(ist_client_pool_alloc_nozero(client, IST_PAGE_SIZE, &shm) || ist_shm_free(&shm));
	}
	must(percpu_create(&magazines, 1, slots));
	percpu_set_capacity(&magazines, 0, 0, 64);
	must(percpu_put(&magazines, 0, &value, 1, true) != 1);
}

int main(int argc, char **argv)
{
	long times;

	for (size_t i = 0; argc == 1 && i < sizeof(whats) / sizeof(whats[0]); i++)
		puts(whats[i].name);
	if (argc != 3)
		return argc == 1 ? 0 : 2;
	set_up();
	times = 100 + atol(argv[2]); /* the first ones find magazines empty */
	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
		if (strcmp(argv[1], whats[i].name))
			continue;
		for (long n = 0; n < times; n++)
			whats[i].run(whats[i].argument);
		return 0;
	}
	return 2;
}
