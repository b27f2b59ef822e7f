#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Draws what bench/run measured, by matplotlib; without it, says so and draws nothing.

usage: plots.py replay DIR REPLAY.json...     occupancy and latencies of each replayed recording, SVG
       plots.py pool-map MAP.json OUT.png     what lived in the client pool at some moments, a pixel for each page
"""
import json
import pathlib
import sys

try:
    import matplotlib.image
    import numpy
    matplotlib.use('svg')
    from matplotlib import pyplot, ticker
except ImportError:
    print('no plots: python3-matplotlib is not installed')
    sys.exit(0)

COLOURS = ['#0a7d4f', '#c2570c', '#3558c8']  # of the peers, in the order of the file
FIGURES = ['p50', 'p90', 'p99', 'p99.9', 'max']
BLOCK, GAP = 512, 8  # pages in a column of a map, and white between moments


def nanoseconds(value, _=None):
    for limit, unit in ((1e3, 'ns'), (1e6, 'us'), (1e9, 'ms')):
        if value < limit:
            return f'{value / limit * 1e3:.0f} {unit}'
    return f'{value / 1e9:.0f} s'


def occupancy(replay, path):
    figure, axes = pyplot.subplots(figsize=(9.6, 4.2), layout='constrained')
    axes.set_title(f'{replay["name"]}: occupancy of the client pool', loc='left')
    axes.fill_between(range(len(replay['live'])), replay['live'], color='#b9c9d9', label='live, in whole pages')
    # From the widest to the narrowest, so that lines in the same place all show.
    for i, (peer, free) in reversed(list(enumerate(replay['largest_free'].items()))):
        axes.plot(free, color=COLOURS[i], linewidth=1.2 + 0.9 * i, label=f'longest free run, {peer}')
    axes.set(xlim=(0, len(replay['live']) - 1), ylim=(0, replay['client_size']), xticks=[],
             yticks=[replay['client_size'] // 4 * i for i in range(5)],
             xlabel=f'recorded order, {replay["steps"]} steps from left to right')
    axes.yaxis.set_major_formatter(lambda value, _: f'{value / 1024:.0f} KiB')
    axes.grid(axis='y', color='#dddddd')
    axes.legend(frameon=False, fontsize='small')
    figure.savefig(path)
    pyplot.close(figure)


def latency(replay, mode, path):
    kinds = replay['modes'][mode]
    rows = (len(kinds) + 2) // 3
    figure, panels = pyplot.subplots(rows, 3, figsize=(9.9, 0.64 + 2.5 * rows), layout='constrained', squeeze=False)
    for panel in panels.flat[len(kinds):]:
        panel.axis('off')
    for panel, (kind, peers) in zip(panels.flat, kinds.items()):
        for i, (peer, figures) in enumerate(peers.items()):
            median, low, high = zip(*(figures[f] for f in FIGURES)) if figures else ((), (), ())
            below, above = [m - l for m, l in zip(median, low)], [h - m for m, h in zip(median, high)]
            # Side by side, or the ranges of the peers would hide each other.
            panel.errorbar([x + 0.08 * (i - 1) for x in range(len(median))], [max(m, 1) for m in median], yerr=(below, above),
                           color=COLOURS[i], marker='.', elinewidth=1, label=peer)
        panel.set_yscale('log')
        panel.set_title(kind, loc='left', fontsize='medium')
        panel.set_xticks(range(len(FIGURES)), FIGURES, fontsize='small')
        panel.yaxis.set_major_locator(ticker.LogLocator())
        panel.yaxis.set_major_formatter(nanoseconds)
        panel.grid(axis='y', color='#dddddd')
    figure.suptitle(f'{replay["name"]}: latency, {mode}; medians of {replay["repeat"]} repetitions, bars from lowest to highest',
                    x=0.01, ha='left', fontsize='medium')
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='upper right', ncol=len(labels), frameon=False)
    figure.savefig(path)
    pyplot.close(figure)


def replays(directory, *paths):
    for path in paths:
        replay = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
        base = f'{directory}/{replay["name"]}'
        occupancy(replay, f'{base}-occupancy.svg')
        for mode in replay['modes']:
            latency(replay, mode, f'{base}-latency-{"single" if mode == "one thread" else "multi"}.svg')
    print(f'\nplots: {directory}')


def pool_map(path, target):
    document = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
    columns = document['pages'] // BLOCK
    # Where the pool begins: this benchmark's pool is aligned to its blocks.
    base = min(run[0] for moment in document['moments'] for run in moment['runs']) // BLOCK * BLOCK
    white, free, shades = (255, 255, 255), (236, 240, 244), ((38, 84, 124), (120, 164, 200))
    pixels = []
    for moment in document['moments']:
        pages = [free] * (columns * BLOCK)
        for i, (first, count) in enumerate(moment['runs']):
            end = min(first - base + count, len(pages))
            pages[first - base:end] = [shades[i % 2]] * (end - (first - base))
        pixels += [[pages[column * BLOCK + row] for column in range(columns)] for row in range(BLOCK)] + [[white] * columns] * GAP
    matplotlib.image.imsave(target, numpy.array(pixels, dtype='uint8'))
    print('pool map: ' + ', '.join(moment['moment'] for moment in document['moments']) + f': {target}')


COMMANDS = {'replay': replays, 'pool-map': pool_map}

if len(sys.argv) < 4 or sys.argv[1] not in COMMANDS:
    sys.exit(__doc__)
COMMANDS[sys.argv[1]](*sys.argv[2:])
