/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef MAPPING_MMIO_H
#define MAPPING_MMIO_H

#include <isthmus/mmio.h>

#include "space/space.h"

/* As the functions of isthmus/mmio.h. */
int space_mmio_map(struct space *space, uint64_t paddr, size_t len, void **vaddr);
int space_mmio_unmap(struct space *space, const void *vaddr, size_t len);

#endif
