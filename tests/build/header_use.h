/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/* Included after one public header, by C99 and by C++: nothing else may be needed. */
#ifdef __cplusplus
static_assert(sizeof(size_t) == sizeof(void *), "");
#endif
int header_use(void);
int header_use(void)
{
	return 0;
}
