#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Prints the figures of a run of bench-suites, and judges them by goals.toml: all ratios are of that run.

usage: goals.py [--goals-only] RESULTS.json [FILTER]

FILTER is a regular expression on the names of the benchmarks. A line for each goal: what is measured, the median of the figure with
the lowest and the highest of the repetitions, the goal, and whether it is met.
"""
import itertools
import pathlib
import re
import statistics
import sys
import tomllib

import results

UNITS = {'ns': 1, 'us': 1e-3, 'ms': 1e-6}


def number(value):
    return f'{value:.2f}' if abs(value) < 10 else f'{value:.1f}' if abs(value) < 100 else f'{value:,.0f}'


def values_of(found, name):
    """What the repetitions gave: times in ns, or a counter; nothing if it was not measured."""
    name, _, counter = name.partition('#')
    result = found.get(name)
    return (result.counters.get(counter, []) if counter else result.times) if result else []


def expanded(goal, any_of):
    """A goal for each combination of the values of `each`."""
    words = goal.get('each', {})
    for combination in itertools.product(*words.values()):
        of = dict(zip(words, combination))

        def fill(text, more=of):
            return re.sub(r'\{(\w+)\}', lambda m: str(more.get(m[1], m[0])), text)

        beside = [fill(name, {**of, word: value}) for name in goal.get('beside', [])
                  for word, value in next(([(w, v) for v in any_of[w]] for w in any_of if '{' + w + '}' in name), [('', '')])]
        yield {**goal, 'what': fill(goal['what']), 'figure': fill(goal['figure']), 'beside': beside}


def measured(found, goal):
    """The median and all repetitions of what the goal is about, or None if that is not in the results."""
    ours = values_of(found, goal['figure'])
    if not ours:
        return None
    unit = goal.get('unit', 'ns' if '#' not in goal['figure'] else '')
    if not goal['beside']:
        if unit == 'M/s':
            ours = [1e3 / v for v in ours]
        scale = UNITS.get(unit, 1) if '#' not in goal['figure'] else 1
        return statistics.median(ours) * scale, [v * scale for v in ours], unit
    others = [values for values in (values_of(found, name) for name in goal['beside']) if values]
    if not others:
        return None
    best = min(others, key=statistics.median)
    if not statistics.median(best):
        return None
    return statistics.median(ours) / statistics.median(best), [a / b for a, b in zip(ours, best) if b], 'x'


def judge(found, pattern='', table=pathlib.Path(__file__).with_name('goals.toml')):
    """A tuple for each goal that was measured: what, median, lowest, highest, unit, the goal in words, whether it is met."""
    document = tomllib.loads(table.read_text(encoding='utf-8'))
    for goal in (g for raw in document['goal'] for g in expanded(raw, document['any'])):
        if not re.search(pattern, goal['figure']):
            continue
        figure = measured(found, goal)
        if figure is None:
            continue
        median, all_of_them, unit = figure
        met = median <= goal['most'] if 'most' in goal else median >= goal['least']
        sign = f'<= {goal["most"]}' if 'most' in goal else f'>= {goal["least"]}'
        yield goal['what'], median, min(all_of_them), max(all_of_them), unit, sign, met


def goal_lines(found, pattern=''):
    for what, median, low, high, unit, sign, met in judge(found, pattern):
        figure = f'{number(median)} {unit}'.strip()
        yield f'  {"met   " if met else "missed"}  {figure:>12} [{number(low)}..{number(high)}]'.ljust(44) + f' goal {sign:<9} {what}'


def figure_lines(found, pattern=''):
    """The benchmarks by what they measure; ns, and what they count besides."""
    groups = {}
    for result in (r for r in found.values() if re.search(pattern, r.key)):
        groups.setdefault((result.part, result.what), []).append(result)
    for (part, what), rows in groups.items():
        yield f'\n{part}/{what}, ns, medians of {max(len(r.times) for r in rows)} [lowest..highest]'
        width = max(len(words_of(r)) for r in rows)
        yield from (f'  {words_of(r):<{width}} {figures_of(r)}'.rstrip() for r in rows)


def words_of(result):
    return ' '.join([result.who] + result.arguments + [f'threads:{result.threads}'] * (result.threads > 1))


def figures_of(result):
    if result.error:
        return result.error
    counters = ', '.join(f'{key} {number(statistics.median(values))}' for key, values in result.counters.items())
    figure = f'{number(result.median):>12} [{number(result.low)}..{number(result.high)}]'
    return f'{figure:<36} {counters}'


def main(arguments):
    goals_only = '--goals-only' in arguments
    arguments = [a for a in arguments if a != '--goals-only']
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    found = {r.key: r for r in results.read(arguments[0])[1].values()}
    if not goals_only:
        print('\n'.join(figure_lines(found, *arguments[1:])))
    goals = list(goal_lines(found, *arguments[1:]))
    if goals:
        print('\ngoals: the median [lowest..highest] over the repetitions; ratios of the same run')
        print('\n'.join(goals))


if __name__ == '__main__':
    main(sys.argv[1:])
