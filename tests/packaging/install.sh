#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: install.sh ROOT BUILD: what `meson install` leaves is used as a program outside would, with the shared library and the static one.
set -euo pipefail
root=$1 build=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
DESTDIR=$place meson install -C "$build" --no-rebuild --quiet >/dev/null
prefix=$(meson introspect "$build" --buildoptions | python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
pc=$(dirname "$(find "$place" -name isthmus.pc)")
export PKG_CONFIG_PATH=$pc${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
flags() { pkg-config --define-variable=prefix="$place$prefix" "$@"; }
lib=$(dirname "$(find "$place" -name libisthmus.a)")
first=$root/examples/guides/first.c

# shellcheck disable=SC2046
cc -std=c11 -D_DEFAULT_SOURCE -Wall -Werror -o "$place/shared" "$first" $(flags --cflags --libs isthmus)
LD_LIBRARY_PATH=$lib "$place/shared"
readelf -d "$place/shared" | grep -q 'NEEDED.*libisthmus.so.0'

# The static library alone, with what it wants itself; and names of the program's own that isthmus has inside as well.
printf 'int rest, place, publish, note, window_take; void limbo_add(void); void limbo_add(void) { rest = place + publish + note; }\n' >"$place/own.c"
# shellcheck disable=SC2046
cc -std=c11 -D_DEFAULT_SOURCE -Wall -Werror -o "$place/static" "$first" "$place/own.c" $(flags --cflags isthmus) "$lib/libisthmus.a" \
	$(flags --static --libs isthmus | sed 's/-listhmus//')
"$place/static"
! readelf -d "$place/static" | grep -q 'NEEDED.*libisthmus'

for page in isthmus_pool.3 isthmus_stat.3 isthmus-stat.1 isthmus-map.1 isthmus-trace.1; do
	[ -f "$(find "$place" -name "$page")" ]
done
for tool in isthmus-stat isthmus-map isthmus-trace; do
	"$place$prefix/bin/$tool" --help | grep -q "^usage: $tool "
done
"$place$prefix/bin/isthmus-trace" --library "$lib/libisthmus-trace.so" --output "$place/trace" env LD_LIBRARY_PATH="$lib" "$place/shared"
grep -q ' msg_get 1 224' "$place/trace"
echo "shared and static"
