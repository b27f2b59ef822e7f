#!/bin/bash -eu
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# Builds every fuzz target as OSS-Fuzz wants it: with the compiler, flags and engine of the environment (CC, CFLAGS,
# LIB_FUZZING_ENGINE), into $OUT, each with its corpus and dictionary beside it.
cd "$(dirname "$(readlink -f "$0")")/../.."
folder=${WORK:-/tmp}/isthmus-fuzz
meson setup "$folder" -Dfuzz=true -Dfuzz_engine="${LIB_FUZZING_ENGINE:--fsanitize=fuzzer}" -Dtests=disabled -Dbench=false \
	-Ddefault_library=static -Db_lundef=false
ninja -C "$folder"
for program in "$folder"/fuzz/fuzz-*; do
	[ -f "$program" ] && [ -x "$program" ] || continue
	target=${program##*/fuzz-}
	cp "$program" "$OUT/"
	[ ! -d "fuzz/corpus/$target" ] || (cd "fuzz/corpus/$target" && zip -q -r "$OUT/fuzz-${target}_seed_corpus.zip" .)
	[ ! -f "fuzz/dictionaries/$target" ] || cp "fuzz/dictionaries/$target" "$OUT/fuzz-$target.dict"
done
# Base images of the runners have no libraries but the C library's.
mkdir -p "$OUT/lib"
for library in $(ldd "$OUT"/fuzz-view | sed -nE 's/.* => (\/[^ ]*(urcu|hwloc|udev|cap|ltdl)[^ ]*) .*/\1/p' | sort -u); do
	cp "$library" "$OUT/lib/"
done
for program in "$OUT"/fuzz-*; do
	case $program in *.dict | *.zip) ;; *) patchelf --force-rpath --set-rpath '$ORIGIN/lib' "$program" ;; esac
done
