/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Between test_kill_everywhere.c, the debugger, and the process that it steps, kill_process.c. */
#ifndef STRESS_KILL_PROCESS_H
#define STRESS_KILL_PROCESS_H

#include <stdatomic.h>
#include <stdlib.h>

#include "support/guest.h"

/* LONG: of a longer operation, which does the same again and again, so many instructions are gone through. */
enum { OWNER = 7, MESSAGES = 32, LONG = 8000, PATIENCE = 20000 /* ms */ };
/* Below 16 MiB a client pool has no caches. */
enum {
	DRIVER = 64 * KIB,
	CARVE_OUT = 16 * MIB + DRIVER,
	PAGES = CARVE_OUT / IST_PAGE_SIZE,
	GRANULE = 8,
	RAM = 16 * IST_PAGE_SIZE
};
enum order { PREPARE = 'p', STEP = 's', WORK = 'w', COUNT = 'c', END = 'e', OWN = 'o' };

struct series {
	const char *name;
	void (*prepare)(void); /* what there is before: by the control thread */
	int (*operate)(void);
	size_t size;
	unsigned count;
	bool takes_lock; /* for a few instructions, as its header says: the others leave the control path alone */
};

struct room {
	size_t messages, pages; /* that can be allocated */
};

/* Between the debugger and the process that it steps. */
struct shared {
	_Atomic int has_run;
	_Atomic int thread; /* the one to be stepped */
	int result; /* of the operation */
	int wrong; /* the line of what was not so */
	int owner_end, manager_end;
	struct room room;
};

extern struct shared *shared;
extern const struct series *series;
extern const struct series all_series[];
extern const size_t all_series_count;
extern char *carve_out;
extern int orders[2], done[2]; /* pipes */

/* Whether the operation gives or takes a reference, so that its owner's end may leave something. */
bool keeps_reference(const struct series *of);

/* A manager is made and destroyed, so that each process finds the machine's topology known. False: a fault. */
bool try_manager(void);
/* The process: it does as it is told, until it is killed. */
_Noreturn void obey(void);
/* Where a thread is sent that is to end. */
_Noreturn void leave(void);

#endif
