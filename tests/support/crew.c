/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "support/crew.h"

#include <stdlib.h>

void crew_start(struct crew *crew, int count, void *(*run)(void *), void *members, size_t stride)
{
	crew->count = count;
	for (int i = 0; i < count; i++) {
		if (pthread_create(&crew->thread[i], NULL, run, (char *)members + (size_t)i * stride))
			abort();
	}
}

void crew_join(struct crew *crew)
{
	for (int i = 0; i < crew->count; i++)
		pthread_join(crew->thread[i], NULL);
}
