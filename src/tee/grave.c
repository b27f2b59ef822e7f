/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "tee/grave.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "tee/tee.h"

/* Pushed onto by compare-exchange, taken as a whole: so there is no ABA. */
static _Atomic(struct grave *) refused;

struct grave *grave_make(void)
{
	return malloc(sizeof(struct grave));
}

void grave_drop(struct grave *grave)
{
	free(grave);
}

void grave_fill(struct grave *grave, struct ist_tee_device *device, const struct ist_shm *memory, int keeper)
{
	*grave = (struct grave){.device = device, .memory = *memory, .keeper = keeper};
	if (device)
		device_use_more(device);
}

static void keep_for_later(struct grave *grave)
{
	grave->next = atomic_load_explicit(&refused, memory_order_relaxed);
	/* Release: what is in the grave comes before its being found; pairs with the acquire of who takes the list. */
	while (!atomic_compare_exchange_weak_explicit(&refused, &grave->next, grave, memory_order_release,
	                                              memory_order_relaxed))
		continue;
}

/* All other errors mean that there is nothing to give back: the pool is gone, or in a forked child. */
static bool is_buried(struct grave *grave)
{
	struct ist_tee_device *device = grave->device;

	if (grave->keeper >= 0)
		close(grave->keeper);
	grave->keeper = -1;
	if (ist_shm_free(&grave->memory) == -ENOMEM)
		return false;
	free(grave);
	if (device)
		device_unuse(device);
	return true;
}

void grave_bury(struct grave *grave)
{
	if (!is_buried(grave))
		keep_for_later(grave);
}

bool graves_retry(void)
{
	struct grave *next, *each;
	bool any = false;

	if (!atomic_load_explicit(&refused, memory_order_relaxed))
		return false;
	for (each = atomic_exchange_explicit(&refused, NULL, memory_order_acquire); each; each = next) {
		next = each->next;
		if (is_buried(each))
			any = true;
		else
			keep_for_later(each);
	}
	return any;
}
