#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: server.sh SERVER
# What isthmus-teed is told on its command line: what it refuses, and with which status, and what it serves.
set -u
server=$1
folder=$(mktemp -d)
pid=
faults=0
finish() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null
	rm -rf "$folder"
}
trap finish EXIT

fault() {
	echo "not so: $*"
	faults=$((faults + 1))
}

# refuses STATUS WORDS ARGUMENT...: it ends by itself, with this status, and says these words
refuses() {
	local status=$1 words=$2 said
	shift 2
	said=$(timeout 20 "$server" "$@" 2>&1)
	[ $? -eq "$status" ] && [[ $said == *"$words"* ]] || fault "$* is refused with $status and '$words': $said"
}

# serves ARGUMENT...: until it is told to stop
serves() {
	"$server" "$@" "$folder/socket" >"$folder/said" 2>&1 &
	pid=$!
	for _ in $(seq 200); do
		grep -q '^serving at' "$folder/said" && break
		sleep 0.05
	done
	grep -q '^serving at' "$folder/said" || fault "$* is served: $(cat "$folder/said")"
	refuses 1 'Address already in use' "$folder/socket"
	kill "$pid"
	wait "$pid" || fault "$*: it ends with status $?"
	pid=
}

refuses 2 usage:
refuses 2 usage: one two
refuses 2 usage: --help
refuses 2 usage: --unknown "$folder/socket"
for size in 0 '' -1 16X 16KK 1M1 99999999999G; do
	refuses 2 usage: --size "$size" "$folder/socket"
done
refuses 1 carve-out --size 4096 "$folder/socket"
refuses 1 carve-out --size 8388608G "$folder/socket"
refuses 1 carve-out --size 18446744073709551616 "$folder/socket"
refuses 1 'Is a directory' --file "$folder" "$folder/socket"
refuses 1 'No such file' --file "$folder/none/file" "$folder/socket"
refuses 1 'No such file' "$folder/none/socket"
refuses 1 'too long' "$folder/$(printf 'x%.0s' $(seq 120))"
# A file of somebody's that is no socket stays what it is.
echo kept >"$folder/file"
refuses 1 'already in use' "$folder/file"
[ "$(cat "$folder/file")" = kept ] || fault "a file that is no socket is left alone"

serves
serves --size 16M --pool
serves --size 32768K
serves --size 0x2000000 --file "$folder/carve-out"
[ "$(stat -c %s "$folder/carve-out")" = 33554432 ] || fault "the file has the size of the carve-out"
serves --size 1G
[ $faults -eq 0 ]
