#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: version.sh ROOT VERSION: the header, the list of changes and the Debian package are of the version that meson builds.
set -eu
root=$1 version=$2
of() { sed -n "s/^#define IST_VERSION_$1 //p" "$root/include/isthmus/version.h"; }
said="$(of MAJOR).$(of MINOR).$(of PATCH)"
[ "$said" = "$version" ] || { echo "version.h says $said, meson.build $version"; exit 1; }
grep -q "^## $version" "$root/CHANGELOG.md" || { echo "CHANGELOG.md has no $version"; exit 1; }
head -n 1 "$root/debian/changelog" | grep -q "($version" || { echo "debian/changelog is of another version"; exit 1; }
