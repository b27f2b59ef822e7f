#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: probes.sh LIBRARY PAGE yes|no
# The probes of the library are those that the page documents, with as many arguments; or none, if it was built without.
set -euo pipefail
library=$1 page=$2 wanted=$3
there=$(readelf --notes "$library" | awk '
	$1 == "Provider:" { ours = $2 == "isthmus" }
	$1 == "Name:" { name = $2 }
	$1 == "Arguments:" && ours { print name, NF - 1 }' | sort -u)
if [ "$wanted" = no ]; then
	[ -z "$there" ] || { echo "built without probes, but: $there"; exit 1; }
	echo "none"
	exit
fi
# In the table arguments are set apart by semicolons.
documented=$(awk -F '|' '/^\| `/ { gsub(/[ `]/, "", $2); print $2, split($4, parts, ";") }' "$page" | sort -u)
[ "$there" = "$documented" ] || { diff <(echo "$documented") <(echo "$there"); exit 1; }
echo "$(echo "$there" | wc -l) probes, as documented"
