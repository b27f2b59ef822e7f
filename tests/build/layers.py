#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Checks the shape of the source tree: includes and calls go downward only, licence lines, file length, assembly in its place.

usage: layers.py ROOT [ARCHIVE]

ARCHIVE has an object for each file of src, named FOLDER_FILE.c.o as by meson. Calls are looked at where there is one; only what stands
on the public API calls a function of it.
"""
import collections
import pathlib
import re
import subprocess
import sys

# A folder may include itself and the folders on the lines above it; folders on one line do not know each other.
ORDER = [
    {'base'},
    {'platform'},
    {'percpu', 'rcu'},
    {'buddy', 'pamap', 'table'},
    {'slab'},
    {'pool'},
    {'driver', 'client'},
    {'owner'},
    {'space'},
    {'reclaim'},
    {'backing'},
    {'mapping'},
    {'provider'},
    {'teardown'},
    {'manager'},
    {'stat'},
    {'api'},
    {'tee'},
    {'preload', 'teed', 'teec', 'trace'},
    {'tools'},
]
MAX_LINES = 600

# What is written as a user of the library would write it.
ON_TOP = {'api', 'tee', 'preload', 'teed', 'teec', 'trace', 'tools'}

root = pathlib.Path(sys.argv[1])
problems = []


def rank(folder):
    for position, folders in enumerate(ORDER):
        if folder in folders:
            return position
    problems.append(f'src/{folder}: not in the order of layers')
    return len(ORDER)


for path in sorted((root / 'src').rglob('*.[ch]')):
    name = path.relative_to(root)
    folder = path.relative_to(root / 'src').parts[0]
    text = path.read_text()
    for included in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
        parts = included.split('/')
        if len(parts) < 2:
            problems.append(f'{name}: include "{included}" does not name its folder')
        elif parts[0] != folder and rank(parts[0]) >= rank(folder):
            problems.append(f'{name}: includes "{included}", which is not below it')
    if re.search(r'\b(__asm__|asm)\b', text) and not re.fullmatch(r'src/percpu/arch_\w+\.h', str(name)):
        problems.append(f'{name}: assembly outside src/percpu/arch_*.h')
    if re.search(r'\bvolatile\b', re.sub(r'/\*.*?\*/', '', text, flags=re.S)) and 'percpu/arch_' not in str(name):
        problems.append(f'{name}: volatile')
    # An atomic operation without an explicit order is a seq_cst one that nobody has thought about.
    for call in re.findall(r'\b(atomic_(?:load|store|exchange|fetch_\w+|compare_exchange_(?:weak|strong)))\s*\(', text):
        if not call.endswith('_explicit'):
            problems.append(f'{name}: {call} without an explicit memory order')



def check_calls(archive):
    """What each object defines and what it wants, by nm: whoever wants something stands above it, or beside it in one folder."""
    defined, wanted = {}, collections.defaultdict(set)
    for line in subprocess.run(['nm', '-A', '-g', archive], capture_output=True, text=True, check=True).stdout.splitlines():
        where, rest = line.rsplit(':', 1)
        *_, kind, symbol = rest.split()
        folder, file = re.split('[/:]', where)[-1].removesuffix('.c.o').split('_', 1)
        if kind == 'U':
            wanted[symbol].add((folder, file))
        else:
            defined[symbol] = (folder, file)
    for symbol, users in sorted(wanted.items()):
        for folder, file in sorted(users):
            below = defined.get(symbol, (folder,))[0]
            if below != folder and rank(below) >= rank(folder):
                problems.append(f'src/{folder}/{file}.c: wants {symbol} of src/{below}, which is not below it')
            if symbol.startswith('ist_') and folder not in ON_TOP:
                problems.append(f'src/{folder}/{file}.c: calls {symbol}, a public function')
    return len(wanted)


if sys.argv[2:] and not check_calls(sys.argv[2]):
    problems.append(f'{sys.argv[2]}: no symbols')

for folder in ['src', 'include', 'tests', 'bench', 'fuzz']:
    for path in sorted((root / folder).rglob('*')):
        if path.suffix not in {'.c', '.h', '.cc', '.py', '.sh'}:
            continue
        name = path.relative_to(root)
        lines = path.read_text().splitlines()
        if not any('SPDX-License-Identifier: BSD-2-Clause' in line for line in lines[:3]):
            problems.append(f'{name}: no SPDX lines')
        if len(lines) > MAX_LINES:
            problems.append(f'{name}: {len(lines)} lines, more than {MAX_LINES}')
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                problems.append(f'{name}:{number}: trailing white space')
            if not line.isascii():
                problems.append(f'{name}:{number}: not ASCII')

print('\n'.join(problems) or 'the tree is in shape')
sys.exit(bool(problems))
