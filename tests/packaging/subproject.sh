#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: subproject.sh ROOT: a project that has isthmus as a subproject, found by a wrap file, with either library.
set -euo pipefail
root=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp -r "$root/tests/packaging/subproject/." "$place"
mkdir "$place/subprojects/isthmus"
(cd "$root" && tar -c --exclude='build*' --exclude=.git meson.build meson_options.txt include src doc README.md CONTRIBUTING.md examples) | tar -x -C "$place/subprojects/isthmus"
cp "$root/examples/guides/first.c" "$place"
meson setup "$place/build" "$place" -Dunity=on -Dbuildtype=debug >"$place/log" 2>&1 || { cat "$place/log"; exit 1; }
ninja -C "$place/build" >"$place/log" 2>&1 || { tail -n 30 "$place/log"; exit 1; }
"$place/build/with-shared"
"$place/build/with-static"
! ls "$place"/build/subprojects/isthmus/tests >/dev/null 2>&1 || { echo "a subproject builds its tests"; exit 1; }
hooks=$(nm "$place"/build/subprojects/isthmus/src/libisthmus.so | grep -E ' [Tt] .*(pretend|platform_fail_map|backlog_limit)' || true)
[ -z "$hooks" ] || { echo "hooks for tests in a library without tests: $hooks"; exit 1; }
