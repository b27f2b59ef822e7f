/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* The beginning and the end of a space. */
#ifndef MAPPING_LIFE_H
#define MAPPING_LIFE_H

#include "space/space.h"

/* Nothing is allocated until the first call of the control path. */
void space_init(struct space *space);
/* At its end, when nobody else is using it: -EBUSY while a mapping is registered or referenced. Then, once that answered 0: */
int space_settle(struct space *space);
void space_drop(struct space *space);

/* Also the window. -ENOMEM */
int space_use(struct space *space);
/* As ist_mapping_configure: before the first use. */
int space_configure(struct space *space, const struct ist_mapping_config *config);

#endif
