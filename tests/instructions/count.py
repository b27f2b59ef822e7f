#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Counts the instructions of hot paths with callgrind and compares them with what is on file.

usage: count.py PROGRAM FILE [--write]

FILE has a line "NAME INSTRUCTIONS" for each path. Fails if one is more than 10 % (and 3 instructions) off, either way: a
path that became shorter goes on file too (--write). The counts do not depend on the machine, but on the compiler and its options:
FILE begins with the compiler's version, and with another one the comparison is skipped (exit status 77).
"""
import pathlib
import re
import subprocess
import sys

FEW, MANY = 1000, 3000

program, file = sys.argv[1], pathlib.Path(sys.argv[2])
compiler = 'gcc ' + subprocess.run(['gcc', '-dumpversion'], capture_output=True, text=True, check=True).stdout.strip()


def collected(what, times):
    run = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', program, what, str(times)],
                         capture_output=True, text=True)
    found = re.search(r'Collected : (\d+)', run.stderr)
    if run.returncode or not found:
        sys.exit(f'{what}: {run.stderr}')
    return int(found.group(1))


lines = file.read_text().splitlines()
expected = dict(line.rsplit(' ', 1) for line in lines if line and not line.startswith('#'))
if f'# {compiler}' not in lines and '--write' not in sys.argv:
    print(f'counted with another compiler than {compiler}: skipped')
    sys.exit(77)

failures = 0
counts = {}
for what, old in expected.items():
    count = (collected(what, MANY) - collected(what, FEW)) / (MANY - FEW)
    counts[what] = round(count)
    bad = abs(count - float(old)) > max(3, 0.1 * float(old))
    failures += bad
    print(f'{what:24} {count:8.1f}  on file {old:>6}{"  <-- differs" if bad else ""}')
if '--write' in sys.argv:
    head = ['# Instructions of one pair or call as tests/run builds the library; count.py compares.', f'# {compiler}']
    file.write_text('\n'.join(head + [f'{what} {count}' for what, count in counts.items()]) + '\n')
    failures = 0
sys.exit(failures > 0)
