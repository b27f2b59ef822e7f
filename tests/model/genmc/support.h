/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * For programs that GenMC runs, before all else. There is one run of one scenario, so what is static is zero when it
 * begins. GenMC knows no memset and no memcpy of what it cannot take apart, nor memory of mixed widths: what is cleared and
 * copied here is words.
 */
#ifndef MODEL_GENMC_SUPPORT_H
#define MODEL_GENMC_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* No thread asks where its own memory is. */
#define __builtin_thread_pointer() ((void *)0)

#undef memset
#undef memcpy

void *memset(void *at, int byte, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		((uint64_t *)at)[i] = (uint64_t)byte * UINT64_C(0x0101010101010101);
	return at;
}

/* Of a struct of so many bytes: how many 32-bit members its ith word has, 0 if it is one whole. */
#ifndef GENMC_HALVES
#define GENMC_HALVES(bytes, i) 0
#endif

/* And how many members of one byte. */
#ifndef GENMC_BYTES
#define GENMC_BYTES(bytes, i) 0
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
		for (size_t half = 0; half < GENMC_HALVES(bytes, i); half++)
			((uint32_t *)to)[2 * i + half] = ((const uint32_t *)from)[2 * i + half];
		for (size_t byte = 0; byte < GENMC_BYTES(bytes, i); byte++)
			((uint8_t *)to)[8 * i + byte] = ((const uint8_t *)from)[8 * i + byte];
		if (!GENMC_HALVES(bytes, i) && !GENMC_BYTES(bytes, i))
			((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
	}
	if (bytes % sizeof(uint64_t))
		((uint32_t *)to)[bytes / sizeof(uint32_t) - 1] =
		        ((const uint32_t *)from)[bytes / sizeof(uint32_t) - 1];
	return to;
}

#endif
