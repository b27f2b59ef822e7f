/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/atfork.h"

#include "pamap/map.h"
#include "platform/fork.h"

static struct pamap *maps;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void atfork_enlist(struct pamap *map)
{
	pthread_mutex_lock(&lock);
	map->next = maps;
	map->link = &maps;
	if (maps)
		maps->link = &map->next;
	maps = map;
	pthread_mutex_unlock(&lock);
}

void atfork_delist(struct pamap *map)
{
	pthread_mutex_lock(&lock);
	*map->link = map->next;
	if (map->next)
		map->next->link = map->link;
	pthread_mutex_unlock(&lock);
}

/* Nobody else takes two of these. */
static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	for (struct pamap *map = maps; map; map = map->next)
		pthread_mutex_lock(&map->writer);
}

static void after_fork(void)
{
	for (struct pamap *map = maps; map; map = map->next)
		pthread_mutex_unlock(&map->writer);
	pthread_mutex_unlock(&lock);
}

int atfork_start(void)
{
	static const struct fork_hook hook = {before_fork, after_fork, after_fork};
	int error = rcu_start();

	return error ? error : fork_hook_add(FORK_MAPS, &hook);
}
