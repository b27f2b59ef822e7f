/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The core API's names, signatures and sizes, as programs outside are compiled against them. C and C++. */
#include <isthmus/isthmus.h>

#ifdef __cplusplus
#define ASSERT(condition) static_assert(condition, #condition)
#else
#define ASSERT(condition) _Static_assert(condition, #condition)
#endif

ASSERT(sizeof(struct ist_shm) <= 48);
ASSERT(offsetof(struct ist_shm, view) == 0);
ASSERT(offsetof(struct ist_view, vaddr) == 0);
ASSERT(offsetof(struct ist_view, paddr) == 8);
ASSERT(offsetof(struct ist_view, size) == 16);
ASSERT(offsetof(struct ist_manager_config, vaddr) == 0);
ASSERT(offsetof(struct ist_manager_config, paddr) == 8);
ASSERT(offsetof(struct ist_manager_config, size) == 16);
ASSERT(offsetof(struct ist_manager_config, driver_pool_size) == 24);

int main(void)
{
	bool (*contains_vaddr)(const struct ist_view *, const void *) = ist_view_contains_vaddr;
	bool (*contains_paddr)(const struct ist_view *, uint64_t) = ist_view_contains_paddr;
	int (*by_vaddr)(const struct ist_view *, const void *, const void *, struct ist_view *) =
	        ist_view_slice_by_vaddr;
	int (*by_paddr)(const struct ist_view *, uint64_t, uint64_t, struct ist_view *) =
	        ist_view_slice_by_paddr;
	int (*create)(const struct ist_manager_config *, struct ist_manager **) = ist_manager_create;
	int (*destroy)(struct ist_manager *) = ist_manager_destroy;
	struct ist_driver_pool *(*driver)(struct ist_manager *) = ist_manager_driver_pool;
	struct ist_client_pool *(*client)(struct ist_manager *) = ist_manager_client_pool;
	int (*alloc_driver)(struct ist_driver_pool *, size_t, struct ist_shm *) = ist_driver_pool_alloc;
	int (*alloc_bulk)(struct ist_driver_pool *, size_t, unsigned, void **) = ist_driver_pool_alloc_bulk;
	int (*free_bulk)(struct ist_driver_pool *, void *const *, unsigned) = ist_driver_pool_free_bulk;
	uint64_t (*paddr)(const struct ist_driver_pool *, const void *) = ist_driver_pool_paddr;
	int (*alloc_client)(struct ist_client_pool *, size_t, struct ist_shm *) = ist_client_pool_alloc;
	int (*alloc_nozero)(struct ist_client_pool *, size_t, struct ist_shm *) =
	        ist_client_pool_alloc_nozero;
	int (*shm_free)(struct ist_shm *) = ist_shm_free;
	int (*to_virt)(struct ist_manager *, uint64_t, size_t, void **) = ist_phys_to_virt;
	int (*to_phys)(struct ist_manager *, const void *, size_t, uint64_t *) = ist_virt_to_phys;
	void (*driver_stats)(struct ist_driver_pool *, struct ist_pool_stats *) = ist_driver_pool_stats;
	void (*client_stats)(struct ist_client_pool *, struct ist_pool_stats *) = ist_client_pool_stats;

	return !(contains_vaddr && contains_paddr && by_vaddr && by_paddr && create && destroy && driver &&
	         client && alloc_driver && alloc_bulk && free_bulk && paddr && alloc_client && alloc_nozero &&
	         shm_free && to_virt && to_phys && driver_stats && client_stats);
}
