#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: archive.sh AR OBJCOPY INTERNAL.a OUT.a COMPILER...
# A static library takes no names but those it exports: its objects become one, in which what is hidden is local.
set -eu
ar=$1 objcopy=$2 internal=$3 out=$4
shift 4
object=$out.o
trap 'rm -f "$object"' EXIT
"$@" -nostdlib -r -o "$object" -Wl,--whole-archive "$internal" -Wl,--no-whole-archive
"$objcopy" --localize-hidden "$object"
rm -f "$out"
"$ar" rcs "$out" "$object"
