/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_CONTIGUOUS_H
#define MAPPING_CONTIGUOUS_H

#include "space/space.h"

/* As ist_mapping_map and ist_mapping_unmap. */
int space_map(struct space *space, const struct ist_mapping *handle, void **vaddr);
int space_unmap(struct space *space, const struct ist_mapping *handle);

#endif
