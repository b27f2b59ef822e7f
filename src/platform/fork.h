/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * fork, in one place: whoever has locks, or memory that a child must not take for its own, says here what is to be done around a
 * fork. The child then finds everything in one piece and unlocked.
 *
 * Hooks run in the order of their turns before a fork, and in the opposite order after it, in the parent and in the child. So the
 * turns are the order in which the locks of the library nest: what is taken first, outermost, stands first.
 */
#ifndef PLATFORM_FORK_H
#define PLATFORM_FORK_H

#include <stdbool.h>

enum fork_turn {
	FORK_RELEASES, /* no deferred release is half done: waits for one, which may take any of the locks below (rcu) */
	FORK_HANDLES, /* descriptors of a TEE front (tee) */
	FORK_MANAGERS, /* of all managers: all locks of mappings, then those of providers */
	FORK_MAPS, /* PA maps */
	FORK_REGISTRY, /* of pools */
	FORK_READERS, /* liburcu's own */
	FORK_WIPES, /* what a child must find zeroed: before all others in the child */
	FORK_TURNS
};

struct fork_hook {
	void (*before)(void), (*in_parent)(void), (*in_child)(void);
};

/*
 * From now on, whatever is forking at the moment; the hook stays where it is. Once more is no harm. -ENOMEM. Not with a lock that a hook
 * takes.
 */
int fork_hook_add(enum fork_turn turn, const struct fork_hook *hook);

/*
 * For hooks around what a process has once, while it may have this library several times: in a program, and in what was preloaded
 * for it. The first copy that comes there before a fork finds it unclaimed, and claims it until after the fork; the others leave it
 * to that one. The claim is in the thread's signal mask.
 */
bool fork_is_claimed(void);
void fork_claim(void);
void fork_unclaim(void);

#endif
