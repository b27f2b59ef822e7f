/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef BACKING_PROTECT_H
#define BACKING_PROTECT_H

#include "space/space.h"

/* As ist_protect and ist_unprotect. */
int space_protect(struct space *space, uint64_t paddr, uint64_t size);
int space_unprotect(struct space *space, uint64_t paddr, uint64_t size);

#endif
