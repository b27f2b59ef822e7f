/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The back end under test: the example's program, in a process of its own, with a disk of 4 MiB. */
#ifndef TESTS_GUEST_BACK_H
#define TESTS_GUEST_BACK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define DISK_BYTES (4u << 20)

struct back {
	pid_t pid;
	FILE *said; /* what it prints */
	char folder[64], socket[96], disk[96];
	int image; /* the disk, as the host sees it */
	size_t fds, maps;
};

/* What it says of a peer that has gone. */
struct back_gone {
	char why[64];
	unsigned long long requests, came, went, refused;
};

/* All of them assert that it went well. With an option, or null. The disk's byte i is that of disk_byte. */
struct back back_start(const char *program, const char *option);
uint8_t disk_byte(size_t offset);

/*
 * Remember how many descriptors and mappings it has: after some peers, so that it has all that it makes once. From then on there may be no more
 * descriptors, no mapping of a guest's memory, and not many more mappings of the library's own.
 */
void back_remember(struct back *back);

/* Wait for a peer to have gone: nothing of it may be left, in what the back end says and in what the system says of it. */
struct back_gone back_peer_gone(struct back *back);

/* Ends it as an operator would, and asserts that it found nothing left over. */
void back_stop(struct back *back);

#endif
