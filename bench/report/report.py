#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Makes one HTML page, complete in itself, of a run of bench/run suites and the texts of the other benchmarks.

usage: report.py RESULTS.json OUT.html [TITLE=FILE]...

Each TITLE=FILE is appended: a text as it is, a PNG or SVG as a picture.
"""
import base64
import html
import math
import pathlib
import statistics
import sys

import goals
import results

COLOURS = {'isthmus': '#0b6e99', 'floor': '#9aa5ab'}
OTHERS = ['#c05a2b', '#8a6d3b', '#5b7f3a', '#7a5195', '#b03a6b']

TITLES = {
    'driver': ('Driver pool', 'Messages, beside general allocators. "floor" is a bare push and pop of a per-CPU magazine.'),
    'latency': ('Latency of single operations', 'An allocation and its free, each timed. What reading the clock costs is taken '
                'off; 0 means below what it can tell apart.'),
    'client': ('Client pool', 'Page runs over 1 GiB of untouched address space, beside allocators behind one mutex.'),
    'replay': ('Recorded OP-TEE traffic', 'What the Linux drivers really asked for, replayed over a carve-out of 2 MiB with a driver pool of '
               '16 KiB; time of an allocation or a free, each timed by itself. One worker follows the recorded order; several '
               'are the recorded CPUs. Whatever is refused is not in the times, and is said beside them: a peer that refuses has '
               'not done the work. bench/traces/README.md describes the recordings.'),
    'tee': ('Calls of a TEE driver', 'What such a driver asks of shared memory in a call, without the world switch. isthmus translates '
            'every address that crosses, for peers a constant is added. "floor" writes and reads one message that is always there, and '
            'clears or maps the pages where there are any.'),
    'map': ('Address translation', 'Physical to virtual addresses, in the carve-out and of registered pages.'),
    'pamap': ('PA map', 'The map behind translation by itself: a million mappings, or ten. "floor" is a chase of pointers on a random cycle, or '
              'a subtraction within bounds.'),
    'mapping': ('Registration of shared memory', '"floor" is mmap and munmap of the same pages and nothing else.'),
    'guest': ('Addresses of a guest', 'Beside tables of its regions that a back end would search itself.'),
}
WHATS = {'pair': 'Allocate and free at once', 'burst': '1000 allocated, freed in random order (per object)',
         'scaling': 'Allocate and free at once, several threads (time on the wall for one, all together)',
         'refusal': 'A request that cannot be met', 'translate': 'Physical to virtual, one of many mappings',
         'translate_pool': 'Physical to virtual, in the carve-out', 'register': 'Register and unregister 64 KiB of a file',
         'register_mapped': 'Register and unregister memory that is mapped already',
         'scattered': 'Register and unregister scattered pages', 'scattered_by_two': 'The same by two threads (time on the wall, both together)',
         'stretch_over': 'One stretch more over registered pages', 'growth': 'The last thousand of very many',
         'beside_a_hostile_guest': 'Registration while another guest does its worst', 'end_of_a_guest': 'The end of a guest, each mapping',
         'recorded': 'Recorded registrations, mean of all operations', 'pool_size': 'Pairs in a small pool and a larger one',
         'pass': 'Allocated by one thread, freed by another', 'swap': 'A free and an allocation, 8 threads, 1000 live each (CPU time)',
         'bulk': 'Messages in bulk, each', 'bulk_by_two': 'The same by two threads (time on the wall, both together)',
         'churn': 'A free and an allocation of 1 to 64 pages, half of the pool in use (time on the wall, all together)',
         'refusal_when_full': 'A request of one page when none is free', 'merging': 'Fill, churn, free all (how long; and what comes back)',
         'usable': 'Requests until the first refusal (how long; and what share of the pool)', 'zeroed': 'Zeroed memory, beside the zeroing alone',
         'bookkeeping': 'A pool made, filled, emptied (how long; and what it keeps)', 'allocate': 'Client API: allocate and release',
         'four_temporary': 'Client API: invoke with 4 temporary references', 'look_up': 'Shared memory by id, a physical address',
         'pair_beside_a_stopped_thread': 'The same while another thread is stopped in the middle of an operation',
         'a_xtest_regression': 'The regression suite of OP-TEE', 'b_session': 'Sessions',
         'd_register': 'Registered buffers (the messages about them; bench/run mapping registers)',
         'sa_xtest_regression_static': 'The regression suite of OP-TEE, all client memory from the pool',
         'sb_session_static': 'Sessions, all client memory from the pool',
         'se_concurrent_static': 'Four streams at once, all client memory from the pool',
         'call': 'A call, its references to buffers, and a callback',
         'calls': 'Calls of several threads (time on the wall for one, all together)',
         'session': 'Open, ten calls, close', 'buffer': 'A zeroed client buffer, a call with it, its end',
         'temporary': 'Memory registered by a page list for one call',
         'freed_elsewhere': 'Allocated here, freed on another CPU'}

REFUSED = 'refused'


def colour(who, peers):
    return COLOURS.get(who) or OTHERS[peers.index(who) % len(OTHERS)]


def figure(value):
    return f'{value:.2f}' if value < 10 else f'{value:.1f}' if value < 100 else f'{value:,.0f}'


def middle(values):
    return sorted(values)[len(values) // 2]


def refusals(row):
    """What to say of them beside a time; the only counter that is no time."""
    refused = middle(row.counters.get(REFUSED, [0]))
    return f', {refused:,.0f} refused' if refused else ''


def bars(rows, peers, name=lambda row: row.who):
    """Horizontal bars with their lowest and highest."""
    most = max(r.high for r in rows)
    width, left, line = 720, 210, 24
    room = 190 if any(refusals(r) for r in rows) else 90
    out = [f'<svg viewBox="0 0 {width} {line * len(rows) + 6}" role="img">']
    for i, row in enumerate(rows):
        y, scale = i * line + 4, (width - left - room) / most
        out.append(f'<text x="{left - 8}" y="{y + 14}" class="who">{html.escape(name(row))}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{max(1, row.median * scale):.1f}" height="{line - 7}" '
                   f'fill="{colour(row.who, peers)}"/>')
        out.append(f'<path d="M{left + row.low * scale:.1f} {y + 8.5}H{left + row.high * scale:.1f}" class="spread"/>')
        out.append(f'<text x="{width - room + 7}" y="{y + 14}">{figure(row.median)} ns{refusals(row)}</text>')
    return '\n'.join(out + ['</svg>'])


def linear_axis(least, most):
    """Round numbers from 0 up, and where a value lies between 0 and 1."""
    step = next(s for s in (f * 10 ** p for p in range(-3, 12) for f in (1, 2, 5)) if most / s <= 5)
    top = step * math.ceil(most / step)
    return [step * i for i in range(round(top / step) + 1)], lambda value: value / top


def logarithmic_axis(least, most):
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    ticks = [f * 10.0 ** p for p in range(low, high) for f in (1, 2, 5)] + [10.0 ** high]
    while ticks[1] <= least:
        ticks.pop(0)
    while ticks[-2] >= most:
        ticks.pop()
    return ticks, lambda value: math.log(value / ticks[0]) / math.log(ticks[-1] / ticks[0])


def apart(places, gap, bottom):
    """The places, sorted, moved as little as will do for a gap between neighbours, none below the bottom."""
    moved = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], bottom - gap * (len(moved) - 1 - i))
    return moved


def curves(rows, peers, x_of, x_name):
    """A line for each subject over the numbers on the x axis, evenly spaced; logarithmic upwards where some are far apart."""
    xs = sorted({x_of(r) for r in rows})
    least, most = min(r.low for r in rows), max(r.high for r in rows)
    width, height, left, bottom = 720, 300, 70, 40
    place = {x: left + (width - left - 190) * (i / max(1, len(xs) - 1)) for i, x in enumerate(xs)}
    ticks, share = (logarithmic_axis if most > 10 * least else linear_axis)(least, most)
    out = [f'<svg viewBox="0 0 {width} {height}" role="img">']

    def y(value):
        return height - bottom - (height - bottom - 14) * share(value)

    for value in ticks:
        out.append(f'<path d="M{left} {y(value):.1f}H{width - 185}" class="grid"/>'
                   f'<text x="{left - 6}" y="{y(value) + 4:.1f}" class="who">{value:,.6g}</text>')
    for x in xs:
        out.append(f'<text x="{place[x]:.1f}" y="{height - bottom + 18}" class="mid">{x:,}</text>')
    out.append(f'<text x="{(left + width - 190) / 2}" y="{height - 4}" class="mid">{x_name}; ns</text>')
    ends = []
    for who in dict.fromkeys(r.who for r in rows):
        mine = sorted((r for r in rows if r.who == who), key=x_of)
        points = ' '.join(f'{place[x_of(r)]:.1f},{y(r.median):.1f}' for r in mine)
        out.append(f'<polyline points="{points}" stroke="{colour(who, peers)}" class="curve"/>')
        for r in mine:
            out.append(f'<path d="M{place[x_of(r)]:.1f} {y(r.low):.1f}V{y(r.high):.1f}" class="spread"/>')
        ends.append((y(mine[-1].median), who))
    ends.sort()
    for at, who in zip(apart([end for end, _ in ends], 15, height - bottom), (who for _, who in ends)):
        out.append(f'<text x="{width - 178}" y="{at + 4:.1f}" fill="{colour(who, peers)}">{html.escape(who)}</text>')
    return '\n'.join(out + ['</svg>'])


TAILS = ['p50', 'p99', 'p99.9', 'max']
TIMES = TAILS + ['driver pool', 'client pool', 'translation']  # the counters that are nanoseconds and do not say so


def tails(rows):
    """A line for each row from its median to its longest, on a logarithmic scale."""
    rows = [r for r in rows if all(t in r.counters for t in TAILS)]
    if not rows:
        return ''
    width, left, line = 720, 210, 30
    most = max(max(r.counters['max']) for r in rows)

    def x(value):
        return left + (width - left - 40) * math.log10(max(value, 1)) / math.log10(max(most, 10))

    out = [f'<svg viewBox="0 0 {width} {line * len(rows) + 46}" role="img">']
    for power in range(0, int(math.log10(most)) + 1):
        label = ['1 ns', '10', '100', '1 &micro;s', '10', '100', '1 ms', '10', '100', '1 s', '10'][power]
        out.append(f'<path d="M{x(10 ** power):.1f} 4V{line * len(rows) + 8}" class="grid"/>'
                   f'<text x="{x(10 ** power):.1f}" y="{line * len(rows) + 24}" class="mid">{label}</text>')
    for i, row in enumerate(rows):
        y = i * line + 18
        values = [middle(row.counters[t]) for t in TAILS]
        what = heading(row.arguments) + (f', {row.threads} threads' if row.threads > 1 else '')
        out.append(f'<text x="{left - 8}" y="{y + 4}" class="who">{html.escape(what)}</text>'
                   f'<path d="M{x(values[0]):.1f} {y}H{x(values[-1]):.1f}" class="spread"/>')
        for value, shade in zip(values, ['#0b6e99', '#5b7f3a', '#c05a2b', '#b03a6b']):
            out.append(f'<circle cx="{x(value):.1f}" cy="{y}" r="5" fill="{shade}"/>')
    at = left
    for tail, shade in zip(TAILS, ['#0b6e99', '#5b7f3a', '#c05a2b', '#b03a6b']):
        out.append(f'<circle cx="{at}" cy="{line * len(rows) + 38}" r="5" fill="{shade}"/>'
                   f'<text x="{at + 9}" y="{line * len(rows) + 42}">{tail}</text>')
        at += 70
    return '\n'.join(out + ['</svg>'])


def table(rows):
    counters = sorted(dict.fromkeys(key for r in rows for key in r.counters), key=lambda c: (TAILS + [c]).index(c))
    out = ['<div class="wide"><table><tr><th>who</th><th>what</th><th>threads</th><th>median, ns</th><th>lowest to highest</th>'
           + ''.join(f'<th>{html.escape(c)}{", ns" if c in TIMES else ""}</th>' for c in counters) + '</tr>']
    for r in rows:
        what = heading(r.arguments) + (f' ({r.label})' if r.label else '')
        cells = f'<td>{html.escape(r.who)}</td><td>{html.escape(what)}</td><td>{r.threads}</td>'
        if r.error:
            out.append(f'<tr>{cells}<td colspan="{2 + len(counters)}" class="none">{html.escape(r.error)}</td></tr>')
            continue
        cells += f'<td>{figure(r.median)}</td><td>{figure(r.low)} to {figure(r.high)}</td>'
        for c in counters:
            value = middle(r.counters[c]) if c in r.counters else None
            cells += f'<td>{"" if value is None else f"{value:,.0f}" if c == REFUSED else figure(value)}</td>'
        out.append(f'<tr>{cells}</tr>')
    return '\n'.join(out + ['</table></div>'])


def heading(arguments):
    """Words for what benchmarks are called with: "bytes 64", "one worker"."""
    return ', '.join(f'{name} {number}' if name != 'workers' else 'one worker' if number == '1' else f'{number} workers'
                     for name, number in (a.split(':') for a in arguments))


def number_of(result):
    return int(result.arguments[0].split(':')[1]) if result.arguments else 0


def comparable(rows):
    """Groups of rows that did the same work, all of it: by part, what, arguments and threads."""
    groups = {}
    for r in rows:
        if not r.error and r.who != 'floor' and not refusals(r):
            groups.setdefault((r.part, r.what, tuple(r.arguments), r.threads), []).append(r)
    return groups


def in_short(rows):
    """isthmus beside the fastest of the others."""
    out = ['<h2>In short</h2><p>isthmus beside the fastest other that did all of the work; below 1, isthmus is faster. Floors '
           'and spread are further down.</p><table class="short"><tr><th>what</th><th>with</th><th>isthmus, ns</th>'
           '<th>fastest other</th><th>ns</th><th>ratio</th></tr>']
    before = (None, None)
    for (part, what, arguments, threads), group in comparable(rows).items():
        ours = next((r for r in group if r.who == 'isthmus'), None)
        other = min((r for r in group if r.who != 'isthmus'), key=lambda r: r.median, default=None)
        if not ours or not other:
            continue
        if part != before[0]:
            out.append(f'<tr><th colspan="6">{TITLES.get(part, (part, ""))[0]}</th></tr>')
        name = WHATS.get(what, what) if (part, what) != before else ''
        before = (part, what)
        words = ', '.join([heading(arguments)] * bool(arguments) + [f'{threads} threads'] * (threads > 1))
        out.append(f'<tr><td>{html.escape(name)}</td><td>{html.escape(words)}</td><td>{figure(ours.median)}</td>'
                   f'<td>{html.escape(other.who)}</td><td>{figure(other.median)}</td><td>{ours.median / other.median:.2f}</td></tr>')
    return '\n'.join(out + ['</table>'])


def goal_table(rows):
    out = ['<h2>Goals</h2><p>Medians, with the lowest and the highest of the repetitions; ratios (x) are of this run. The table is '
           'bench/report/goals.toml.</p><table class="short"><tr><th>what</th><th></th><th>figure</th><th>lowest to highest</th><th>goal</th></tr>']
    for what, median, low, high, unit, sign, met in goals.judge({r.key: r for r in rows}):
        out.append(f'<tr><td>{html.escape(what)}</td><td>{"met" if met else "missed"}</td><td>{goals.number(median)} {unit}</td>'
                   f'<td>{goals.number(low)} to {goals.number(high)}</td><td>{html.escape(sign)}</td></tr>')
    return '\n'.join(out + ['</table>'])


def section(part, rows):
    title, text = TITLES.get(part, (part, ''))
    peers = [w for w in dict.fromkeys(r.who for r in rows) if w not in COLOURS]
    out = [f'<h2>{title}</h2><p>{text}</p>']
    for what in dict.fromkeys(r.what for r in rows):
        mine = [r for r in rows if r.what == what]
        good = [r for r in mine if not r.error]
        out.append(f'<h3>{html.escape(WHATS.get(what, what))}</h3>')
        if good and len({r.threads for r in good}) > 1 and part != 'latency':
            out.append(curves(good, peers, lambda r: r.threads, 'threads'))
        elif good and what == 'translate':
            out.append(curves(good, peers, number_of, 'mappings'))
        elif good and part == 'latency':
            out.append(tails(good) or bars(good, peers, lambda r: r.label))
        elif good:
            for arguments in sorted({tuple(r.arguments) for r in good}, key=lambda a: [int(x.split(':')[1]) for x in a]):
                if arguments:
                    out.append(f'<h4>{html.escape(heading(arguments))}</h4>')
                out.append(bars([r for r in good if tuple(r.arguments) == arguments], peers))
        out.append(f'<details{" open" if part == "latency" else ""}><summary>figures</summary>{table(mine)}</details>')
    return '\n'.join(out)


def appendix(title, path):
    data = pathlib.Path(path).read_bytes()
    if path.endswith('.png'):
        body = f'<img alt="{html.escape(title)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
    elif path.endswith('.svg'):
        body = f'<img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{base64.b64encode(data).decode()}">'
    else:
        body = f'<pre>{html.escape(data.decode())}</pre>'
    return f'<h2>{html.escape(title)}</h2>{body}'


STYLE = '''
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2529; background: #fff; max-width: 860px; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem; border-bottom: 2px solid #0b6e99 } h3 { margin-top: 2rem } h4 { margin: 1rem 0 .2rem; color: #56646b; font-weight: 600 }
svg { width: 100%; height: auto; font-size: 13px } .who { text-anchor: end } .mid { text-anchor: middle }
.spread { stroke: #1c2529; stroke-width: 1.6; fill: none } .grid { stroke: #e1e6e8 } .curve { fill: none; stroke-width: 2.4 }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin: .5rem 0 }
td, th { padding: .15rem .7rem; white-space: nowrap; border-bottom: 1px solid #e1e6e8; text-align: right } td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left }
.short td:first-child { white-space: normal } .short th[colspan] { text-align: left; padding-top: .8rem } .wide { overflow-x: auto } .none, summary { color: #56646b } summary { cursor: pointer } img { max-width: 100% } .warn { background: #fff3cd; padding: .5rem 1rem }
pre { font-size: 12.5px; overflow-x: auto; background: #f5f7f8; padding: .8rem }
'''


def main(source, target, extras):
    context, found = results.read(source)
    rows = list(found.values())
    if not any(r.times for r in rows):
        sys.exit(f'{source}: no single repetitions there; --benchmark_report_aggregates_only leaves them out')
    repetitions = max((len(r.times) for r in rows), default=0)
    noise = float(context.get('noise_percent', 0))
    spread = statistics.median(r.spread for r in rows if r.times)
    out = ['<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
           f'<title>isthmus, measured</title><style>{STYLE}</style>',
           f'<h1>isthmus, measured</h1><p>{html.escape(context["date"])}. Medians of {repetitions} repetitions in random '
           'order; the thin line over a bar or point goes from the lowest to the highest. Shorter is better.</p>']
    if noise > 5 or spread > 0.05:
        out.append(f'<p class="warn">This machine was noisy: before the run, equal work took {noise:.1f} % longer than the median in '
                   f'one case of ten; in the run, half of all figures spread by more than {spread:.1%} to either side. Differences '
                   'of that size mean nothing.</p>')
    out.append(in_short(rows))
    out.append(goal_table(rows))
    for part in dict.fromkeys(r.part for r in rows):
        out.append(section(part, [r for r in rows if r.part == part]))
    out += [appendix(*extra.split('=', 1)) for extra in extras]
    out.append('<h2>Machine</h2><table>')
    for key, value in context.items():
        if key not in ('caches', 'executable', 'library_build_type', 'json_schema_version'):
            out.append(f'<tr><td>{html.escape(key)}</td><td>{html.escape(str(value))}</td></tr>')
    for cache in context.get('caches', []):
        out.append(f'<tr><td>cache</td><td>L{cache["level"]} {html.escape(cache["type"])}, {cache["size"] // 1024} KiB, '
                   f'shared by {cache["num_sharing"]}</td></tr>')
    out.append('</table></html>')
    pathlib.Path(target).write_text('\n'.join(out) + '\n', encoding='utf-8')


if len(sys.argv) < 3:
    sys.exit(__doc__)
main(sys.argv[1], sys.argv[2], sys.argv[3:])
