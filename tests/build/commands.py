#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Each command that the README and doc show is on the list in commands.txt, which says which test runs it, or why none does; and each
command on the list is shown. Commands are the lines of ```sh blocks and of indented blocks; a comment behind two spaces is none of it.

usage: commands.py ROOT           checks the list
       commands.py ROOT TEST      prints the commands that this test is said to run, for the test to run them
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
listing = root / 'tests/build/commands.txt'
problems = []


def cleaned(line):
    """Without what is said of it: behind two spaces."""
    return re.split(r'\s{2,}', line.strip())[0]


def shown(page):
    """The commands of a page, in order."""
    block = None  # the language, in a fenced block
    quoted = False  # in a command that goes on over several lines
    for line in page.read_text().splitlines():
        fence = re.fullmatch(r'```(\w*)', line)
        if fence:
            block = None if block is not None else fence[1]
            quoted = False
        elif block == 'sh' or (block is None and re.match(r' {4}\S', line)):
            if not quoted and line.strip():
                yield cleaned(line)
            if line.count("'") % 2:
                quoted = not quoted


listed = {}
for number, line in enumerate(listing.read_text().splitlines(), 1):
    if line.startswith('#') or not line:
        continue
    entry = re.fullmatch(r'(\S+) \| (.*) \| (run|not run): (.+)', line)
    if not entry:
        problems.append(f'commands.txt:{number}: not PAGE | COMMAND | run: TEST or not run: WHY')
        continue
    listed[entry[1], entry[2]] = entry[3], entry[4]
    test = root / 'tests' / entry[4]
    if entry[3] == 'run' and not (test.is_file() and test.name != 'commands.txt'):
        problems.append(f'commands.txt:{number}: there is no test {entry[4]}')

if len(sys.argv) > 2:
    for (_, command), (what, test) in listed.items():
        if what == 'run' and test == sys.argv[2]:
            print(command)
    sys.exit(bool(problems))

found = set()
for page in [root / 'README.md'] + sorted((root / 'doc').rglob('*.md')):
    name = str(page.relative_to(root))
    for command in shown(page):
        found.add((name, command))
        if (name, command) not in listed:
            problems.append(f'{name}: not in tests/build/commands.txt: {command}')
for name, command in listed:
    if (name, command) not in found:
        problems.append(f'commands.txt: {name} does not show: {command}')
print('\n'.join(problems) or f'{len(found)} commands, of which tests run {sum(what == "run" for what, _ in listed.values())}')
sys.exit(bool(problems))
