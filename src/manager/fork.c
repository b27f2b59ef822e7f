/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A child of fork finds every manager in one piece: its locks free, nothing half registered, no batch half unmapped. */
#include "manager/fork.h"

#include "platform/fork.h"

static struct ist_manager *managers;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_managers(void)
{
	pthread_mutex_lock(&list_lock);
	for (struct ist_manager *manager = managers; manager; manager = manager->next)
		space_lock_all(&manager->space);
	/* A provider's lock nests inside that of its space alone. */
	for (struct ist_manager *manager = managers; manager; manager = manager->next)
		pthread_mutex_lock(&manager->provider.lock);
}

static void unlock_managers(void (*unlock_space)(struct space *space))
{
	for (struct ist_manager *manager = managers; manager; manager = manager->next) {
		pthread_mutex_unlock(&manager->provider.lock);
		unlock_space(&manager->space);
	}
	pthread_mutex_unlock(&list_lock);
}

static void unlock_in_parent(void)
{
	unlock_managers(space_unlock_all);
}

static void unlock_in_child(void)
{
	unlock_managers(space_unlock_all_in_child);
}

int manager_enlist(struct ist_manager *manager)
{
	static const struct fork_hook hook = {lock_managers, unlock_in_parent, unlock_in_child};
	int error = fork_hook_add(FORK_MANAGERS, &hook);

	if (error)
		return error;
	pthread_mutex_lock(&list_lock);
	manager->next = managers;
	manager->link = &managers;
	if (managers)
		managers->link = &manager->next;
	managers = manager;
	pthread_mutex_unlock(&list_lock);
	return 0;
}

void manager_delist(struct ist_manager *manager)
{
	pthread_mutex_lock(&list_lock);
	*manager->link = manager->next;
	if (manager->next)
		manager->next->link = manager->link;
	pthread_mutex_unlock(&list_lock);
}
