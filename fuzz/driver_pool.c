/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Target: the driver pool against the reference model. */
#include "pool_ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	pool_ops_run(MODEL_DRIVER, &in);
	return 0;
}
