/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "recording.h"

#include <stdio.h>
#include <string.h>

#define PADDR 0x42000000u

/* "dir/NAME.istrace" -> "NAME", with nothing in it that a file name should not have. */
static void name_of(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path, *dot;
	size_t i;

	snprintf(name, size, "%s", start);
	dot = strrchr(name, '.');
	if (dot && dot != name)
		name[dot - name] = 0;
	for (i = 0; name[i]; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name[i]))
			name[i] = '_';
}

int recording_load(const char *path, struct recording *recording, struct trace_error *error)
{
	struct trace trace;
	bool planned;

	if (trace_load(path, &trace, error))
		return -1;
	name_of(path, recording->name, sizeof(recording->name));
	recording->events = trace.event_count;
	recording->objects = trace.object_count;
	planned = plan_make(&trace, &recording->plan);
	trace_release(&trace);
	if (!planned)
		trace_error_set(error, "%s: out of memory", path);
	return planned ? 0 : -1;
}

struct region recording_region(unsigned char *vaddr, size_t pool, size_t driver_pool)
{
	return (struct region){.vaddr = vaddr,
	                       .paddr = PADDR,
	                       .driver_size = driver_pool,
	                       .client_size = pool - driver_pool};
}
