#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Every test that SECURITY.md names is there: `FILE` or `FILE: FUNCTION`, below tests; and every file that doc/architecture.md names,
below src, tests or doc, with the function that is named before it.

usage: claims.py ROOT
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
problems = []
count = 0
for name in re.findall(r'`((?:unit|stress|tee)/[\w.]+(?:: \w+)?)`', (root / 'SECURITY.md').read_text()):
    file, _, function = name.partition(': ')
    path = root / 'tests' / file
    count += 1
    if not path.is_file():
        problems.append(f'{name}: no such file')
    elif function and not re.search(rf'\b{function}\b', path.read_text()):
        problems.append(f'{name}: no such test')
architecture = (root / 'doc/architecture.md').read_text()
for function, file in re.findall(r'(?:`(\w+)`[,;]? \(?)?`([a-z_0-9]+/[\w./]+\.(?:c|h|py))`', architecture):
    path = next((at for at in (root / 'src' / file, root / 'tests' / file, root / file) if at.is_file()), None)
    count += 1
    if not path:
        problems.append(f'doc/architecture.md: {file}: no such file')
    elif function and not function.startswith('ist_') and not re.search(rf'\b{function}\b', path.read_text()):
        problems.append(f'doc/architecture.md: no {function} in {file}')
print('\n'.join(problems) or f'{count} tests and files named')
sys.exit(bool(problems) or count < 20)
