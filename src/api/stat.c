/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/stat.h>

#include <errno.h>

#include "stat/export.h"

int ist_stat_export(struct ist_manager *manager, const struct ist_stat_options *options,
                    struct ist_stat **out)
{
	if (!manager || !out)
		return -EINVAL;
	return stat_export(manager, options, out);
}

int ist_stat_refresh(struct ist_stat *stat)
{
	return stat ? stat_refresh(stat) : -EINVAL;
}

int ist_stat_unexport(struct ist_stat *stat)
{
	return stat ? stat_unexport(stat) : 0;
}
