#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: commands.sh ROOT SHOWN TRACED STAT MAP TRACE LIBRARY
# Runs each command that tests/build/commands.txt says this runs, as it stands there, in a scratch folder, beside a process that
# exports statistics. What ends only with that process is ended with it.
set -euo pipefail
mapfile -t paths < <(realpath "$@")
set -- "${paths[@]}"
root=$1 shown=$2 traced=$3 library=$7
. "$root/tests/tools/shown.sh"
mkdir "$place/bin"
ln -s "$4" "$place/bin/isthmus-stat"
ln -s "$5" "$place/bin/isthmus-map"
# As installed, but for where the library is.
printf '#!/bin/sh\nexec "%s" --library "%s" "$@"\n' "$6" "$library" >"$place/bin/isthmus-trace"
# The driver of the page, which takes its options.
printf '#!/bin/sh\n[ "$1" = --its-options ] && exec "%s" return alone\n' "$traced" >"$place/driver"
chmod +x "$place/bin/isthmus-trace" "$place/driver"
export PATH=$place/bin:$PATH
cd "$place"

python3 "$root/tests/build/commands.py" "$root" tools/commands.sh >commands
count=0
while read -r command; do
	begin
	: >out # of the command before
	PID=$child bash -c "$command" >out 2>err &
	runner=$!
	for _ in $(seq 100); do # it ends, or has said something
		kill -0 "$runner" 2>/dev/null && [ ! -s out ] || break
		sleep 0.1
	done
	end
	status=0
	wait "$runner" || status=$?
	case $command in
	isthmus-trace*) [ "$status" = 3 ] ;; # as the program
	*) [ "$status" = 0 ] && [ ! -s err ] ;;
	esac || { echo "$command: ended with $status"; cat err; exit 1; }
	count=$((count + 1))
done <commands
[ -s net0.trace ]
[ -s pools.svg ]
[ "$count" -ge 5 ]
echo "$count commands run"
