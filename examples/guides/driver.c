/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A user-space driver: doc/guides/driver.md. Usage: driver [DEVICE SYSFS-MAP]; without a device a file stands for it. */
#include <isthmus/isthmus.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

/* [numbers] */
/* /sys/class/uio/uio0/maps/map0 has the physical address and the size of what offset 0 of /dev/uio0 maps. */
static uint64_t number_in(const char *folder, const char *name)
{
	char path[256];
	uint64_t value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, "%" SCNx64, &value) != 1)
			value = 0;
		fclose(file);
	}
	return value;
}
/* [end] */

/* [create] */
static struct ist_manager *take_region(int fd, uint64_t paddr, size_t size)
{
	struct ist_manager_config config = {.paddr = paddr, .size = size, .driver_pool_size = 64 << 10};
	struct ist_manager *manager = NULL;

	config.vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (config.vaddr == MAP_FAILED)
		return NULL;
	if (ist_manager_create(&config, &manager))
		munmap(config.vaddr, size);
	return manager;
}
/* [end] */

/* A ring of a device that does not exist: it takes what is posted at once. */
struct ring {
	uint64_t paddr[256];
	unsigned posted;
};

static void post(struct ring *ring, uint64_t paddr)
{
	ring->paddr[ring->posted++ % 256] = paddr;
}

/* [ring] */
/* 32 receive buffers of 2 KiB: all of them, or none and -ENOSPC. */
static int fill(struct ist_driver_pool *pool, struct ring *ring, void *buffers[32])
{
	int error = ist_driver_pool_alloc_bulk(pool, 2048, 32, buffers);

	if (error)
		return error;
	for (int i = 0; i < 32; i++)
		post(ring, ist_driver_pool_paddr(pool, buffers[i]));
	return 0;
}

static void drain(struct ist_driver_pool *pool, void *buffers[32])
{
	/* 0, or the error of the first that is refused: all others are freed. */
	must(ist_driver_pool_free_bulk(pool, buffers, 32) == 0);
}
/* [end] */

/* [message] */
/* A message of one call: what the device is told is its physical address, and what it wrote is copied before it is judged. */
static int call_device(struct ist_manager *manager, uint32_t command, uint32_t *answer)
{
	struct ist_shm message;
	uint32_t words[2] = {command, 0};
	int error = ist_driver_pool_alloc(ist_manager_driver_pool(manager), sizeof(words), &message);

	if (error)
		return error;
	memcpy(message.view.vaddr, words, sizeof(words));
	/* Here: write message.view.paddr to the doorbell register, and wait for the interrupt. */
	memcpy(words, message.view.vaddr, sizeof(words));
	*answer = words[1];
	return ist_shm_free(&message);
}
/* [end] */

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CLOEXEC) : memfd_create("device", MFD_CLOEXEC);
	uint64_t paddr = argc > 2 ? number_in(argv[2], "addr") : 0x42000000,
	         size = argc > 2 ? number_in(argv[2], "size") : 2 << 20;
	struct ist_manager *manager;
	static struct ring ring;
	void *buffers[32];
	uint32_t answer = 1;

	must(fd >= 0 && (argc > 1 || ftruncate(fd, (off_t)size) == 0));
	manager = take_region(fd, paddr, (size_t)size);
	must(manager);
	must(fill(ist_manager_driver_pool(manager), &ring, buffers) == 0 || size < 256 << 10);
	must(ring.posted == 32 && ring.paddr[0] >= paddr && ring.paddr[0] < paddr + size);
	must(call_device(manager, 7, &answer) == -ENOSPC); /* 32 buffers of 2 KiB are all of 64 KiB */
	drain(ist_manager_driver_pool(manager), buffers);
	must(call_device(manager, 7, &answer) == 0 && answer == 0);
	must(ist_manager_destroy(manager) == 0);
	close(fd);
	printf("32 buffers posted, a message sent\n");
	return 0;
}
