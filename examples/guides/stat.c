/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Statistics for other processes: doc/guides/tools.md. */
#include <isthmus/isthmus.h>

#include <sys/mman.h>

#include "check.h"

#define BYTES ((size_t)1 << 20)

static void show(struct ist_manager *manager)
{
	/* [export] */
	struct ist_stat_options options = {.name = "net0", .cells = 4096};
	struct ist_stat *stat;
	int error = ist_stat_export(manager, &options, &stat);
	/* [end] */

	must(error == 0);
	must(ist_stat_refresh(stat) == 0);
	must(ist_manager_destroy(manager) != 0);
	/* [unexport] */
	ist_stat_unexport(stat);
	/* [end] */
}

int main(void)
{
	void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ist_manager_config config = {.vaddr = memory, .paddr = 0x42000000, .size = BYTES};
	struct ist_manager *manager;

	must(memory != MAP_FAILED && ist_manager_create(&config, &manager) == 0);
	show(manager);
	must(ist_manager_destroy(manager) == 0);
	return 0;
}
