#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Counts the instructions of hot paths in a simulator and compares them with what is on file.

usage: count.py [--write] FILE COMPILER COMMAND...

COMMAND runs count.c in a simulator that ends with "Collected : INSTRUCTIONS" on standard error. FILE has a line "NAME
INSTRUCTIONS" for each path. Fails if one is more than 10 % (and 3 instructions) off, either way: a path that became shorter
goes on file too (--write). The counts do not depend on the machine, but on the compiler and its options: FILE names the
COMPILER, and with another one the comparison is skipped (exit status 77).
"""
import pathlib
import re
import subprocess
import sys

FEW, MANY = 1000, 3000
HEAD = '# Instructions of one pair or call as tests/run builds the library; "ninja write-instructions" there writes them anew.'


def run(command, *arguments):
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    found = re.search(r'Collected : (\d+)', done.stderr)
    if done.returncode or not found:
        sys.exit(f'{arguments}: {done.stdout}{done.stderr}')
    return done.stdout, int(found.group(1))


def count(command, what):
    """Of one time: what came before the first, and on the way to it, is in both runs."""
    return (run(command, what, str(MANY))[1] - run(command, what, str(FEW))[1]) / (MANY - FEW)


def is_off(now, expected):
    return expected is None or abs(now - expected) > max(3, 0.1 * expected)


def main(write, path, compiler, *command):
    file = pathlib.Path(path)
    lines = file.read_text().splitlines() if file.exists() else []
    if f'# {compiler}' not in lines and not write:
        print(f'counted with another compiler than {compiler}: skipped')
        return 77
    on_file = {what: float(number) for what, number in (line.rsplit(' ', 1) for line in lines if not line.startswith('#'))}
    counts = {what: count(command, what) for what in run(command)[0].split()}
    for what, now in counts.items():
        old = on_file.get(what)
        print(f'{what:24} {now:8.1f}  on file {"none" if old is None else f"{old:.0f}":>6}'
              f'{"  <-- differs" if is_off(now, old) else ""}')
    if write:
        file.write_text('\n'.join([HEAD, f'# {compiler}'] + [f'{what} {now:.0f}' for what, now in counts.items()]) + '\n')
        return 0
    return any(is_off(now, on_file.get(what)) for what, now in counts.items())


if __name__ == '__main__':
    wants_write = '--write' in sys.argv[1:2]
    if len(sys.argv) - wants_write < 4:
        sys.exit(__doc__)
    sys.exit(main(wants_write, *sys.argv[1 + wants_write:]))
