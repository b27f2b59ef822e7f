#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Says what changed between two runs of bench/run suites beyond their noise.

usage: compare.py OLD.json NEW.json

A change counts if the medians differ by more than three times the larger spread of the two, and by more than 3 %. Exit
status 1 if anything of isthmus became slower.
"""
import sys

import results

if len(sys.argv) != 3:
    sys.exit(__doc__)
(old_context, old), (new_context, new) = results.read(sys.argv[1]), results.read(sys.argv[2])

for key in sorted(set(old_context) | set(new_context)):
    if key in ('date', 'load_avg', 'noise_percent', 'clock', 'executable', 'frequency_khz', 'mhz_per_cpu'):
        continue
    if old_context.get(key) != new_context.get(key):
        print(f'not the same machine or setting: {key}: {old_context.get(key)} then, {new_context.get(key)} now')

slower = 0
counts = {'slower': 0, 'faster': 0, 'same': 0}
for name, now in new.items():
    then = old.get(name)
    if not then or now.error or then.error:
        continue
    change = now.median / then.median - 1
    limit = max(0.03, 3 * max(now.spread, then.spread))
    verdict = 'same' if abs(change) <= limit else 'slower' if change > 0 else 'faster'
    counts[verdict] += 1
    if verdict != 'same':
        print(f'{verdict}: {name}: {then.median:.2f} ns then, {now.median:.2f} ns now ({change:+.1%}, noise {limit:.1%})')
        slower += verdict == 'slower' and now.who == 'isthmus'
for name in sorted(set(old) ^ set(new)):
    print(f'only in {"the old" if name in old else "the new"}: {name}')
print(f'{counts["slower"]} slower, {counts["faster"]} faster, {counts["same"]} the same within noise')
sys.exit(slower > 0)
