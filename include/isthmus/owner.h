/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Owners: the guests, or clients, that mappings and client memory belong to. Owner 0 is the host itself: always there,
 * without quota, never destroyed. The number of an owner is also the tag of its client memory (client.h).
 */
#ifndef ISTHMUS_OWNER_H
#define ISTHMUS_OWNER_H

#include <isthmus/manager.h>

IST_BEGIN_DECLS

/* Zero-initialise, then fill in; every 0 means the default. Members may be added at the end. */
struct ist_owner_config {
	uint32_t id; /* not 0 */
	uint64_t max_pages; /* registered in all, each as often as it is registered; default: no limit */
	uint64_t max_buffer_pages; /* of one registration; default: no limit */
	uint64_t max_mappings; /* default: no limit */
	/*
	 * Called once when the owner was destroyed and its last mapping is gone, and the id may be created again: by the
	 * thread whose call made it so, which holds no lock of the library. It must not destroy the manager.
	 */
	void (*gone)(void *context, uint32_t id);
	void *context;
	uint64_t
	        max_stretches; /* of consecutive pages, in all: what a list costs in bookkeeping; default: no limit */
};

/*
 * Create an owner. At most 65,534 live at once, as many as an ARM system has virtual machine ids.
 *
 * Returns 0;
 *   -EINVAL  a null argument, or id 0;
 *   -EEXIST  it is alive;
 *   -EBUSY   it was destroyed, but something of it is left (see ist_owner_destroy_step);
 *   -EUSERS  too many owners are alive;
 *   -ENOMEM  no memory for bookkeeping;
 *   -EDEADLK called inside a read section.
 * May block. Source: requirements V1, V2, V4, V7.
 */
IST_API int ist_owner_create(struct ist_manager *manager, const struct ist_owner_config *config);

/* What an owner has now. */
struct ist_owner_stats {
	uint64_t mappings, pages; /* registered; of a destroyed owner: what is left */
	uint64_t cached; /* mappings kept for reuse after they were unregistered */
	uint64_t refused; /* registrations that the quota refused */
	bool dying; /* destroyed, but something is left */
};

/* Counters at one instant. -ENOENT there is no such owner; -EINVAL; -EDEADLK. May block. */
IST_API int ist_owner_stats(struct ist_manager *manager, uint32_t id, struct ist_owner_stats *out);

/*
 * Destroy an owner, in three ways.
 *
 * begin takes a moment, whatever the owner has: once it has returned nothing new can be registered for the owner, no
 * lookup and no translation finds anything of it, and no new reference is given. References that were given stay good.
 * step then removes up to `budget` stretches of mappings and client allocations (at least 1), and returns 1 while there are more:
 * some hundred are done in well under a millisecond, and others' calls proceed between steps. Client memory of the owner is
 * freed under whoever still uses it, so callers stop using it before; memory allocated with its tag later is not touched.
 * ist_owner_destroy does it all.
 *
 * Returns 0, or
 *   1        (step) call again;
 *   -EBUSY   (step, destroy) all is removed but mappings that are referenced, whose memory goes at their last put, or a
 *            registration that is under way, which will be refused;
 *            the id is free after that. No call need follow;
 *   -EINVAL  manager is null, or id 0; (step) the owner is alive, begin was not called;
 *   -ENOMEM, -EAGAIN  no memory, the system refuses to put the pool's pages back under an isolated buffer (share.h), or too
 *            much waits for readers: nothing is lost, call again;
 *   -EDEADLK called inside a read section.
 * An owner that is not there, or destroyed already, is no error. May block. Source: requirements V3, V6, V8, V10.
 */
IST_API int ist_owner_destroy_begin(struct ist_manager *manager, uint32_t id);
IST_API int ist_owner_destroy_step(struct ist_manager *manager, uint32_t id, uint32_t budget);
IST_API int ist_owner_destroy(struct ist_manager *manager, uint32_t id);

IST_END_DECLS

#endif
