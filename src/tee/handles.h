/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Descriptors that stand for something of ours, in this process and in others.
 *
 * Each is an open file of its own of a memory file, with a shared lock (flock) on it. A lock of that kind belongs to the open
 * file: all duplicates, in whatever process, and all mappings made through them hold it, and the kernel drops it with
 * the last of them. We keep another open file of the same memory file, the keeper, and ask by trying to lock it exclusively.
 * Nothing depends on our seeing each dup and close.
 *
 * Known by the number of the file (st_dev and st_ino), in a hash table. One lock, held for a few instructions and system calls that
 * do not block. In a child of fork nothing is known: what the table leads to stayed with the parent.
 */
#ifndef TEE_HANDLES_H
#define TEE_HANDLES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct handle {
	struct handle *next; /* of its bucket */
	struct handle *lingering,
	        **link; /* of those that were asked for, and were still held; link null: not there */
	uint64_t key; /* of the file; 0: none */
	dev_t device;
	int keeper;
	bool is_quick; /* gone calls nobody outside, and waits for nobody */
	/* Closes the keeper, unless it is -1, and lets go of the owner's reference; no lock is held. */
	void (*gone)(struct handle *handle);
	bool (*keep)(struct handle *handle); /* a reference for whoever found it; under the lock */
};

/* An empty memory file, close-on-exec; or a negative errno value. */
int handles_file(void);

/*
 * Begin: *handle is known from now on, `keeper` is its own. Returns the descriptor, or a negative errno value, and then the keeper
 * is still the caller's.
 */
int handles_begin(struct handle *handle, int keeper);

/* The two halves of it: another open file of what the keeper leads to, with the lock; its key and device in *handle. And: it is known. */
int handles_open(struct handle *handle, int keeper);
int handles_enter(struct handle *handle, int keeper);

/* The handle that a descriptor leads to, kept, and its key; or null. */
struct handle *handles_find(int fd, uint64_t *key);

/* Let go of those of that key, or of all (0), or of those that linger (UINT64_MAX), whose descriptors and mappings are gone. How many were. */
unsigned handles_reap(uint64_t key);

/* What a thread is at: */
struct handles_batch {
	struct handles_batch *next;
	struct handle *gone;
	uint64_t number;
};

/*
 * Around the sending of a descriptor, until it is closed here: it is not let go of meanwhile, though whoever got it may have. To be held
 * for a moment only.
 */
void handles_sending(struct handles_batch *batch);
void handles_sent(struct handles_batch *batch);

/* Wait until those that are quick, and that others are about to let go of, are gone too, and what others were sending is closed here. */
void handles_settle(void);

#endif
