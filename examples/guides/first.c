/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The README's first program. */
/* [all] */
#include <isthmus/isthmus.h>
#include <stdio.h>
#include <sys/mman.h>

int main(void)
{
	/* Stands for the carve-out: in a driver, /dev/mem, a UIO or VFIO region or a guest's RAM at its physical address. */
	void *memory = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x42000000, .size = 2 << 20};
	struct ist_manager *manager;
	struct ist_shm message, buffer;

	if (memory == MAP_FAILED || ist_manager_create(&config, &manager))
		return 1;
	if (ist_driver_pool_alloc(ist_manager_driver_pool(manager), 224, &message) ||
	    ist_client_pool_alloc(ist_manager_client_pool(manager), 10000, &buffer))
		return 1;
	printf("a message at %p, for the other side at %#jx; a buffer at %#jx\n", message.view.vaddr,
	       (uintmax_t)message.view.paddr, (uintmax_t)buffer.view.paddr);
	ist_shm_free(&message);
	ist_shm_free(&buffer);
	return ist_manager_destroy(manager) ? 1 : 0;
}
/* [end] */
