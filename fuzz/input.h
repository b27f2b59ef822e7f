/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Reading a fuzzer's bytes as numbers; zeroes once they are used up. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *data;
	size_t left;
};

/* Every target defines this one, libFuzzer's entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline bool input_more(const struct input *in)
{
	return in->left > 0;
}

static inline uint64_t input_number(struct input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->left > 0; i++) {
		value |= (uint64_t)*in->data++ << (8 * i);
		in->left--;
	}
	return value;
}

/* A size with the interesting ones in reach: its first byte says how many bytes follow, or which limit it is near. */
static inline uint64_t input_size(struct input *in, uint64_t whole)
{
	uint64_t kind = input_number(in, 1), near = input_number(in, 1) - 128;

	switch (kind % 8) {
	case 0:
		return near;
	case 1:
		return whole + near;
	case 2:
		return UINT64_MAX + near;
	case 3:
		return (uint64_t)4096 * (kind / 8) + near;
	case 4:
		return whole / 2 + near;
	case 5:
		return input_number(in, 2);
	default:
		return input_number(in, 1) * 8 + kind / 8;
	}
}

#endif
