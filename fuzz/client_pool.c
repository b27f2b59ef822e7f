/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Target: the client pool against the reference model. */
#include "pool_ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	pool_ops_run(input_number(&in, 1) % 2 ? MODEL_CLIENT : MODEL_CLIENT_NOZERO, &in);
	return 0;
}
