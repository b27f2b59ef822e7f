#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: abi.sh FOLDER HEADERS LIBRARY [--write]
# Nothing that programs were linked with has gone or changed: the library beside what was written down of it (abidw). Additions are
# fine. --write writes it down anew, for a version that may break.
set -eu
folder=$1 headers=$2 library=$3
command -v abidiff >/dev/null || { echo "abidiff is not installed: skipped"; exit 77; }
[ "$(uname -m)" = x86_64 ] || { echo "written down for x86_64: skipped"; exit 77; }
file=$folder/$(basename "$library" | sed 's/\.so.*//').abi
if [ "${4:-}" = --write ]; then
	abidw --no-show-locs --no-comp-dir-path --no-corpus-path --exported-interfaces-only --headers-dir "$headers" \
		--drop-private-types --out-file "$file" "$library"
	exit
fi
# What is behind the types that the headers only name is ours to change.
suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
opaque=$(grep -ohE '^struct (ist|TEEC)_[a-z_]+;' "$headers"/isthmus/*.h | sed 's/^struct //; s/;//' | sort -u | paste -sd '|')
cat >"$suppressions" <<END
[suppress_type]
  name_regexp = ^($opaque)\$
END
abidiff --no-added-syms --suppressions "$suppressions" "$file" "$library"
