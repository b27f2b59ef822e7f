/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A crew of threads that all run one function at once. */
#ifndef TESTS_CREW_H
#define TESTS_CREW_H

#include <pthread.h>

#define CREW_MAX 64

struct crew {
	pthread_t thread[CREW_MAX];
	int count;
};

/* Each thread gets its element of an array of `count` members of `stride` bytes. Dies if threads cannot be had. */
void crew_start(struct crew *crew, int count, void *(*run)(void *), void *members, size_t stride);
void crew_join(struct crew *crew);

#endif
