#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""What ninja must build for the tests of some suites, and no more.

usage: targets.py FOLDER [SUITE...]        no suite: all
"""
import json
import os
import pathlib
import subprocess
import sys


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    wanted = set(sys.argv[2:])
    if not wanted:
        print('all')
        return
    said = subprocess.run(['meson', 'introspect', folder, '--tests', '--targets'], capture_output=True, check=True).stdout
    found = json.loads(said)
    files = {target['id']: target['filename'] for target in found['targets']}
    needed = set()
    for test in found['tests']:
        if not {suite.split(':')[-1] for suite in test['suite']} & wanted:
            continue
        needed.update(test['cmd'])
        for target in test['depends']:
            needed.update(files[target])
    built = {os.path.normpath(name) for names in files.values() for name in names}
    print(' '.join(sorted(os.path.relpath(name, folder) for name in needed if name in built)))


if __name__ == '__main__':
    main()
