/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* All locks of a space, in the order in which they nest: space.h. */
#include "space/space.h"

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

void space_lock_all(struct space *space)
{
	pthread_mutex_lock(&space->lock);
	for (uint32_t i = 1; i <= space->owners.slots.made; i++)
		pthread_mutex_lock(&owner_at(&space->owners, i)->lock);
	lock_small(space);
}

void space_unlock_all(struct space *space)
{
	unlock_small(space);
	for (uint32_t i = space->owners.slots.made; i > 0; i--)
		pthread_mutex_unlock(&owner_at(&space->owners, i)->lock);
	pthread_mutex_unlock(&space->lock);
}

/* Threads that the parent has and that wait for something to change would be waited for here. */
void space_unlock_all_in_child(struct space *space)
{
	pthread_cond_init(&space->limbo.changed, NULL);
	space_unlock_all(space);
}
