/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* A fuzzer's bytes as calls to one pool of a fresh manager, each checked against the reference model. */
#ifndef FUZZ_POOL_OPS_H
#define FUZZ_POOL_OPS_H

#include "input.h"
#include "support/model.h"

void pool_ops_run(enum model_kind kind, struct input *in);

#endif
