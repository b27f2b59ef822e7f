/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Read sections and what waits for them. A thin layer over liburcu's bulletproof flavour, which asks nothing of its
 * readers: the first section of a thread registers it (this takes a lock once), its end unregisters it.
 *
 *   [rcu.G1] What a reader reached inside a section stays valid until the section ends: rcu_wait returns, and a deferred
 *        release runs, only after every section that had begun before the call has ended.
 *   [rcu.G2] Begin and end are wait-free and store only to the thread's own line. With sys_membarrier they cost plain
 *        loads and stores; liburcu falls back to fences without it. They order as a lock does: what a section reads
 *        is read before its end is seen by rcu_wait.
 *   [rcu.G3] A thread that stops inside a section holds back releases and rcu_wait, nothing else.
 *
 * Sections nest. Not in signal handlers that may interrupt the thread's first section. Never call fork inside a
 * section: the hook below waits for a running grace period, which would wait for this very section.
 *
 * Why this flavour (pair of begin and end, bench/run pamap): qsbr costs readers nothing but wants each of them to
 * announce quiescence, memb wants them registered; a library can ask for neither. Inlined, because the call through
 * the shared library costs several times the work. liburcu says of each of the functions used here that it is small
 * enough to be inlined into any program.
 *
 * fork: hooks (platform/fork.h) call liburcu's urcu_bp_before_fork and its two
 * counterparts, so a child may read and update; once, also where a process has this library several times. A program must not
 * call them itself. A release
 * that is running is waited for: what was queued runs to its end in the parent, or from its beginning in both.
 */
#ifndef RCU_RCU_H
#define RCU_RCU_H

#include <stdbool.h>
#include <stdint.h>

/* liburcu asks for its readers to be aligned to 128 bytes and then aligns them to 32: no matter, but UBSan says so. */
#define RCU_UNALIGNED __attribute__((no_sanitize("alignment")))
static inline RCU_UNALIGNED void _urcu_bp_read_lock_update(unsigned long tmp);
static inline RCU_UNALIGNED void _urcu_bp_read_lock(void);
static inline RCU_UNALIGNED void _urcu_bp_read_unlock(void);
static inline RCU_UNALIGNED int _urcu_bp_read_ongoing(void);

#include <urcu/static/urcu-bp.h>

#include "base/tsan.h"

/* For ThreadSanitizer alone: stands for the order that grace periods make. */
extern char rcu_gate;

static inline void rcu_enter(void)
{
	_urcu_bp_read_lock();
}

static inline void rcu_leave(void)
{
	tsan_release(&rcu_gate);
	_urcu_bp_read_unlock();
}

/* Whether the calling thread is inside a section. */
static inline bool rcu_inside(void)
{
	return _urcu_bp_read_ongoing() != 0;
}

/* Wait for all sections that began before. -EDEADLK, and no waiting, inside one. Control path. */
int rcu_wait(void);

/*
 * Something to release a grace period from now. Queued by rcu_defer, which never waits for readers and takes no
 * memory; `release` is then called once, by a thread of ours that blocks all signals, outside any section. It may
 * queue items again, and may take locks that are never held while waiting for readers.
 * Latency: the grace period begins at most RCU_GATHER_NS after the call (items that come meanwhile share it) or after
 * the one that is running; it lasts as long as the longest section, and liburcu may add 10 ms when it has to sleep.
 */
struct rcu_item {
	struct rcu_item *next;
	void (*release)(struct rcu_item *item);
};

#define RCU_GATHER_NS 400000

void rcu_defer(struct rcu_item *item);

/*
 * Before waiting for a release. A child of fork has no reclaimer until there is need of one, and where no further thread is
 * to be had there is none at all: false.
 */
bool rcu_kick(void);

/*
 * The same, for who can wait for readers himself: false if a thread runs the releases; true if there is none, and then the
 * caller has done its work. Not under a lock that a release or a section may want, and not in a section.
 */
bool rcu_help(void);

/* Install the hooks of fork. Before the first rcu_defer; once more is no harm. -ENOMEM */
int rcu_start(void);

#endif
