#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""The faults that an allocator between two worlds must survive, and what shows that this one does: doc/evidence.md.

usage: tests/evidence.py BUILD-FOLDER       runs the tests, prints the page; exit status 1 if one does not hold
       tests/evidence.py --check            every test that is named is there
       tests/evidence.py --note NAME TEXT   a figure of something that takes longer, for the page; NAME one of LONGER

`tests/run --evidence` writes the page. ISTHMUS_TEST_SCALE says how much is done, in percent.
"""
import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTES = ROOT / 'build-logs' / 'evidence'
LONGER = {
    'arm64': 'the tests on ARM64, sequences in use (`tests/arm64/run`)',
    'coverage': 'what the tests and corpora run of `src/` (`tests/coverage`)',
    'everything': 'all operations at once (`stress/everything.c`)',
    'fuzz': 'fuzzing (`fuzz/run --all`)',
}


class Test:
    """A program (its source below tests/), the cmocka tests of it that count (none: all), and figures to pick from its output."""

    def __init__(self, source, functions=(), figure=None, args=(), program=None, env=None):
        self.source, self.functions, self.figure, self.args, self.env = source, functions, figure, args, env or {}
        self.program = program or pathlib.Path(source).stem.replace('test_', 'test-', 1)

    def name(self):
        return f'`{self.source}`' + (': ' + ', '.join(f'`{name}`' for name in self.functions) if self.functions else '')


NO_RSEQ = {'GLIBC_TUNABLES': 'glibc.pthread.rseq=0'}
FREES = r'(\d+) frees.*\n(obeyed twice \d+)'

FAULTS = [
    ('A second free of the same memory: by the holder, a copy, the end of its owner, at the same instant too',
     [Test('unit/test_pools.c', ['misuse']), Test('unit/test_bulk.c', ['freed_already']),
      Test('stress/torture_free.c', figure=FREES, program='torture-free-0'),
      Test('stress/test_threads.c', ['double_free_by_all_at_once'])]),
    ('A free of what was never handed out: interior, unaligned, wild',
     [Test('unit/test_pools.c', ['every_bit_counts', 'handles_that_name_no_pool']),
      Test('unit/test_bulk.c', ['foreign_and_interior'])]),
    ('A free at the wrong pool, manager or owner',
     [Test('unit/test_pools.c', ['handles_of_the_other_pool']), Test('unit/test_manager.c', ['handles_that_outlive_their_manager'])]),
    ('Use after free: of memory (debuggers see it), of what a look-up found',
     [Test('stress/test_pamap_torture.c', figure=r'(\d+) lookups.*(torn \d+, stale \d+, gap \d+)', program='test-pamap-torture'),
      Test('unit/test_hardened.c', ['stale_copies'])]),
    ('An overflow into the neighbour: nothing of the allocator lies in the pool', [Test('unit/test_platform.c',
     ['memory_between_guard_pages'])]),
    ('A peer that scribbles over everything it shares',
     [Test('stress/test_scribble.c', ['a_hostile_peer_changes_nothing'], figure=r'(\d+ calls while \d+ words were scribbled over)',
           env=NO_RSEQ), Test('unit/test_tee_msg.c')]),
    ('A thread stopped or killed in the middle of an operation',
     [Test('stress/test_stop_everywhere.c', figure=r'(\d+) instructions, stopped', program='test-stop-everywhere'),
      Test('stress/test_kill_everywhere.c', figure=r'stopped at (\d+), killed at each \d+th, (\d+) times', program='test-kill-everywhere'),
      Test('stress/test_freeze.c', ['nobody_waits_for_a_stopped_thread'], figure=r'(\d+ stops, workers blocked \(must be 0\): 0)')]),
    ('fork', [Test('unit/test_fork.c', ['a_child_is_refused', 'a_child_has_other_keys']),
              Test('unit/test_rcu.c', ['fork_between_releases'])]),
    ('A signal handler that allocates, in the middle of an allocation',
     [Test('stress/test_signals.c', ['a_handler_interrupts_allocate_and_free'],
           figure=r'(\d+ signals handled, errors \(must be 0\): 0)')]),
    ('A thread that changes CPUs; more CPUs than were announced; CPUs that go off line (in `tests/arm64/run`)',
     [Test('stress/torture_percpu.c', figure=r'(\d+ operations, \d+ moves, \d+ drains, \d+ aborts)\n(in two places 0.*lost 0)',
           program='torture-percpu-0'), Test('unit/test_percpu.c', ['more_cpus_than_it_is_said'])]),
    ('No memory for bookkeeping, no mapping, descriptor, thread or barrier: each call in turn',
     [Test('unit/test_faults.c', figure=r'(\w+[\w ]*, (?:the|from the) nth(?: on)?: \d+ calls)'),
      Test('unit/test_system_limits.c')]),
    ('Counts and sizes at every limit', [Test('unit/test_limits.c', ['views', 'configurations', 'quarantines']),
                                         Test('unit/test_provider_limits.c')]),
    ('Sums that wrap', [Test('unit/test_manager.c', ['sizes_that_are_zero_or_wrap', 'carve_outs_that_end_at_the_top']),
                        Test('unit/test_view.c', ['slices_that_are_empty_or_outside'])]),
    ('A number that comes round (ABA): generations of handles, of the records under the buddy',
     [Test('stress/torture_buddy.c', figure=r'(\d+ operations).*(two owners 0, lost runs 0)', program='torture-buddy-0')]),
    ('A reader that stays in its section', [Test('unit/test_waits.c', ['a_reader_that_stays']),
                                            Test('stress/test_pamap_life.c', ['a_reader_that_stays'], program='test-pamap-life')]),
    ('A guest that dies while its memory is looked up, registered, referenced',
     [Test('stress/test_mapping_torture.c', figure=r'(\d+ guests destroyed).*(wrong 0, gap 0, late 0)',
           program='test-mapping-torture'), Test('unit/test_owner.c', ['death_during_registration', 'death_with_references'])]),
    ('Foreign memory that changes between check and use',
     [Test('unit/test_wire.c', ['hostile_peer'], figure=r'(\d+ registered, \d+ refused)'),
      Test('unit/test_hostile.c', ['an_array_that_changes'])]),
    ('A missing order on ARM64: models of C11 and herd7, `tests/model` and doc/memory-orders.md', []),
    ('No restartable sequences', [Test('unit/test_pools.c', [], env=NO_RSEQ), Test('stress/test_threads.c', ['driver_pool'],
                                                                                    env=NO_RSEQ)]),
]


def run(folder, test):
    """What came of it: (holds, figure)."""
    program = folder / 'tests' / test.program
    command = [program, *test.args]
    if test.program == 'test-pamap-life':
        command.append(next((folder / 'src').glob('libisthmus.so.*.*.*')))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False,
                          env={**os.environ, **test.env}, timeout=600)
    holds = done.returncode == 0
    for function in test.functions:
        holds = holds and f'[       OK ] {function}\n' in done.stdout
    figures = []
    if test.figure:
        figures = [' '.join(found) if isinstance(found, tuple) else found for found in re.findall(test.figure, done.stdout)]
        if test.program == 'test-stop-everywhere':
            figures = [f'{len(figures)} pairs of operations, {sum(int(number) for number in figures)} instructions']
        if test.program == 'test-kill-everywhere':
            counts = [re.findall(r'\d+', figure) for figure in figures]
            figures = [f'{len(counts)} operations, stopped at {sum(int(stops) for stops, _ in counts)} instructions, '
                       f'killed {sum(int(kills) for _, kills in counts)} times']
        if test.program == 'test-faults':
            figures = ['; '.join(figures)]
        holds = holds and bool(figures)
    if not holds:
        print(done.stdout[-3000:], file=sys.stderr)
    return holds, '; '.join(figures[:1])


def commit():
    said = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty', '--abbrev=10'], capture_output=True, text=True, check=False)
    return said.stdout.strip() or 'unknown'


def notes():
    for name in LONGER:
        if (NOTES / name).is_file():
            yield name, *(NOTES / name).read_text().strip().split('\t', 2)


def page(folder):
    broken = 0
    today = datetime.date.today().isoformat()
    print('# What shows it\n')
    print('The faults that an allocator between two worlds must survive, the tests that provoke them, and what came of it. Written by')
    print(f'`tests/run --evidence`: do not edit. {today}, commit {commit()}, {os.cpu_count()} CPUs of {platform.machine()}, '
          f'Linux {platform.release().split("-")[0]}.\n')
    print('| | fault | tests, below `tests/` | |')
    print('|---|---|---|---|')
    for number, (fault, tests) in enumerate(FAULTS, 1):
        names, results = [], []
        for test in tests:
            holds, figure = run(folder, test)
            broken += not holds
            names.append(test.name())
            results.append((figure or 'holds') if holds else '**does not hold**')
        print(f'| {number} | {fault} | {"; ".join(names) or "-"} | {"; ".join(dict.fromkeys(results)) or "see there"} |', flush=True)
    longer = list(notes())
    if longer:
        print('\nWhat takes longer, each as of its own day:\n\n| what | figure | date | commit |\n|---|---|---|---|')
        for name, when, where, text in longer:
            print(f'| {LONGER[name]} | {text} | {when} | {where} |')
    return broken


def check():
    problems = []
    for fault, tests in FAULTS:
        for test in tests:
            path = ROOT / 'tests' / test.source
            if not path.is_file():
                problems.append(f'{fault}: no {test.source}')
                continue
            for function in test.functions:
                if f'cmocka_unit_test({function}' not in path.read_text() and not re.search(rf'\b{function}\b', path.read_text()):
                    problems.append(f'{fault}: {test.source} has no {function}')
    print('\n'.join(problems) or f'{len(FAULTS)} faults, {sum(len(tests) for _, tests in FAULTS)} tests')
    return len(problems)


def note(name, text):
    NOTES.mkdir(parents=True, exist_ok=True)
    (NOTES / name).write_text(f'{datetime.date.today().isoformat()}\t{commit()}\t{text}\n')
    return 0


if __name__ == '__main__':
    words = sys.argv[1:]
    if words == ['--check']:
        sys.exit(check() != 0)
    if len(words) == 3 and words[0] == '--note':
        sys.exit(note(words[1], words[2]))
    if len(words) != 1:
        sys.exit(__doc__)
    sys.exit(page(pathlib.Path(words[0]).resolve()) != 0)
