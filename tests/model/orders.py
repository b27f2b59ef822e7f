#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Weakens the memory orders of the source one by one, and says which model finds each.

usage: orders.py [--list | --check] [--write FILE.md | --line N] ROOT [FILE...]

Of each acquire, release, acq_rel and seq_cst in FILE (default: all of src) makes mutants with the weaker orders that are left, the
weakest first, and of each fence one without it, in a copy of the tree. The models that have the file in them run with
GenMC (genmc.sh) until one finds the mutant. A line a mutant: where, from which order to which, and who found it, or "nobody".

A mutant that nobody finds must stand in tests/model/orders.txt with a reason, or the exit status is 1. So must each file with
orders and without a model. --list prints the mutants alone, --check those that no model could find and that have no reason, without
running any. --line N takes those of one line alone. --write puts the tables into FILE.md, in the place of those of the same
files that are there.
"""
import argparse
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Which models have a file in them, the quickest first.
MODELS = {
    'src/base/bytes.h': ['token'],
    'src/base/fence.h': ['room', 'rest', 'transit'],
    'src/buddy/bitmap.c': ['buddy'],
    'src/buddy/bound.c': ['buddy'],
    'src/buddy/bound.h': ['buddy'],
    'src/buddy/buddy.c': ['buddy'],
    'src/buddy/fit.c': ['buddy'],
    'src/buddy/scan.c': ['buddy'],
    'src/client/alloc.h': ['record', 'tags'],
    'src/client/client_pool.c': ['record', 'tags'],
    'src/client/ending.c': ['tags'],
    'src/client/query.c': ['record', 'tags'],
    'src/client/tags.c': ['tags'],
    'src/client/tags.h': ['tags'],
    'src/backing/backings.c': ['protect'],
    'src/backing/page_tree.c': ['page_tree'],
    'src/backing/protect.c': ['protect'],
    'src/mapping/place.c': ['protect'],
    'src/mapping/register.c': ['protect'],
    'src/space/backing.h': ['protect'],
    'src/space/space.h': ['protect'],
    'src/space/nodes.h': ['page_tree'],
    'src/mapping/find.c': ['page_tree'],
    'src/mapping/handle.h': ['references'],
    'src/mapping/lookup.c': ['references'],
    'src/mapping/unregister.c': ['references'],
    'src/reclaim/limbo.c': ['rest'],
    'src/reclaim/limbo.h': ['rest'],
    'src/reclaim/resting.c': ['rest'],
    'src/reclaim/resting.h': ['rest'],
    'src/pamap/block.c': ['pamap'],
    'src/pamap/each.c': ['pamap'],
    'src/pamap/hints.c': ['pamap'],
    'src/pamap/hints.h': ['pamap'],
    'src/pamap/lookup.c': ['pamap'],
    'src/pamap/map.h': ['pamap'],
    'src/pamap/owner.c': ['pamap'],
    'src/pamap/pamap.c': ['pamap'],
    'src/pamap/single.c': ['pamap'],
    'src/pamap/store.c': ['pamap'],
    'src/pamap/tree.c': ['pamap'],
    'src/percpu/arch_generic.h': ['magazine'],
    'src/percpu/token.c': ['token', 'plug'],
    'src/percpu/token.h': ['token', 'plug'],
    'src/percpu/drain.c': ['plug', 'token', 'transit'],
    'src/percpu/magazine.h': ['plug', 'magazine'],
    'src/percpu/percpu.c': ['plug', 'token', 'transit'],
    'src/percpu/percpu.h': ['plug', 'token', 'transit'],
    'src/pool/pool.h': ['registry'],
    'src/pool/registry.c': ['registry'],
    'src/provider/room.c': ['room'],
    'src/provider/room.h': ['room'],
    'src/slab/keep.c': ['transit'],
    'src/slab/keep.h': ['transit'],
    'src/slab/quarantine.c': ['transit'],
    'src/slab/quarantine.h': ['transit'],
    'src/slab/reclaim.c': ['transit'],
    'src/slab/slab.c': ['transit'],
    'src/stat/sequence.h': ['sequence'],
    'src/table/index.c': ['index'],
    'src/table/index.h': ['index'],
    'src/tee/count.h': ['count'],
}
WEAKER = {
    'seq_cst': {'load': ['relaxed', 'acquire'], 'store': ['relaxed', 'release'], 'both': ['relaxed', 'acq_rel']},
    'acq_rel': {'both': ['acquire', 'release']},
    'acquire': {'load': ['relaxed'], 'both': ['relaxed']},
    'release': {'store': ['relaxed'], 'both': ['relaxed']},
}
ALLOWED = 'tests/model/orders.txt'
HEAD = '''<!-- Written by tests/model/orders.py. -->
# Memory orders and who needs them

Each order in `src` that is stronger than relaxed was weakened alone, and the models of `tests/model` that have the file in them were
checked with GenMC under C11's memory model. "nobody" means that no model fails without it; the reason why it stays is beside it
(`tests/model/orders.txt`). Line numbers are those of the commit that is named; files have been moved since then, and stand here
where they are now. A file with orders that is missing here has no model, for the reason that `orders.txt` gives, or was not run.
'''


def kind_of(call):
    if call.startswith('atomic_load'):
        return 'load'
    return 'store' if call.startswith('atomic_store') else 'both'


def end_of(text, at):
    """The end of the parenthesis that opens at `at`."""
    depth = 0
    for position in range(at, len(text)):
        depth += {'(': 1, ')': -1}.get(text[position], 0)
        if depth == 0:
            return position
    return len(text)


def without_comments(text):
    """The same length, comments and the code of mutants as blanks."""
    def blank(found):
        return re.sub(r'[^\n]', ' ', found[0])

    text = re.sub(r'/\*.*?\*/', blank, text, flags=re.S)
    return re.sub(r'^#if IS_MUTANT.*?^#(else|endif)', blank, text, flags=re.S | re.M)


def mutants(text):
    """Position, length, what is put there, the order as it is, the weaker one, and the call."""
    code = without_comments(text)
    for call in re.finditer(r'\b(atomic_\w+_explicit|atomic_thread_fence)\s*\(', code):
        end = end_of(code, call.end() - 1)
        inside = code[call.end():end]
        orders = list(re.finditer(r'memory_order_(seq_cst|acq_rel|acquire|release)\b', inside))
        for number, order in enumerate(orders):
            kind = kind_of(call[1])
            # The failure order of a compare-exchange is that of a load.
            if 'compare_exchange' in call[1] and number == len(orders) - 1 and \
                    len(re.findall(r'memory_order_', inside)) > 1 and not inside[order.end():].strip():
                kind = 'load'
            for weaker in WEAKER[order[1]].get(kind, []):
                yield call.end() + order.start(1), len(order[1]), weaker, order[1], weaker, call[1].removesuffix('_explicit')
    for fence in re.finditer(r'(?<!void )\b(fence_full|fence_release)\(\)', code):
        yield fence.start(), len(fence[0]), '(void)0', 'fence', 'none', fence[1]


def finder(root, names):
    """The scenario that finds a fault in this tree; None: no one; or what went wrong."""
    for name in names:
        try:
            result = subprocess.run(['bash', str(root / 'tests/model/genmc.sh'), str(root), name], capture_output=True,
                                    text=True, timeout=600, env=os.environ | {'GENMC_FIRST': '1'})
        except subprocess.TimeoutExpired:
            return f'trouble: {name} takes more than ten minutes'
        if result.returncode == 77:
            sys.exit('genmc is not on the path')
        found = re.search(r'^(\w+), scenario (\d+): NOT CLEAN: (.*)', result.stdout, re.M)
        if found and re.match(r'.*(race|violation|memory|deadlock)', found[3], re.I):
            return f'{found[1]}, scenario {found[2]}'
        if found or result.returncode:
            return f'trouble: {name} does not run'
    return None


class Allowed:
    """orders.txt: `file :: a part of the line :: reason`, or `file :: * :: reason` for all of a file."""

    def __init__(self, path):
        self.entries = []
        for line in path.read_text().splitlines():
            if line and not line.startswith('#'):
                self.entries.append([part.strip() for part in line.split(' :: ')])

    def reason(self, name, line):
        for file, part, why in self.entries:
            if file == name and (part == '*' or part in line):
                return why
        return None


def write(path, sections, source):
    """Put the sections into the file, beside those of other files."""
    commit = subprocess.run(['git', '-C', source, 'log', '-1', '--format=%h'], capture_output=True, text=True).stdout.strip()
    stamp = f'Checked at {commit}, {datetime.date.today()}.'
    old = {}
    if path.exists():
        for part in re.split(r'^## ', path.read_text(), flags=re.M)[1:]:
            old[part.split('\n', 1)[0].strip('` ')] = part.split('\n', 1)[1].strip()
    for name, rows in sections.items():
        table = '\n'.join(['| line | call | order | without it, found by |', '| --- | --- | --- | --- |'] + rows)
        old[name] = f'{stamp}\n\n{table}'
    path.write_text(HEAD + ''.join(f'\n## `{name}`\n\n{old[name]}\n' for name in sorted(old)))


def check_file(root, name, allowed, only_list, only_line):
    """The rows of a file's table, and how many mutants nobody finds and nobody has a reason for."""
    text = (root / name).read_text()
    rows, unexplained = [], 0
    for position, length, put, order, weaker, call in mutants(text):
        line = text.count('\n', 0, position) + 1
        if only_line not in (None, line):
            continue
        source = text.splitlines()[line - 1]
        where = f'{name}:{line} {call}: {order} -> {weaker}'
        if only_list:
            print(where)
            continue
        found = None
        if name in MODELS:
            (root / name).write_text(text[:position] + put + text[position + length:])
            found = finder(root, MODELS[name])
            (root / name).write_text(text)
        reason = None if found and not found.startswith('trouble') else allowed.reason(name, source)
        unexplained += reason is None and (found is None or found.startswith('trouble'))
        said = found or (f'nobody: {reason}' if reason else 'nobody')
        rows.append(f'| {line} | `{call.removeprefix("atomic_")}` | {order} to {weaker} | {said} |')
        print(f'{where}: {said}', flush=True)
    return rows, unexplained


