#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
"""The manual page of a public header, what the header says as roff, and a page for each of its functions that leads there.

usage: man.py HEADER VERSION FOLDER    writes FOLDER/isthmus_NAME.3 and so on
       man.py --pages HEADER           prints the names of these files
"""
import pathlib
import re
import sys
import textwrap

BLOCK = re.compile(r'^/\*(.*?)\*/\n', re.S | re.M)


def comment_text(raw):
    lines = [re.sub(r'^ \* ?', '', line.rstrip()) for line in raw.strip('\n').split('\n')]
    lines[0] = lines[0].strip()
    return textwrap.dedent('\n'.join(lines)).strip()


def escape(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return re.sub(r"^([.'])", r'\\&\1', text, flags=re.M)


def paragraphs(text):
    """Prose is filled; what is indented (lists of errors) stays as it is."""
    out = []
    literal = False
    for line in text.split('\n'):
        indented = line.startswith('  ')
        if not line.strip():
            out.append('.fi' if literal else '.PP')
            literal = False
        elif indented != literal:
            out.append('.nf' if indented else '.fi')
            literal = indented
            out.append(escape(line))
        else:
            out.append(escape(line))
    if literal:
        out.append('.fi')
    return '\n'.join(out)


def declarations(code):
    """What a programmer writes against: functions, structs, constants; without the macros around them."""
    keep = []
    skip = ('#ifndef ISTHMUS_', '#define ISTHMUS_', '#endif', '#include', 'IST_BEGIN_DECLS', 'IST_END_DECLS', '#if', '#else', '#ifdef')
    for line in code.split('\n'):
        if not line.startswith(skip):
            keep.append(line.replace('IST_API ', ''))
    return re.sub(r'\n{2,}', '\n\n', '\n'.join(keep)).strip('\n')


def names(code):
    return re.findall(r'\b(ist_\w+|TEEC_\w+)\s*\(', re.sub(r'/\*.*?\*/', '', code, flags=re.S))


def sections_of(header):
    """(comment, what stands below it) in the header's order."""
    # code, comment, code, comment, code ...
    parts = BLOCK.split(header.read_text())
    sections = [(comment_text(parts[i]), parts[i + 1]) for i in range(1, len(parts), 2)]
    return [(comment, code) for comment, code in sections if not comment.startswith('SPDX-')]


def functions_of(sections):
    found = [name for _, code in sections for name in names(code)]
    return sorted(set(found), key=found.index)


def page(header, version):
    sections = sections_of(header)
    about = sections[0][0].split('. ')[0].split('\n\n')[0].replace('\n', ' ').rstrip('.')
    title = 'isthmus_' + header.stem
    library = 'isthmus\\-teec' if header.stem == 'tee_client' else 'isthmus'
    out = [
        f'.TH {title} 3 "" "isthmus {version}" "isthmus"',
        '.SH NAME',
        ', '.join([escape(title)] + functions_of(sections)) + ' \\- ' + escape(about[0].lower() + about[1:]),
        '.SH SYNOPSIS\n.nf',
        f'.B #include <isthmus/{header.name}>',
        f'.B cc ... $(pkg\\-config \\-\\-cflags \\-\\-libs {library})\n.fi',
        '.SH DESCRIPTION',
    ]
    for comment, code in sections:
        out.append(paragraphs(comment))
        shown = declarations(code)
        if shown:
            out += ['.PP\n.RS 4\n.nf', escape(shown), '.fi\n.RE']
        out.append('.PP')
    out += [
        '.SH SEE ALSO',
        'The README and the pages in doc; requirements.md has what sources are named by number. Errors are negative values of',
        '.BR errno (3).',
    ]
    return '\n'.join(out) + '\n'


if sys.argv[1] == '--pages':
    header = pathlib.Path(sys.argv[2])
    print('\n'.join([f'isthmus_{header.stem}.3'] + [f'{name}.3' for name in functions_of(sections_of(header))]))
    sys.exit()
header, version, folder = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
(folder / f'isthmus_{header.stem}.3').write_text(page(header, version))
for name in functions_of(sections_of(header)):
    (folder / f'{name}.3').write_text(f'.so man3/isthmus_{header.stem}.3\n')
