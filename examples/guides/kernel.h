/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Enough of <linux/genalloc.h> and <linux/dmapool.h> over isthmus for a driver's code to be compiled and tried in user space while it
 * is moved: doc/migrating.md. The kernel's documentation says what each promises:
 * https://docs.kernel.org/core-api/genalloc.html and https://docs.kernel.org/core-api/dma-api.html
 */
#ifndef GUIDES_KERNEL_H
#define GUIDES_KERNEL_H

#include <isthmus/isthmus.h>

#include <stdlib.h>

typedef uint64_t dma_addr_t;

/* One chunk of memory; its messages are whole pages or less. */
struct gen_pool {
	struct ist_manager *manager;
	struct ist_driver_pool *pool;
};

static inline struct gen_pool *gen_pool_create(int min_alloc_order, int node)
{
	(void)min_alloc_order, (void)node; /* size classes are isthmus' own */
	return calloc(1, sizeof(struct gen_pool));
}

/* All of it but what a manager keeps for its client pool, which is no smaller than the driver pool. */
static inline int gen_pool_add_virt(struct gen_pool *pool, unsigned long vaddr, uint64_t paddr, size_t size,
                                    int node)
{
	struct ist_manager_config config = {
	        .vaddr = (void *)vaddr, .paddr = paddr, .size = size, .driver_pool_size = size / 2};
	int error = ist_manager_create(&config, &pool->manager);

	(void)node;
	if (!error)
		pool->pool = ist_manager_driver_pool(pool->manager);
	return error;
}

static inline unsigned long gen_pool_alloc(struct gen_pool *pool, size_t size)
{
	void *vaddr;

	return ist_driver_pool_alloc_bulk(pool->pool, size, 1, &vaddr) ? 0 : (unsigned long)vaddr;
}

static inline void *gen_pool_dma_alloc(struct gen_pool *pool, size_t size, dma_addr_t *dma)
{
	void *vaddr = (void *)gen_pool_alloc(pool, size);

	if (vaddr)
		*dma = ist_driver_pool_paddr(pool->pool, vaddr);
	return vaddr;
}

static inline uint64_t gen_pool_virt_to_phys(struct gen_pool *pool, unsigned long vaddr)
{
	return ist_driver_pool_paddr(pool->pool, (void *)vaddr);
}

static inline void gen_pool_free(struct gen_pool *pool, unsigned long vaddr, size_t size)
{
	void *at = (void *)vaddr;

	(void)size; /* a message knows its own */
	ist_driver_pool_free_bulk(pool->pool, &at, 1);
}

static inline void gen_pool_destroy(struct gen_pool *pool)
{
	if (pool->manager && ist_manager_destroy(pool->manager))
		abort(); /* as the kernel's does: something is still allocated */
	free(pool);
}

/* Objects of one size, from somebody's driver pool. */
struct dma_pool {
	struct ist_driver_pool *pool;
	size_t size;
};

static inline struct dma_pool *dma_pool_over(struct ist_driver_pool *pool, size_t size)
{
	struct dma_pool *made = malloc(sizeof(*made));

	if (made)
		*made = (struct dma_pool){pool, size};
	return made;
}

static inline void *dma_pool_alloc(struct dma_pool *pool, int flags, dma_addr_t *dma)
{
	void *vaddr;

	(void)flags; /* nothing waits, nothing is taken from elsewhere */
	if (ist_driver_pool_alloc_bulk(pool->pool, pool->size, 1, &vaddr))
		return NULL;
	*dma = ist_driver_pool_paddr(pool->pool, vaddr);
	return vaddr;
}

static inline void dma_pool_free(struct dma_pool *pool, void *vaddr, dma_addr_t dma)
{
	(void)dma;
	ist_driver_pool_free_bulk(pool->pool, &vaddr, 1);
}

static inline void dma_pool_destroy(struct dma_pool *pool)
{
	free(pool);
}

#endif
