/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* liburcu's flavours side by side: begin and end of a read section. */
#include <urcu/static/urcu-bp.h>
#include <urcu/static/urcu-memb.h>
#include <urcu/static/urcu-qsbr.h>

#include "pamap.h"

#include <stdatomic.h>

void urcu_bp_read_lock(void);
void urcu_bp_read_unlock(void);
void urcu_memb_register_thread(void);
void urcu_memb_unregister_thread(void);
void urcu_qsbr_register_thread(void);
void urcu_qsbr_unregister_thread(void);

enum { BATCH = 1024 };

static void bp_inlined(void)
{
	for (int i = 0; i < BATCH; i++) {
		_urcu_bp_read_lock();
		_urcu_bp_read_unlock();
	}
}

static void bp_called(void)
{
	for (int i = 0; i < BATCH; i++) {
		urcu_bp_read_lock();
		urcu_bp_read_unlock();
	}
}

static void memb_inlined(void)
{
	for (int i = 0; i < BATCH; i++) {
		_urcu_memb_read_lock();
		_urcu_memb_read_unlock();
	}
}

static void qsbr_inlined(void)
{
	for (int i = 0; i < BATCH; i++) {
		_urcu_qsbr_read_lock();
		atomic_signal_fence(memory_order_seq_cst);
		_urcu_qsbr_read_unlock();
	}
}

static const struct flavour {
	const char *name;
	void (*pairs)(void); /* BATCH */
} flavours[] = {
        {"isthmus (bp, inlined)", bp_inlined},
        {"bp, called", bp_called},
        {"memb, inlined", memb_inlined},
        {"qsbr, inlined", qsbr_inlined},
};

static void section(struct gbench_state *state, void *context)
{
	const struct flavour *flavour = context;

	urcu_memb_register_thread();
	urcu_qsbr_register_thread();
	while (gbench_keep_running_batch(state, BATCH))
		flavour->pairs();
	urcu_qsbr_unregister_thread();
	urcu_memb_unregister_thread();
}

void suite_pamap_flavours_register(void)
{
	for (size_t i = 0; i < sizeof(flavours) / sizeof(flavours[0]); i++)
		gbench_register(section, (void *)(uintptr_t)&flavours[i], "pamap/section/%s",
		                flavours[i].name);
}
