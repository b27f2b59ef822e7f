/* SPDX-License-Identifier: BSD-2-Clause */
/* SPDX-FileCopyrightText: 2026 the isthmus authors */
/*
 * Places where a debugger can look on (USDT): PROBE(name, arguments) is an instruction that does nothing, and a note in the
 * file that says where it is and where its arguments are, to be found by bpftrace, perf and gdb as isthmus:name. Only on slow
 * paths and where something is refused; up to three arguments, all of them numbers, documented in doc/guides/probes.md. Nothing at
 * all without the option (meson: probes).
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#ifdef ISTHMUS_PROBES
#include <sys/sdt.h>
#define PROBE_NAMED(_1, _2, _3, name, ...) name
#define PROBE(name, ...)                                                                                     \
	PROBE_NAMED(__VA_ARGS__, DTRACE_PROBE3, DTRACE_PROBE2, DTRACE_PROBE1, )(isthmus, name, __VA_ARGS__)
#else
#define PROBE_NONE(_1, _2, _3, ...) ((void)(_1), (void)(_2), (void)(_3))
#define PROBE(name, ...) PROBE_NONE(__VA_ARGS__, 0, 0, 0)
#endif

#endif
