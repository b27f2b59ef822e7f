/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* What there is to count of a space. */
#ifndef MAPPING_STATS_H
#define MAPPING_STATS_H

#include "space/space.h"

/* As ist_mapping_stats. */
void space_stats(struct space *space, struct ist_mapping_stats *out);

#endif
