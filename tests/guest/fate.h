/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What becomes of a front end that has done something. */
#ifndef TESTS_GUEST_FATE_H
#define TESTS_GUEST_FATE_H

#include "guest/back.h"
#include "guest/front.h"

#define HEADER UINT64_C(0x10000) /* of a request, in RAM */
#define NOWHERE (UINT64_C(1) << 40)
#define CARVE_OUT (UINT64_C(1) << 62) /* where the back end's own messages are, physically */

enum fate {
	SERVED, /* all is as before */
	BROKEN, /* ring 0 is not served any more, and its err was signalled; ring 1 is */
	CLOSED, /* the connection was closed */
};

/* Asserts that it is so. */
void fate_expect(struct front *front, enum fate fate);

/* Some front ends that do nothing wrong, so that the back end has made what it makes once; and remember what it has. */
void fate_warm_up(struct back *back);

#endif
