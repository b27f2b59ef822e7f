#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: run.sh PRELOAD SERVER CLIENT (local|server) (full|pool)
# The client with the preloaded library: with devices of its own, or with a server's, which is killed and begun again once.
set -u
patience=${ISTHMUS_TEE_PATIENCE:-100} # seconds a client may take
preload=$1 server=$2 client=$3 where=$4 mode=$5
folder=$(mktemp -d)
pid=
finish() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null
	rm -rf "$folder"
}
trap finish EXIT

if [ "$where" = local ]; then
	ISTHMUS_TEE_MODE=$mode LD_PRELOAD=$preload timeout "$patience" "$client" local "$mode"
	exit
fi

begin() {
	local options=()
	[ "$mode" = full ] || options=(--pool)
	: >"$folder/said"
	"$server" "${options[@]}" "$folder/socket" >"$folder/said" &
	pid=$!
	for _ in $(seq 200); do
		grep -q '^serving' "$folder/said" && return
		sleep 0.05
	done
	echo "the server does not begin"
	exit 1
}

begin
ISTHMUS_TEE_SERVER=$folder/socket LD_PRELOAD=$preload timeout "$patience" "$client" server "$mode" || exit
kill -9 "$pid" # its socket stays behind
wait "$pid" 2>/dev/null
begin
ISTHMUS_TEE_SERVER=$folder/socket LD_PRELOAD=$preload timeout "$patience" "$client" server "$mode" || exit
"$server" "$folder/socket" >/dev/null 2>&1 && exit 1 # there is one already
kill "$pid"
wait "$pid"
