#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: litmus.sh FILE...
# Runs litmus tests with herd7, each of which says in its comment whether its state is seen "Never" or "Sometimes". Debian
# does not package herd7, so where it is missing this says so and counts as skipped.
set -eu
command -v herd7 >/dev/null || {
	echo "herd7 is not on the path: skipped"
	exit 77
}
failed=0
for file; do
	wanted=$(sed -nE 's/^\(\*.*(Never|Sometimes) \*\)$/\1/p' "$file")
	if herd7 "$file" | grep -q "^Observation .* $wanted "; then
		echo "$file: $wanted"
	else
		echo "$file: NOT $wanted"
		failed=1
	fi
done
exit $failed
