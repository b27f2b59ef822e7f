#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Checks the tags of arguments, such as [percpu.D1]: each is explained once, in its own folder, and everybody who names one
names one that is explained. The explanation is a line of a comment that begins with the tag.

usage: tags.py ROOT
"""
import collections
import pathlib
import re
import sys

TAG = re.compile(r'\[([a-z]+\.[A-Z]\d+)\]')
EXPLAINED = re.compile(r'^ \* +(?:- )?\[([a-z]+\.[A-Z]\d+)\] [`\w]')
BARE = re.compile(r'(?<![\w\]])\[[A-Z]\d\](?!\[)')

root = pathlib.Path(sys.argv[1])
explained = collections.defaultdict(list)
named = collections.defaultdict(list)
problems = []

files = [path for folder in ('src', 'tests') for path in (root / folder).rglob('*') if path.suffix in {'.c', '.h', '.litmus'}]
for path in sorted(files) + [root / 'README.md']:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f'{path.relative_to(root)}:{number}'
        start = EXPLAINED.match(line)
        if start and str(path.relative_to(root)).startswith('src/' + start[1].split('.')[0] + '/'):
            explained[start[1]].append(where)
        for tag in TAG.findall(line):
            named[tag].append(where)
        if path.suffix != '.litmus' and BARE.search(line):
            problems.append(f'{where}: a tag without its folder')

for tag, places in sorted(named.items()):
    if len(explained[tag]) != 1:
        problems.append(f'[{tag}] is explained {len(explained[tag])} times {explained[tag]}, and named in {places[0]}')

print('\n'.join(problems) or f'{len(named)} tags')
sys.exit(bool(problems))
