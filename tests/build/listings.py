#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Every C and C++ listing of the README and of doc is a part of a file that is compiled and run. Before a listing stands a line

    <!-- FILE: NAME -->

and its text is what stands in that file between the lines "/* [NAME] */" and "/* [end] */".

usage: listings.py ROOT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
problems = []
count = 0


def part(path, name):
    """The lines of a file between its marks, or None."""
    lines = path.read_text().splitlines() if path.is_file() else []
    try:
        first = next(i for i, line in enumerate(lines) if line.strip() == f'/* [{name}] */') + 1
        last = next(i for i in range(first, len(lines)) if lines[i].strip() == '/* [end] */')
    except StopIteration:
        return None
    return lines[first:last]


for page in [root / 'README.md'] + sorted((root / 'doc').rglob('*.md')):
    before = listing = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        where = f'{page.relative_to(root)}:{number}'
        if listing is not None and line == '```':
            source = re.fullmatch(r'<!-- (\S+): (\S+) -->', before or '')
            wanted = part(root / source[1], source[2]) if source else None
            count += 1
            if not source:
                problems.append(f'{where}: a listing that is not said to be of a file')
            elif wanted is None:
                problems.append(f'{where}: {source[1]} has no part {source[2]}')
            elif [text.expandtabs(8) for text in wanted] != [text.expandtabs(8) for text in listing]:
                problems.append(f'{where}: not what {source[1]} has as {source[2]}')
            listing = None
        elif listing is not None:
            listing.append(line)
        elif line in ('```c', '```cpp'):
            listing = []
        elif line:
            before = line

print('\n'.join(problems) or f'{count} listings')
sys.exit(bool(problems))
