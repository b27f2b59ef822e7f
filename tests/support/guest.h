/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Guest RAM for tests: a memfd that stands for physical memory, behind a manager as backing, and written by the "guest". */
#ifndef TESTS_GUEST_H
#define TESTS_GUEST_H

#include "support/support.h"

#define GUEST_PADDR UINT64_C(0x100000000)

struct guest {
	struct fixture fixture;
	int fd;
	size_t size;
	char *ram; /* the guest's own view of it */
};

/* A manager with `size` bytes of guest RAM at GUEST_PADDR. Every word of it holds its physical address. */
struct guest guest_make(size_t size);
/* Asserts that nothing is left, and that this process has as many mappings and descriptors as before. */
void guest_drop(struct guest *guest);

/* The word at [vaddr] is the one that the guest wrote for [paddr]. */
void guest_check(const void *vaddr, uint64_t paddr, size_t size);

/* Lines of /proc/self/maps, and open descriptors. */
size_t count_maps(void);
size_t count_fds(void);
/* Whether there come to be no more mappings than that: some are given back by the reclaimer. True under sanitizers. */
bool maps_settle(size_t most);

/* A registration of `count` pages, for owner 0. */
struct ist_registration registration_of(const uint64_t *pages, size_t count);

#endif
