# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# Sourced, with the program in $shown: a process that has something to show, from `begin [ARGUMENT...]`, which waits until it has, to
# `end`, which kills it; its number is $child. And $place, a folder that goes with the script.
place=$(mktemp -d)
child=
finish() {
	[ -z "$child" ] || kill -9 "$child" 2>/dev/null || true
	rm -rf "$place"
}
trap finish EXIT

begin() {
	local line
	coproc program { exec "$shown" "$@"; }
	child=$program_PID
	read -r line <&"${program[0]}"
	[ "$line" = ready ]
}

end() {
	kill -9 "$child"
	wait "$child" 2>/dev/null || true
	child=
}
