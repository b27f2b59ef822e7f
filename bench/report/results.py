# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""Reads what Google Benchmark wrote (JSON, with repetitions): for report.py and compare.py."""
import json
import statistics


class Result:
    """One benchmark with one set of arguments: the times of its repetitions in nanoseconds, and its counters."""

    def __init__(self, name):
        parts = name.split('/')
        self.name = name
        self.part, self.what, self.who = (parts + ['', '', ''])[:3]
        self.arguments = [p for p in parts[3:] if p not in ('real_time', 'process_time', 'manual_time') and
                          not p.startswith(('repeats:', 'threads:', 'iterations:'))]
        # For who looks it up: what was measured, not how.
        self.key = '/'.join(p for p in parts if p not in ('real_time', 'process_time', 'manual_time', 'threads:1') and
                            not p.startswith(('repeats:', 'iterations:')))
        threads = [p for p in parts if p.startswith('threads:')]
        self.threads = int(threads[0].split(':')[1]) if threads else 1
        self.times = []
        self.counters = {}
        self.label = ''
        self.place = (0, 0)
        self.error = None

    @property
    def median(self):
        return statistics.median(self.times)

    @property
    def low(self):
        return min(self.times)

    @property
    def high(self):
        return max(self.times)

    @property
    def spread(self):
        """Half of what lies between the quartiles (or the extremes, of fewer than four), as a share of the median."""
        if len(self.times) < 2:
            return 0.0
        if len(self.times) < 4:
            return (self.high - self.low) / 2 / self.median
        quartiles = statistics.quantiles(self.times, n=4)
        return (quartiles[2] - quartiles[0]) / 2 / self.median


UNITS = {'ns': 1.0, 'us': 1e3, 'ms': 1e6, 's': 1e9}
OWN = {'name', 'family_index', 'per_family_instance_index', 'run_name', 'run_type', 'repetitions', 'repetition_index',
       'threads', 'iterations', 'real_time', 'cpu_time', 'time_unit', 'label', 'error_occurred', 'error_message',
       'aggregate_name', 'aggregate_unit', 'complexity', 'big_o', 'rms'}


def read(path):
    """The context, and results by name in the order of the file."""
    with open(path, encoding='utf-8') as file:
        document = json.load(file)
    results = {}
    for run in document['benchmarks']:
        if run.get('run_type', 'iteration') != 'iteration':
            continue
        result = results.setdefault(run['run_name'], Result(run['run_name']))
        # Repetitions come in random order; a family is one registered benchmark.
        result.place = (run['family_index'], run['per_family_instance_index'])
        result.label = run.get('label', '')
        if run.get('error_occurred'):
            result.error = run.get('error_message', 'failed')
            continue
        # Threads that share the work are compared by the clock on the wall, what times itself by that, all else by CPU time.
        time = run['real_time' if {'real_time', 'manual_time'} & set(run['run_name'].split('/')) else 'cpu_time']
        result.times.append(time * UNITS[run['time_unit']])
        for key, value in run.items():
            if key not in OWN and isinstance(value, (int, float)):
                result.counters.setdefault(key, []).append(value)
    order = sorted((r for r in results.values() if r.times or r.error), key=lambda r: r.place)
    return document['context'], {r.name: r for r in order}
