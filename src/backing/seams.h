/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#ifndef BACKING_SEAMS_H
#define BACKING_SEAMS_H

#include "space/backing.h"

/* How many bytes from `at` on, at most `bytes`, are of one file and in its order. -ENOMEM and others: cannot be told. */
int64_t backing_seam(struct backing *backing, uint64_t at, uint64_t bytes);

#endif
