#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: build.sh COMPILER INCLUDE LIBRARY SOURCE FLAG...
# As a program outside would be built, with all that a compiler has to say as an error; and run.
set -eu
compiler=$1 include=$2 library=$3 source=$4
shift 4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$compiler" -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor -Werror -O1 -g \
	-I"$include" "$@" "$source" -o "$folder/program" "$library" -pthread -Wl,-rpath,"$(dirname "$(readlink -f "$library")")"
timeout 100 "$folder/program"
