/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* An allocation of either pool. */
#ifndef ISTHMUS_SHM_H
#define ISTHMUS_SHM_H

#include <isthmus/view.h>

IST_BEGIN_DECLS

/*
 * An allocation. It owns its memory until ist_shm_free. Move-only by convention: copy it and forget the original,
 * or keep one and treat copies as views. A copy that is freed after the original is refused, not obeyed.
 *
 * view.size is exactly what was asked for. Change neither view nor the private members: a changed one is refused
 * by ist_shm_free.
 */
struct ist_shm {
	struct ist_view view;
	/* Private: which pool, which life of which granule or page of it, and on which CPU it ends at the lowest price. */
	uint64_t pool;
	uint32_t generation;
	uint32_t index;
	uint64_t token;
};

/*
 * Give an allocation back to its pool and clear *shm to zeroes. The memory may be handed out again at once, so
 * neither this process nor the peer may touch it any more. Any thread may free what another one allocated.
 *
 * Returns 0;
 *   -EINVAL    shm is null or cleared, its pool was destroyed, or the view is not what the pool handed out:
 *              an interior address, another size, another pool's address;
 *   -EALREADY  this allocation is already free: a copy of the handle was freed before, by this or another thread,
 *              also when its place has been handed out again since. Exact while the memory is free. After that a copy
 *              is told by a generation of the place: 20 bits in a client pool; in a driver pool 11 bits, 9 for sizes up
 *              to 16 and 3 up to 8. It is mistaken if the place holds an allocation of the same size and this count
 *              came round. Of several at the same instant one is obeyed; but where a sandbox forbade membarrier after
 *              the pool had been in use, two on two CPUs may be.
 *   -ECHILD    this process is a child of the one that made the manager, by fork.
 *   -ENOMEM    only for an isolated buffer (share.h): the system refused to put the pool's pages back.
 * On an error nothing changes, *shm neither; the pool counts a misuse where it could be told.
 *
 * Never blocks, takes no lock, allocates nothing from the heap; usable in a signal handler. It makes a system call for an
 * isolated buffer; and now and then (membarrier) when a driver message is freed on another CPU than it came from: then
 * that CPU's messages are freed with an atomic operation for a while.
 * Source: requirements P7, P17.
 */
IST_API int ist_shm_free(struct ist_shm *shm);

IST_END_DECLS

#endif
