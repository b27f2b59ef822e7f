/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
#include "progress.h"
#include "clock.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define QUIET_SECONDS 2.0
#define LINE_SECONDS 5.0

static struct {
	uint32_t steps, done;
	double begin, shown;
	bool terminal, line;
} progress;

void progress_begin(uint32_t steps)
{
	progress.steps = steps;
	progress.done = 0;
	progress.begin = clock_seconds();
	progress.shown = progress.begin;
	progress.terminal = isatty(STDERR_FILENO);
	progress.line = false;
}

void progress_step(const char *format, ...)
{
	double now = clock_seconds();
	va_list arguments;

	progress.done++;
	if (now - progress.begin < QUIET_SECONDS ||
	    (!progress.terminal && now - progress.shown < LINE_SECONDS))
		return;
	progress.shown = now;
	progress.line = progress.terminal;
	fprintf(stderr, "%s[%3u %%] ", progress.terminal ? "\r\033[K" : "",
	        (progress.done - 1) * 100 / progress.steps);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs(progress.terminal ? "" : "\n", stderr);
	fflush(stderr);
}

void progress_clear(void)
{
	if (progress.line)
		fputs("\r\033[K", stderr);
	progress.line = false;
}
