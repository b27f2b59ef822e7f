/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/read.h>

#include "rcu/rcu.h"

void ist_read_enter(void)
{
	rcu_enter();
}

void ist_read_leave(void)
{
	rcu_leave();
}

bool ist_read_inside(void)
{
	return rcu_inside();
}
