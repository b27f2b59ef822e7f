/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Which isthmus this is, by the rules of semantic versions (https://semver.org): programs for MAJOR.MINOR run with every later
 * MINOR of the same MAJOR. While MAJOR is 0, each MINOR stands for itself.
 */
#ifndef ISTHMUS_VERSION_H
#define ISTHMUS_VERSION_H

#include <isthmus/types.h>

IST_BEGIN_DECLS

/* Of the headers that a program was compiled with. IST_VERSION can be compared, by the preprocessor too, with IST_VERSION_OF(0, 2, 0) and the like. */
#define IST_VERSION_MAJOR 0
#define IST_VERSION_MINOR 1
#define IST_VERSION_PATCH 0
#define IST_VERSION_OF(major, minor, patch) ((major) * 10000 + (minor) * 100 + (patch))
#define IST_VERSION IST_VERSION_OF(IST_VERSION_MAJOR, IST_VERSION_MINOR, IST_VERSION_PATCH)

/* Of the library that it runs with: as IST_VERSION. Wait-free, signal safe. */
IST_API int ist_version(void);

IST_END_DECLS

#endif
