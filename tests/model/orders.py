#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Weakens the memory orders of the source one by one, and prints which model finds each.

usage: orders.py [--list] ROOT [FILE...]

Of each acquire, release, acq_rel and seq_cst in FILE (default: all of src that a model has) makes mutants with the weaker
orders that are left, the weakest first, in a copy of the tree, and runs the models that have the file in them with GenMC
(genmc.sh) until one finds it. A line a mutant: where, from which order to which, and who found it, or "nobody": then the
order is needed by nothing that is modelled. A mutant whose weakest form is found says nothing of the ones between; those
are tried too. --list prints the mutants alone.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Which models have a file in them.
MODELS = {
    'src/percpu/arch_generic.h': ['magazine', 'plug'],
    'src/percpu/magazine.h': ['plug', 'magazine'],
    'src/percpu/percpu.c': ['plug', 'bias'],
    'src/percpu/drain.c': ['plug'],
    'src/percpu/bias.c': ['bias'],
    'src/client/client_pool.c': ['record'],
    'src/client/query.c': ['record'],
    'src/pool/registry.c': ['registry'],
    'src/pool/pool.h': ['registry'],
    'src/buddy/bitmap.c': ['buddy'],
    'src/buddy/bound.c': ['buddy'],
    'src/buddy/buddy.c': ['buddy'],
    'src/buddy/fit.c': ['buddy'],
    'src/buddy/scan.c': ['buddy'],
    'src/table/index.c': ['index'],
}
WEAKER = {
    'seq_cst': {'load': ['relaxed', 'acquire'], 'store': ['relaxed', 'release'], 'both': ['relaxed', 'acq_rel']},
    'acq_rel': {'both': ['acquire', 'release']},
    'acquire': {'load': ['relaxed'], 'both': ['relaxed']},
    'release': {'store': ['relaxed'], 'both': ['relaxed']},
}


def kind_of(call):
    if call.startswith('atomic_load'):
        return 'load'
    return 'store' if call.startswith('atomic_store') else 'both'


def arguments(text, at):
    """The end of the parenthesis that opens at `at`."""
    depth = 0
    for position in range(at, len(text)):
        depth += {'(': 1, ')': -1}.get(text[position], 0)
        if depth == 0:
            return position
    return len(text)


def mutants(text):
    """Position, length, the order as it is, a weaker one, and the call."""
    for call in re.finditer(r'\b(atomic_\w+_explicit)\s*\(', text):
        end = arguments(text, call.end() - 1)
        orders = list(re.finditer(r'memory_order_(seq_cst|acq_rel|acquire|release)\b', text[call.end():end]))
        for number, order in enumerate(orders):
            # The failure order of a compare-exchange is that of a load.
            kind = kind_of(call[1])
            if 'compare_exchange' in call[1] and number == len(orders) - 1 and \
                    len(re.findall(r'memory_order_', text[call.end():end])) > 1 and order.end() + call.end() >= end - 1:
                kind = 'load'
            for weaker in WEAKER[order[1]].get(kind, []):
                yield call.end() + order.start(1), len(order[1]), order[1], weaker, call[1]


def finder(root, names):
    """The model that finds a fault in this tree: its name, or None; a trouble of the checker is none either."""
    for name in names:
        result = subprocess.run(['bash', str(root / 'tests/model/genmc.sh'), str(root), name], capture_output=True,
                                text=True, timeout=900)
        if result.returncode == 77:
            sys.exit('genmc is not on the path')
        found = re.search(r'^(\w+), scenario (\d+): NOT CLEAN: (\S+ ?\S*!?)', result.stdout, re.M)
        if found:
            return f'{found[1]}, scenario {found[2]}'
    return None


def main():
    arguments_ = sys.argv[1:]
    only_list = '--list' in arguments_
    arguments_ = [a for a in arguments_ if a != '--list']
    if not arguments_:
        sys.exit(__doc__)
    source = pathlib.Path(arguments_[0]).resolve()
    files = arguments_[1:] or list(MODELS)
    nobody = 0
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for part in ['src', 'include', 'tests/model']:
            shutil.copytree(source / part, root / part)
        for name in files:
            text = (root / name).read_text()
            for position, length, order, weaker, call in mutants(text):
                line = text.count('\n', 0, position) + 1
                where = f'{name}:{line} {call[7:-9]}: {order} -> {weaker}'
                if only_list:
                    print(where)
                    continue
                (root / name).write_text(text[:position] + weaker + text[position + length:])
                found = finder(root, MODELS.get(name, []))
                nobody += found is None
                print(f'{where}: {found or "nobody"}', flush=True)
            (root / name).write_text(text)
    if not only_list:
        print(f'{nobody} found by nobody')


main()
