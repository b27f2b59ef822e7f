#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: symbols.sh LIBRARY ARCHIVE HEADER...
# Every exported symbol begins with ist_, and the libraries, the shared and the static one, export exactly what the public headers
# declare: a program that is linked with the static one may use any other name for itself.
set -eu
library=$1 archive=$2
shift 2
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
global=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | sort)
declared=$(cat "$@" | tr '\n\t' '  ' | grep -oE 'IST_API [^;]*;' | grep -oE '\bist_[a-z0-9_]+\(' | tr -d '(' | sort -u)
strangers=$(printf '%s\n' "$exported" | grep -v '^ist_' || true)
[ -z "$strangers" ] || { echo "exported without the prefix: $strangers"; exit 1; }
[ -n "$exported" ] || { echo "nothing is exported"; exit 1; }
[ "$exported" = "$declared" ] || {
	echo "exported: $exported"
	echo "declared: $declared"
	exit 1
}
[ "$global" = "$declared" ] || {
	echo "global in $archive: $global"
	exit 1
}
echo "$(printf '%s\n' "$exported" | wc -l) symbols, as declared"
