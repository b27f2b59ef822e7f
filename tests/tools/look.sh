#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: look.sh SHOWN STAT MAP
# isthmus-stat and isthmus-map at a process that shows something, at its end, and at processes that show nonsense.
set -euo pipefail
shown=$1 stat=$2 map=$3
. "$(dirname "$0")/shown.sh"

# What must fail.
fails() {
	if "$@" 2>"$place/err"; then
		echo "does not fail: $*"
		exit 1
	fi
}

begin
"$stat" --once "$child" >"$place/table"
grep -q 'shown "one" of process' "$place/table"
grep -Eq '^driver +1.0M +7.5K ' "$place/table"
grep -Eq '^ +384 +20 ' "$place/table"
grep -Eq '^7 +live .* 20K +1$' "$place/table"
"$stat" --once --json "$child" | python3 -c '
import json, sys
page = json.loads(sys.stdin.read())
assert page["name"] == "shown \"one\"", page["name"]
assert page["driver"]["live"] == 20 and page["driver"]["used"] == 20 * 384, page["driver"]
classes = [c for c in page["driver"]["classes"] if c["live"]]
assert len(classes) == 1 and classes[0]["granules"] == 48 and classes[0]["bytes"] == 7680, classes
assert page["client"]["live"] == 1 and len(page["client"]["free_runs"]) == 32
owner = next(o for o in page["owners"] if o["id"] == 7)
assert owner["client_bytes"] == 20480 and owner["state"] == "live", owner
assert sum(c["driver_cached"] for c in page["cpus"]) == page["driver"]["cached"], page["cpus"]
assert page["period_ns"] == 10000000 and page["ended"] == 0'
"$map" "$child" >"$place/text"
grep -q '^driver pool, 1.0M at 0x42000000' "$place/text"
grep -Eq '^ *42100000 [0-9#]' "$place/text" || grep -Eq '^ *42[0-9a-f]+ .*[0-9#].* 20K$' "$place/text"
[ "$(grep -c '^ *42' "$place/text")" -le 64 ]
"$map" --svg "$place/map.svg" "$child"
python3 - "$place/map.svg" <<'PY'
import sys
import xml.etree.ElementTree as tree
squares = tree.parse(sys.argv[1]).getroot().findall('{http://www.w3.org/2000/svg}rect')
begin = sum(int(s[0].text.split(', ')[2].split()[0]) for s in squares)
assert begin == 21, begin
PY
fails "$map" --name nobody "$child"

# It looks until the process ends, also when it is killed.
"$stat" --interval 0.05 "$child" >"$place/live" &
looker=$!
sleep 0.3
end
wait "$looker"
tail -n 1 "$place/live" | grep -q 'has ended'
fails "$stat" --once $$
grep -q 'exports no statistics' "$place/err"
fails "$stat" --once 0
fails "$stat" --interval x $$
"$stat" --help | grep -q usage
"$map" --help | grep -q usage

# Nonsense is refused: neither read nor printed, and nobody crashes.
for word in $(seq 0 19) 99; do
	begin hostile "$word"
	for tool in "$stat --once" "$stat --once --json" "$map"; do
		status=0
		timeout 20 $tool "$child" >"$place/out" 2>"$place/said" || status=$?
		[ "$status" = 1 ] || { echo "hostile $word: $tool ended with $status"; exit 1; }
		[ "$word" != 99 ] || grep -q 'its length may change' "$place/said"
		fails grep -q "$(printf '\033')" "$place/out" "$place/said"
	done
	end
done
echo "seen"
