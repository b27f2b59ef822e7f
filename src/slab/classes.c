/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <string.h>

#include "slab/slab.h"

#define PAGES_EACH 64u

/* Add a class of `granules`, which serves all counts above the class before it, or itself alone. */
static void add_class(struct slab_classes *classes, size_t granules, bool serves_smaller)
{
	size_t from = granules;

	if (serves_smaller)
		from = classes->count ? classes->granules[classes->count - 1] + 1u : 1;
	for (size_t n = from; n <= granules; n++)
		classes->at[n] = PERCPU_AT(classes->count);
	classes->granules[classes->count++] = (uint16_t)granules;
}

void slab_classes_exact(struct slab_classes *classes)
{
	classes->count = 0;
	for (size_t n = 1; n <= SLAB_CLASSES; n++)
		add_class(classes, n, true);
}

void slab_classes_spaced(struct slab_classes *classes)
{
	size_t n = 0, step = 1;

	classes->count = 0;
	while (n < SLAB_LARGEST) {
		if (n >= 16 && bits_is_power_of_two(n))
			step = n / 8;
		n += step;
		add_class(classes, n, true);
	}
}

void slab_classes_pages(struct slab_classes *classes)
{
	classes->count = 0;
	for (size_t n = 1; n <= PAGES_EACH; n++)
		add_class(classes, n, true);
	for (size_t n = 2 * PAGES_EACH; n <= SLAB_LARGEST; n *= 2)
		add_class(classes, n, false);
}

void slab_classes_finish(struct slab_classes *classes)
{
	size_t served = 0;

	classes->granules[classes->count] = 0;
	for (unsigned c = 0; c < classes->count; c++)
		served = classes->granules[c];
	for (size_t n = 0; n <= SLAB_LARGEST + 1; n++) {
		unsigned class = (unsigned)PERCPU_CLASS(classes->at[n]);

		if (n == 0 || n > served || class >= classes->count || classes->granules[class] < n)
			classes->at[n] = PERCPU_AT(classes->count);
	}
}
