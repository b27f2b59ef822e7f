#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: symbols.sh LIBRARY HEADER...
# Every exported symbol begins with ist_, and the library exports exactly what the public headers declare.
set -eu
library=$1
shift
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
declared=$(cat "$@" | tr '\n\t' '  ' | grep -oE 'IST_API [^;]*;' | grep -oE '\bist_[a-z0-9_]+\(' | tr -d '(' | sort -u)
strangers=$(printf '%s\n' "$exported" | grep -v '^ist_' || true)
[ -z "$strangers" ] || { echo "exported without the prefix: $strangers"; exit 1; }
[ -n "$exported" ] || { echo "nothing is exported"; exit 1; }
[ "$exported" = "$declared" ] || {
	echo "exported: $exported"
	echo "declared: $declared"
	exit 1
}
echo "$(printf '%s\n' "$exported" | wc -l) symbols, as declared"
