/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What a server cannot do without: a request and an answer between two processes, with a descriptor, over a socket. */
#ifndef BENCH_TEE_FLOOR_H
#define BENCH_TEE_FLOOR_H

#include <stdbool.h>

/* Begin a process that answers each request with a descriptor; false if it cannot. It ends with this one. */
bool tee_floor_begin(void);
/* Ask for one. It is the caller's; negative: nobody answers. */
int tee_floor_ask(void);

#endif
