/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "guest.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TRIES 200 /* at what may be refused for want of memory or because readers are slow, 10 ms apart */

int guest_create(struct guest *guest, struct ist_manager *manager, uint32_t owner)
{
	struct ist_owner_config config = {.id = owner};

	memset(guest, 0, sizeof(*guest));
	guest->manager = manager;
	guest->owner = owner;
	return ist_owner_create(manager, &config);
}

static bool is_temporary(int error)
{
	return error == -EAGAIN || error == -ENOMEM || error == -EBUSY;
}

static int remove_backing(struct guest *guest, uint64_t paddr)
{
	int error = ist_backing_remove(guest->manager, paddr);

	for (unsigned i = 0; i < TRIES && is_temporary(error); i++) {
		usleep(10000);
		error = ist_backing_remove(guest->manager, paddr);
	}
	return error;
}

/* [gone] */
int guest_destroy(struct guest *guest)
{
	int error = ist_owner_destroy(guest->manager, guest->owner), worse;

	for (unsigned i = 0; i < TRIES && is_temporary(error); i++) {
		usleep(10000);
		error = ist_owner_destroy(guest->manager, guest->owner);
	}
	while (guest->count > 0) {
		worse = remove_backing(guest, guest->region[--guest->count].at.paddr);
		error = error ? error : worse;
	}
	return error;
}
/* [end] */

static bool wraps(uint64_t start, uint64_t size)
{
	return size - 1 > UINT64_MAX - start;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b ? b - a < a_size : a - b < b_size;
}

static int check_region(const struct guest *guest, const struct vu_region *region)
{
	if (region->size == 0 || region->size > GUEST_LIMIT || region->paddr > GUEST_LIMIT - region->size ||
	    wraps(region->user, region->size) ||
	    (region->paddr | region->size | region->user | region->offset) % IST_PAGE_SIZE)
		return -EINVAL;
	for (unsigned i = 0; i < guest->count; i++) {
		const struct vu_region *other = &guest->region[i].at;

		if (overlap(region->user, region->size, other->user, other->size) ||
		    overlap(region->paddr, region->size, other->paddr, other->size))
			return -EEXIST;
	}
	return guest->count < GUEST_REGIONS ? 0 : -EMFILE;
}

/* Memory files only: their pages come at once, or the answer is SIGBUS. */
static int check_file(int fd, struct stat *file)
{
	struct statfs system;

	if (fd < 0 || fstat(fd, file))
		return -EBADF;
	if (!S_ISREG(file->st_mode) || fstatfs(fd, &system))
		return -EMEDIUMTYPE;
	return system.f_type == TMPFS_MAGIC || system.f_type == HUGETLBFS_MAGIC ? 0 : -EMEDIUMTYPE;
}

/* [share] */
/*
 * The cookie is 0: a region is found by its addresses. It lies where its backing is mapped, in one stretch. Without
 * permission to write the backing is not mapped as a whole, and registering it is refused by the system.
 */
static int share(struct guest *guest, const struct vu_region *region, int fd)
{
	struct ist_backing backing = {
	        .paddr = region->paddr, .size = region->size, .fd = fd, .offset = region->offset};
	struct ist_registration registration = {
	        .paddr = region->paddr, .size = region->size, .owner = guest->owner};
	struct ist_mapping mapping;
	int error = ist_backing_add(guest->manager, &backing);

	if (error)
		return error;
	error = ist_mapping_register(guest->manager, &registration, &mapping);
	if (error)
		remove_backing(guest, region->paddr);
	return error;
}
/* [end] */

int guest_add(struct guest *guest, const struct vu_region *region, int fd)
{
	struct stat file;
	int error = check_region(guest, region);

	if (!error)
		error = check_file(fd, &file);
	if (!error)
		error = share(guest, region, fd);
	if (error)
		return error;
	guest->region[guest->count++] =
	        (struct guest_region){.at = *region, .device = file.st_dev, .file = file.st_ino};
	guest->came++;
	return 0;
}

