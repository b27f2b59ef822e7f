/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "pamap/atfork.h"

#include "pamap/map.h"

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

/* Nobody else takes two of these. The hooks of rcu run after these before the fork, and before them afterwards. */
static void before_fork(void)
{
	rcu_pause();
	pthread_mutex_lock(&lock);
	for (struct pamap *map = maps; map; map = map->next)
		pthread_mutex_lock(&map->writer);
}

static void after_fork(void)
{
	for (struct pamap *map = maps; map; map = map->next)
		pthread_mutex_unlock(&map->writer);
	pthread_mutex_unlock(&lock);
	rcu_resume();
}

static void install_hooks(void)
{
	rcu_start();
	pthread_atfork(before_fork, after_fork, after_fork);
}

void atfork_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install_hooks);
}
