/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A manager: one carve-out of shared memory, its two pools, and the translation of its addresses. */
#ifndef ISTHMUS_MANAGER_H
#define ISTHMUS_MANAGER_H

#include <isthmus/pool.h>

IST_BEGIN_DECLS

struct ist_manager;

/* Zero-initialise, then fill in; every 0 means the default. Members may be added at the end. */
struct ist_manager_config {
	void *vaddr; /* where the carve-out is mapped in this process, readable and writable */
	uint64_t paddr; /* the physical address of the same byte; 0 is an address like any other */
	size_t size; /* bytes */
	size_t driver_pool_size; /* bytes, rounded up to whole pages; default 4 pages. The client pool is the rest. */
	uint32_t flags; /* IST_MANAGER_... */
	/*
	 * How many allocations of each pool are held back after they were freed, before their memory is handed out
	 * again; 8 bytes each. What is held back is let out before a request is refused. Default none.
	 */
	uint32_t quarantine;
};

/* Overwrite what is freed with zeroes, to the end of its last granule or page, before anybody else can get it. */
#define IST_MANAGER_ZERO_ON_FREE 1u

/*
 * Take a carve-out and split it: the driver pool first, the client pool behind it. The ends are rounded inward to
 * whole 4 KiB pages; no byte outside is ever touched, and none inside until it is allocated and zeroed. The caller
 * keeps the memory mapped until the manager is destroyed, and decides what it is: no bookkeeping lies in it.
 *
 * Returns 0 and the manager in *out;
 *   -EINVAL  config, out or config->vaddr is null; size is 0; [vaddr, vaddr + size) or [paddr, paddr + size) runs
 *            past the top of the address space (ending exactly there is fine); vaddr and paddr differ in their
 *            offset inside a page; an unknown flag is set;
 *   -ENOSPC  the carve-out has fewer whole pages than twice the driver pool;
 *   -ENOMEM  no memory for bookkeeping.
 * May block. Source: requirements P1 to P3.
 */
IST_API int ist_manager_create(const struct ist_manager_config *config, struct ist_manager **out);

/*
 * Destroy a manager and its pools. A null manager is ignored. Handles that outlive it are refused by ist_shm_free
 * with -EINVAL, also after other managers have been created.
 *
 * Returns 0; -EBUSY while an allocation of either pool is live, or a dynamic mapping (mapping.h) registered or
 * referenced, or while statistics of it are exported (stat.h), and then nothing changes; -ECHILD in a child of the process that made it, by fork. (A child has the
 * parent's memory and no part in its bookkeeping: there, every call that allocates, frees or destroys is answered with
 * -ECHILD, and nothing changes. It can make managers of its own.)
 * May block. No other call on this manager or its pools may be running or follow, except ist_shm_free of stale
 * handles once this has returned. Source: doc/requirements.md, P18.
 */
IST_API int ist_manager_destroy(struct ist_manager *manager);

/* The pools of a manager, valid until it is destroyed. Null for a null manager. Wait-free, signal safe. */
IST_API struct ist_driver_pool *ist_manager_driver_pool(struct ist_manager *manager);
IST_API struct ist_client_pool *ist_manager_client_pool(struct ist_manager *manager);

IST_END_DECLS

#endif