/* [remove] */
/* First no lookup finds it any more; then it goes, when whoever had found it has done with it. */
static int remove_region(struct guest *guest, unsigned index)
{
	uint64_t paddr = guest->region[index].at.paddr;
	struct ist_mapping mapping;
	int error;

	ist_read_enter();
	error = ist_mapping_find_paddr_of(guest->manager, guest->owner, paddr, 1, &mapping, NULL);
	ist_read_leave();
	if (!error)
		error = ist_mapping_unregister_one(guest->manager, &mapping, 0);
	if (error)
		return error;
	guest->region[index] = guest->region[--guest->count];
	guest->went++;
	return remove_backing(guest, paddr);
}
/* [end] */

static bool same_place(const struct vu_region *a, const struct vu_region *b)
{
	return a->paddr == b->paddr && a->size == b->size && a->user == b->user;
}

int guest_remove(struct guest *guest, const struct vu_region *region)
{
	for (unsigned i = 0; i < guest->count; i++) {
		if (same_place(&guest->region[i].at, region))
			return remove_region(guest, i);
	}
	return -ENOENT;
}

static bool is_same(const struct guest_region *have, const struct vu_region *region, int fd)
{
	struct stat file;

	return same_place(&have->at, region) && have->at.offset == region->offset && fstat(fd, &file) == 0 &&
	       file.st_dev == have->device && file.st_ino == have->file;
}

static bool is_listed(const struct guest_region *have, const struct vu_region *region, const int *fd,
                      unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (is_same(have, &region[i], fd[i]))
			return true;
	}
	return false;
}

static bool is_there(const struct guest *guest, const struct vu_region *region, int fd)
{
	for (unsigned i = 0; i < guest->count; i++) {
		if (is_same(&guest->region[i], region, fd))
			return true;
	}
	return false;
}

/* A region that is listed twice is there the second time; one that overlaps another is refused. */
int guest_set_table(struct guest *guest, const struct vu_region *region, const int *fd, unsigned count)
{
	int error = 0;

	for (unsigned i = guest->count; i-- > 0 && !error;) {
		if (!is_listed(&guest->region[i], region, fd, count))
			error = remove_region(guest, i);
	}
	for (unsigned i = 0; i < count && !error; i++) {
		if (!is_there(guest, &region[i], fd[i]))
			error = guest_add(guest, &region[i], fd[i]);
	}
	return error;
}

int guest_user_to_paddr(const struct guest *guest, uint64_t user, uint64_t size, uint64_t *out)
{
	for (unsigned i = 0; i < guest->count; i++) {
		const struct vu_region *region = &guest->region[i].at;
		uint64_t into = user - region->user;

		if (user >= region->user && into < region->size && size <= region->size - into) {
			*out = region->paddr + into;
			return 0;
		}
	}
	return -ENOENT;
}

static bool is_guests(uint64_t paddr, size_t size)
{
	return size > 0 && paddr < GUEST_LIMIT && size <= GUEST_LIMIT - paddr;
}

/* [at] */
void *guest_at(const struct guest *guest, uint64_t paddr, size_t size)
{
	void *vaddr;

	if (!is_guests(paddr, size) || ist_phys_to_virt(guest->manager, paddr, size, &vaddr))
		return NULL;
	return vaddr;
}
/* [end] */

void *guest_piece(const struct guest *guest, uint64_t paddr, size_t *size)
{
	void *vaddr = guest_at(guest, paddr, *size);
	struct ist_mapping region;
	size_t left;

	/* It is in two regions that lie side by side: as far as the first one goes. */
	if (vaddr || !is_guests(paddr, *size) ||
	    ist_mapping_find_paddr_of(guest->manager, guest->owner, paddr, 1, &region, &vaddr))
		return vaddr;
	left = region.size - (size_t)((char *)vaddr - (char *)region.vaddr);
	*size = left < *size ? left : *size;
	return vaddr;
}
