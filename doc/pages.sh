#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: pages.sh FOLDER SOURCE: each manual page, of a header or a program, is roff that groff has nothing to say about.
set -eu
command -v groff >/dev/null || { echo "groff is not installed: skipped"; exit 77; }
count=0
for page in "$1"/isthmus_*.3 "$2"/*.1; do
	said=$(groff -man -ww -Tutf8 "$page" 2>&1 >/dev/null)
	[ -z "$said" ] || { echo "$said"; exit 1; }
	count=$((count + 1))
done
[ "$count" -gt 10 ]
echo "$count pages"
