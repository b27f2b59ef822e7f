#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Every test that SECURITY.md names is there: `FILE` or `FILE: FUNCTION`, below tests.

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
print('\n'.join(problems) or f'{count} tests named')
sys.exit(bool(problems) or count < 20)
