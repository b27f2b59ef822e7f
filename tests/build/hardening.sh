#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# usage: hardening.sh FILE...
# A library that is loaded has no writable code and no writable table of addresses. One that is linked keeps the marks for IBT and shadow
# stacks (x86), BTI and PAC (ARM64): one object without them, assembly for instance, would take them from a whole program. (Of what is
# loaded only the system's own start files have the say: Debian's are not marked.)
set -eu
marks() { # FILE: of all objects in it
	case $(readelf -hW "$1" | sed -n 's/ *Machine: *//p' | sort -u) in
	*X86-64*) echo 'IBT, SHSTK' ;;
	*AArch64*) echo 'BTI, PAC' ;;
	esac
}
for file in "$@"; do
	case $file in
	*.a)
		wanted=$(marks "$file")
		[ -z "$wanted" ] || readelf -nW "$file" | grep -q "$wanted" || { echo "$file: not marked $wanted"; exit 1; }
		continue
		;;
	esac
	readelf -lW "$file" | grep -q 'GNU_RELRO' || { echo "$file: no RELRO"; exit 1; }
	readelf -dW "$file" | grep -Eq 'BIND_NOW|FLAGS_1.*NOW' || { echo "$file: tables of addresses stay writable"; exit 1; }
	! readelf -lW "$file" | grep 'GNU_STACK' | grep -q 'RWE' || { echo "$file: an executable stack"; exit 1; }
	! readelf -lW "$file" | grep 'LOAD' | grep -q 'RWE' || { echo "$file: memory to write and to run"; exit 1; }
	! readelf -dW "$file" | grep -q TEXTREL || { echo "$file: code is relocated"; exit 1; }
done
