#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""usage: coverage.py COVERAGE.json [FILE-OR-FOLDER...]       see tests/coverage"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOAL = 0.95  # of the lines


def counts(file):
    lines = [line for line in file['lines'] if not line.get('gcovr/noncode')]
    branches = [branch for line in lines for branch in line['branches']]
    return (sum(line['count'] > 0 for line in lines), len(lines), sum(branch['count'] > 0 for branch in branches), len(branches))


def missed(file):
    """As ranges, with the source's first line of each."""
    source = (ROOT / file['file']).read_text().splitlines()
    numbers = [line['line_number'] for line in file['lines'] if not line.get('gcovr/noncode') and line['count'] == 0]
    while numbers:
        first = last = numbers.pop(0)
        while numbers and numbers[0] == last + 1:
            last = numbers.pop(0)
        where = f'{first}' if first == last else f'{first}-{last}'
        print(f'{file["file"]}:{where}: {source[first - 1].strip()}')


def main():
    files = json.loads(pathlib.Path(sys.argv[1]).read_text())['files']
    if sys.argv[2:]:
        for file in files:
            if any(file['file'].startswith(name.rstrip('/')) for name in sys.argv[2:]):
                missed(file)
        return 0
    total = [0, 0, 0, 0]
    rows = []
    for file in files:
        row = counts(file)
        total = [a + b for a, b in zip(total, row)]
        rows.append((row[1] - row[0], file['file'], row))
    for less, name, row in sorted(rows, reverse=True):
        if less:
            print(f'{name:34} {less:4} lines missed of {row[1]:4}, {row[3] - row[2]:4} branches of {row[3]:4}')
    said = f'{100 * total[0] / total[1]:.1f} % of {total[1]} lines, {100 * total[2] / total[3]:.1f} % of {total[3]} branches'
    print(said)
    subprocess.run([ROOT / 'tests/evidence.py', '--note', 'coverage', said], check=True)
    return total[0] < GOAL * total[1]


if __name__ == '__main__':
    sys.exit(main())
