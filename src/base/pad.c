/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Nothing: see src/meson.build. */
typedef int pad_is_not_empty;
