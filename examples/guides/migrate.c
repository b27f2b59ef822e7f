/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The same code for the kernel's pools and for isthmus: doc/migrating.md. */
#include <errno.h>
#include <sys/mman.h>

#include "check.h"
#include "kernel.h"

#define BYTES ((size_t)1 << 20)
#define PADDR UINT64_C(0x90000000)

/* [gen_pool] */
static int descriptors_of_gen_pool(void *sram, uint64_t paddr)
{
	struct gen_pool *pool = gen_pool_create(3, -1);
	unsigned long descriptor;

	if (!pool || gen_pool_add_virt(pool, (unsigned long)sram, paddr, BYTES, -1))
		return -ENOMEM;
	descriptor = gen_pool_alloc(pool, 96);
	if (!descriptor)
		return -ENOMEM;
	must(gen_pool_virt_to_phys(pool, descriptor) - paddr == descriptor - (unsigned long)sram);
	gen_pool_free(pool, descriptor, 96);
	gen_pool_destroy(pool);
	return 0;
}
/* [end] */

/* [instead_of_gen_pool] */
static int descriptors(void *sram, uint64_t paddr)
{
	struct ist_manager_config config = {
	        .vaddr = sram, .paddr = paddr, .size = BYTES, .driver_pool_size = BYTES / 2};
	struct ist_manager *manager;
	struct ist_shm descriptor;
	int error = ist_manager_create(&config, &manager);

	if (error)
		return error;
	error = ist_driver_pool_alloc(ist_manager_driver_pool(manager), 96, &descriptor);
	if (!error) {
		must(descriptor.view.paddr - paddr == (uintptr_t)descriptor.view.vaddr - (uintptr_t)sram);
		ist_shm_free(&descriptor); /* twice is an error, not a corrupted bitmap */
	}
	ist_manager_destroy(manager);
	return error;
}
/* [end] */

/* [dma_pool] */
static void blocks_of_dma_pool(struct ist_driver_pool *driver_pool)
{
	struct dma_pool *pool =
	        dma_pool_over(driver_pool, 256); /* dma_pool_create("blocks", dev, 256, 8, 0) */
	dma_addr_t dma;
	void *block = pool ? dma_pool_alloc(pool, 0, &dma) : NULL;

	must(block && dma == ist_driver_pool_paddr(driver_pool, block));
	dma_pool_free(pool, block, dma);
	dma_pool_destroy(pool);
}
/* [end] */

/* [instead_of_dma_pool] */
static void blocks(struct ist_driver_pool *driver_pool)
{
	void *block[16]; /* as many at once as the ring has room for */

	must(ist_driver_pool_alloc_bulk(driver_pool, 256, 16, block) == 0);
	for (int i = 0; i < 16; i++)
		must(ist_driver_pool_paddr(driver_pool, block[i]) != 0);
	must(ist_driver_pool_free_bulk(driver_pool, block, 16) == 0);
}
/* [end] */

int main(void)
{
	void *sram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {.vaddr = sram, .paddr = PADDR, .size = BYTES};
	struct ist_manager *manager;

	must(sram != MAP_FAILED);
	must(descriptors_of_gen_pool(sram, PADDR) == 0 && descriptors(sram, PADDR) == 0);
	must(ist_manager_create(&config, &manager) == 0);
	blocks_of_dma_pool(ist_manager_driver_pool(manager));
	blocks(ist_manager_driver_pool(manager));
	must(ist_manager_destroy(manager) == 0);
	printf("gen_pool and dma_pool, and what takes their place\n");
	return 0;
}
