/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "locked_list.h"

#include <stdint.h>
#include <sys/mman.h>

bool locked_list_init(struct locked_list *locked, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pthread_mutex_init(&locked->mutex, NULL);
	return memory != MAP_FAILED && region_list_init(&locked->list, (uintptr_t)memory, bytes);
}

void *locked_list_take(struct locked_list *locked, size_t size)
{
	uintptr_t at;

	pthread_mutex_lock(&locked->mutex);
	at = region_list_take(&locked->list, size, 8);
	pthread_mutex_unlock(&locked->mutex);
	return (void *)at;
}

void locked_list_give(struct locked_list *locked, void *memory, size_t size)
{
	pthread_mutex_lock(&locked->mutex);
	region_list_give(&locked->list, (uintptr_t)memory, size);
	pthread_mutex_unlock(&locked->mutex);
}
