# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""What the tests that boot a Linux have in common."""
import pathlib


def _pad(data):
    return data + b'\0' * (-len(data) % 4)


def _entry(name, mode, data=b''):
    raw = name.encode() + b'\0'
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
    head = b'070701' + b''.join(b'%08X' % field for field in fields) + raw
    return _pad(head) + _pad(data)


def write_initrd(path, folders, files):
    """A file system in memory, in cpio's format: empty folders, and programs or modules {name there: file here}."""
    parts = [_entry(folder, 0o040755) for folder in folders]
    parts += [_entry(name, 0o100755, pathlib.Path(file).read_bytes()) for name, file in files.items()]
    path.write_bytes(b''.join(parts + [_entry('TRAILER!!!', 0)]))
