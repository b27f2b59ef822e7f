/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include <isthmus/version.h>

int ist_version(void)
{
	return IST_VERSION;
}
