/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A guest, what it shares, and its end: doc/guides/guests.md. */
#include <isthmus/isthmus.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#define RAM_PADDR UINT64_C(0x100000000)
#define RAM_SIZE (UINT64_C(64) << 20)

static int gone_count;

static void gone(void *context, uint32_t id)
{
	(void)context, (void)id;
	gone_count++;
}

/* [arrive] */
/* A guest has come: its RAM is a memory file, and what it may share is limited. */
static int arrive(struct ist_manager *manager, uint32_t id, int memfd)
{
	struct ist_backing ram = {.paddr = RAM_PADDR, .size = RAM_SIZE, .fd = memfd};
	struct ist_owner_config guest = {.id = id, .max_pages = 16384, .max_stretches = 4096, .gone = gone};
	int error = ist_backing_add(manager, &ram);

	if (error)
		return error;
	error = ist_owner_create(manager, &guest);
	if (error)
		ist_backing_remove(manager, RAM_PADDR);
	return error;
}
/* [end] */

/* [share] */
/* The guest says: these pages are buffer 5. They may lie anywhere in its RAM, and are used where they lie. */
static int share(struct ist_manager *manager, uint32_t id, const uint64_t *pages, size_t count)
{
	struct ist_registration r = {.owner = id,
	                             .cookie = 5,
	                             .pages = pages,
	                             .page_count = count,
	                             .size = count * IST_PAGE_SIZE,
	                             .flags = IST_MAPPING_SEGMENTS};
	struct ist_mapping buffer;

	return ist_mapping_register(manager, &r, &buffer);
}
/* [end] */

/* [use] */
/* Somebody has work on buffer 5: a reference keeps it for as long as it takes, whatever becomes of the guest. */
static size_t fill(struct ist_manager *manager, uint32_t id, int byte)
{
	struct ist_mapping buffer;
	struct iovec piece[16];
	size_t count, bytes = 0;

	if (ist_mapping_find_get(manager, id, 5, &buffer))
		return 0;
	if (ist_mapping_segments(manager, &buffer, 0, buffer.size, piece, 16, &count) == 0) {
		for (size_t i = 0; i < count && i < 16; i++) {
			memset(piece[i].iov_base, byte, piece[i].iov_len);
			bytes += piece[i].iov_len;
		}
	}
	ist_mapping_put(manager, &buffer);
	return bytes;
}
/* [end] */

/* [translate] */
/* A descriptor of the guest's names a physical address: inside a read section what is found stays. */
static uint64_t read_word(struct ist_manager *manager, uint64_t paddr)
{
	uint64_t word = 0;
	void *vaddr;

	ist_read_enter();
	if (ist_phys_to_virt(manager, paddr, sizeof(word), &vaddr) == 0)
		memcpy(&word, vaddr, sizeof(word));
	ist_read_leave();
	return word;
}
/* [end] */

/* [leave] */
/* The guest has died. Nothing of his is found from begin on; the work comes in steps, of a few microseconds each. */
static int leave(struct ist_manager *manager, uint32_t id)
{
	int more = ist_owner_destroy_begin(manager, id);

	if (more)
		return more;
	do
		more = ist_owner_destroy_step(manager, id, 64);
	while (more == 1);
	if (more) /* -EBUSY: somebody still has a reference; `gone` tells when the last one is put */
		return more;
	return ist_backing_remove(manager, RAM_PADDR);
}
/* [end] */

int main(void)
{
	size_t size = 2 << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x42000000, .size = size};
	const uint64_t pages[] = {RAM_PADDR + 7 * IST_PAGE_SIZE, RAM_PADDR + 2 * IST_PAGE_SIZE};
	int memfd = memfd_create("ram", MFD_CLOEXEC);
	struct ist_manager *manager;
	uint64_t word;

	must(memory != MAP_FAILED && memfd >= 0 && ftruncate(memfd, (off_t)RAM_SIZE) == 0);
	must(ist_manager_create(&config, &manager) == 0);
	for (int life = 1; life <= 2; life++) {
		must(arrive(manager, 7, memfd) == 0);
		must(share(manager, 7, pages, 2) == 0);
		must(fill(manager, 7, 'x') == 2 * IST_PAGE_SIZE);
		must(pread(memfd, &word, sizeof(word), 2 * IST_PAGE_SIZE) == sizeof(word));
		must(word == read_word(manager, pages[1]) && (word & 0xff) == 'x');
		must(leave(manager, 7) == 0 && gone_count == life);
		must(read_word(manager, pages[1]) == 0 && fill(manager, 7, 'y') == 0);
	}
	must(ist_manager_destroy(manager) == 0);
	printf("two guests came, shared and went\n");
	return 0;
}
