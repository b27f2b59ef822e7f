/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A file in which others see what a manager does: as the functions of isthmus/stat.h. */
#ifndef STAT_EXPORT_H
#define STAT_EXPORT_H

#include <isthmus/stat.h>

int stat_export(struct ist_manager *manager, const struct ist_stat_options *options, struct ist_stat **out);
int stat_refresh(struct ist_stat *stat);
int stat_unexport(struct ist_stat *stat);

#endif
