/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* For the programs of this folder, which are tests as well: what must be so, or the program ends. */
#ifndef GUIDES_CHECK_H
#define GUIDES_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define must(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);              \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

#endif
