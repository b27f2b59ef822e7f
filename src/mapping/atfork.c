/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "mapping/atfork.h"

#include "mapping/space.h"

static struct space *spaces;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void atfork_enlist_space(struct space *space)
{
	pthread_mutex_lock(&lock);
	space->following = spaces;
	space->link = &spaces;
	if (spaces)
		spaces->link = &space->following;
	spaces = space;
	pthread_mutex_unlock(&lock);
}

void atfork_delist_space(struct space *space)
{
	pthread_mutex_lock(&lock);
	*space->link = space->following;
	if (space->following)
		space->following->link = space->link;
	pthread_mutex_unlock(&lock);
}

static void lock_small(struct space *space)
{
	pthread_mutex_lock(&space->making);
	for (unsigned i = 0; i < SPACE_SHARING; i++)
		pthread_mutex_lock(&space->sharing[i]);
	pthread_mutex_lock(&space->links.lock);
	pthread_mutex_lock(&space->groups.lock);
	pthread_mutex_lock(&space->limbo.lock);
}

static void unlock_small(struct space *space)
{
	pthread_mutex_unlock(&space->limbo.lock);
	pthread_mutex_unlock(&space->groups.lock);
	pthread_mutex_unlock(&space->links.lock);
	for (unsigned i = SPACE_SHARING; i-- > 0;)
		pthread_mutex_unlock(&space->sharing[i]);
	pthread_mutex_unlock(&space->making);
}

/* Hooks run in the reverse order of their installation: these before pamap's, which are before rcu's. */
static void before_fork(void)
{
	rcu_pause(); /* nobody is in limbo's land() */
	pthread_mutex_lock(&lock);
	for (struct space *space = spaces; space; space = space->following) {
		pthread_mutex_lock(&space->lock);
		if (space->elsewhere_lock)
			pthread_mutex_lock(space->elsewhere_lock);
		for (uint32_t i = 1; i <= space->owners.slots.made; i++)
			pthread_mutex_lock(&owner_at(&space->owners, i)->lock);
		lock_small(space);
	}
}

static void after_fork_in_parent(void)
{
	for (struct space *space = spaces; space; space = space->following) {
		unlock_small(space);
		for (uint32_t i = space->owners.slots.made; i > 0; i--)
			pthread_mutex_unlock(&owner_at(&space->owners, i)->lock);
		if (space->elsewhere_lock)
			pthread_mutex_unlock(space->elsewhere_lock);
		pthread_mutex_unlock(&space->lock);
	}
	pthread_mutex_unlock(&lock);
	rcu_resume();
}

/* Threads that the parent has and that wait for something to change would be waited for here. */
static void after_fork_in_child(void)
{
	for (struct space *space = spaces; space; space = space->following)
		pthread_cond_init(&space->limbo.changed, NULL);
	after_fork_in_parent();
}

static void install_hooks(void)
{
	pamap_start();
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void atfork_start_spaces(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install_hooks);
}
