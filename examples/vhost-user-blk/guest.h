/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * A guest's memory. Each region that the front end hands over is a backing, and one mapping of all of it that belongs to the guest's
 * owner; so the guest's physical addresses are translated by ist_phys_to_virt, and all of it goes with the owner.
 *
 * add, remove, set_table and user_to_paddr are for the one thread that talks to the front end. at and pieces are for any
 * thread in a read section, and hold until the section ends, whatever is removed meanwhile.
 */
#ifndef VHOST_USER_GUEST_H
#define VHOST_USER_GUEST_H

#include <isthmus/isthmus.h>
#include <stdio.h>
#include <sys/types.h>

#include "protocol.h"

#define GUEST_REGIONS 509 /* as many as KVM has slots for guests; what QEMU asks for at most */

/*
 * No guest has memory from here on. It keeps what a guest names out of the carve-out, which lies above: the same manager translates
 * its addresses too, and our own messages are there.
 */
#define GUEST_LIMIT (UINT64_C(1) << 52)

struct guest_region {
	struct vu_region at;
	dev_t device; /* of the file */
	ino_t file;
};

struct guest {
	struct ist_manager *manager;
	uint32_t owner;
	uint64_t came, went; /* regions, in all */
	unsigned count;
	struct guest_region region[GUEST_REGIONS];
};

/* A new guest, without memory. 0, or an error of ist_owner_create. */
int guest_create(struct guest *guest, struct ist_manager *manager, uint32_t owner);

/* All of it goes. Nobody may be in a section that knows it for ever, but anybody for a while. 0, or a negative errno value. */
int guest_destroy(struct guest *guest);

/*
 * A region comes. The descriptor stays the caller's. 0; -EINVAL empty, not in whole pages, it wraps, above GUEST_LIMIT, or the
 * file is shorter; -EMEDIUMTYPE the file is not memory (it is on a disk or on a file system of somebody's making, which could
 * keep whoever touches it waiting); -EEXIST it overlaps one that is there; -EMFILE there are GUEST_REGIONS; or another
 * error of ist_backing_add and ist_mapping_register.
 */
int guest_add(struct guest *guest, const struct vu_region *region, int fd);

/* A region goes, named by its addresses and size. Waits for the sections that know it. 0; -ENOENT; or of ist_backing_remove. */
int guest_remove(struct guest *guest, const struct vu_region *region);

/* From now on these regions are all. What was there and is the same stays as it is, requests in it go on. */
int guest_set_table(struct guest *guest, const struct vu_region *region, const int *fd, unsigned count);

/* The guest's physical address of [user, user + size) in the front end. 0; -ENOENT. */
int guest_user_to_paddr(const struct guest *guest, uint64_t user, uint64_t size, uint64_t *out);

/* Where [paddr, paddr + size) is, in one piece; null if it is not. In a read section. */
void *guest_at(const struct guest *guest, uint64_t paddr, size_t size);

/* The same from the start of the range on, as far as one piece goes: *size is how far. Null: nothing is there. */
void *guest_piece(const struct guest *guest, uint64_t paddr, size_t *size);

#endif
