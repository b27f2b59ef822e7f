#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: trace.sh TRACE LIBRARY TRACED COUNT
# What isthmus-trace records of a program is what the program says that it did, however it ends, and of its child as well.
set -euo pipefail
trace=$1 library=$2 traced=$3 count=$4
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export TMPDIR=$place
record() {
	status=0
	"$trace" --library "$library" --output "$place/trace" "$@" >"$place/said" 2>"$place/told" || status=$?
}
same() { diff <(LC_ALL=C sort "$1") <("$count" "$2" | LC_ALL=C sort); }

for how in return exit kill; do
	record "$traced" "$how" alone
	case $how in kill) [ "$status" = 137 ] ;; *) [ "$status" = 3 ] ;; esac
	same "$place/said" "$place/trace"
	grep -q ' 1 alive at the end' "$place/told"
	[ "$(find "$place" -name 'trace*' | wc -l)" = 1 ]
done

record "$traced" return fork
lines=$(($(wc -l <"$place/said") / 2))
head -n "$lines" "$place/said" >"$place/child"
tail -n "$lines" "$place/said" >"$place/parent"
same "$place/parent" "$place/trace"
same "$place/child" "$(echo "$place"/trace.*)"

# Nothing to record is said, and so is what cannot be started.
record true
[ "$status" = 125 ]
grep -q 'nothing was recorded' "$place/told"
record "$place/none"
[ "$status" = 127 ]
record
[ "$status" = 2 ]
status=0
"$trace" --library "$place/none" true 2>/dev/null || status=$?
[ "$status" = 125 ]
"$trace" --help | grep -q usage
[ -z "$(find "$place" -name 'isthmus-trace-*')" ]
echo "as the program says"
