/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* liburcu's flavours side by side: begin and end of a read section. */
#include <urcu/static/urcu-bp.h>
#include <urcu/static/urcu-memb.h>
#include <urcu/static/urcu-qsbr.h>

#include "pamap.h"

#include <stdatomic.h>

#include "lib/clock.h"

void urcu_bp_read_lock(void);
void urcu_bp_read_unlock(void);
void urcu_memb_register_thread(void);
void urcu_memb_unregister_thread(void);
void urcu_qsbr_register_thread(void);
void urcu_qsbr_unregister_thread(void);

const char *const flavour_names[FLAVOURS] = {"bp, inlined (ours)", "bp, called", "memb, inlined", "qsbr, inlined"};

static void bp_inlined(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_urcu_bp_read_lock();
		_urcu_bp_read_unlock();
	}
}

static void bp_called(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		urcu_bp_read_lock();
		urcu_bp_read_unlock();
	}
}

static void memb_inlined(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_urcu_memb_read_lock();
		_urcu_memb_read_unlock();
	}
}

static void qsbr_inlined(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_urcu_qsbr_read_lock();
		atomic_signal_fence(memory_order_seq_cst);
		_urcu_qsbr_read_unlock();
	}
}

double flavour_pair(enum flavour flavour, size_t count)
{
	void (*const run[FLAVOURS])(size_t) = {bp_inlined, bp_called, memb_inlined, qsbr_inlined};
	double begin, end;

	urcu_memb_register_thread();
	urcu_qsbr_register_thread();
	begin = clock_seconds();
	run[flavour](count);
	end = clock_seconds();
	urcu_qsbr_unregister_thread();
	urcu_memb_unregister_thread();
	return (end - begin) * 1e9 / (double)count;
}
