/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * The end of memory that has a file of its own. To put the pool's pages back in its place takes system calls, which may be refused;
 * but who gives it back has gone by then, and nobody is left to be told. So what the end needs is allocated with the memory, and
 * what was refused stays on a list until it is tried again: at each look for what others closed, and before anything is refused
 * for want of memory. Until then the device is in use.
 */
#ifndef TEE_GRAVE_H
#define TEE_GRAVE_H

#include <stdbool.h>

#include <isthmus/shm.h>

struct ist_tee_device;

struct grave {
	struct grave *next;
	struct ist_tee_device *device; /* null: of none yet */
	struct ist_shm memory;
	int keeper; /* a descriptor to be closed with it, or -1 */
};

/* Null: no memory. */
struct grave *grave_make(void);
void grave_drop(struct grave *grave);
/* Memory of a device that is in use, by the caller or by nobody who could destroy it. */
void grave_fill(struct grave *grave, struct ist_tee_device *device, const struct ist_shm *memory, int keeper);
/* Once filled: now, or when it is tried again. The grave goes with it. */
void grave_bury(struct grave *grave);
/* Try again what was refused. Whether any was buried. */
bool graves_retry(void);

#endif