def check_covered(root, names, allowed):
    """Whether there are orders in files that no model has, without a reason; or files with models or reasons that are gone."""
    problems = [f'{name}: no such file' for name in sorted({*MODELS, *(entry[0] for entry in allowed.entries)})
                if not (root / name).is_file()]
    for name in names:
        text = (root / name).read_text()
        for position, *_, call in mutants(text):
            line = text.count('\n', 0, position)
            if name not in MODELS and not allowed.reason(name, text.splitlines()[line]):
                problems.append(f'{name}:{line + 1} {call}: no model and no reason')
    print('\n'.join(problems) or f'{len(names)} files')
    return bool(problems)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--line', type=int)
    parser.add_argument('--write', type=pathlib.Path)
    parser.add_argument('root', type=pathlib.Path)
    parser.add_argument('files', nargs='*')
    options = parser.parse_args()
    source = options.root.resolve()
    every = sorted(str(path.relative_to(source)) for path in (source / 'src').rglob('*.[ch]'))
    allowed = Allowed(source / ALLOWED)
    if options.check:
        sys.exit(check_covered(source, options.files or every, allowed))
    unexplained = 0
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for part in ['src', 'include', 'tests/model']:
            shutil.copytree(source / part, root / part)
        for name in options.files or every:
            rows, more = check_file(root, name, allowed, options.list, options.line)
            unexplained += more
            if rows and options.write:
                write(options.write, {name: rows}, source)
    if not options.list:
        print(f'{unexplained} found by nobody, without a reason')
    sys.exit(unexplained > 0)


main()
