#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: genmc.sh ROOT PROGRAM SCENARIOS [COMPILER OPTION...]
# Checks scenarios 0 to SCENARIOS - 1 of a program in tests/model under C11's memory model. Debian does not package
# GenMC, so where it is missing this says so and counts as skipped.
set -eu
command -v genmc >/dev/null || {
	echo "genmc is not on the path: skipped"
	exit 77
}
root=$1 program=$2 scenarios=$3
shift 3
number=0
while [ "$number" -lt "$scenarios" ]; do
	genmc -- -I"$root/src" -I"$root/include" -I"$root/tests/model" "$@" -DMODEL_SCENARIO="$number" \
		"$root/tests/model/$program"
	number=$((number + 1))
done
