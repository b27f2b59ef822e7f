#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
set -u

usage() {
	cat <<-END
	usage: genmc.sh ROOT [MODEL [MUTANT]]

	Checks the programs of tests/model under C11's memory model with GenMC (0.10, which Debian does not package: where it is
	missing this says so and counts as skipped). Of a MODEL all scenarios must be clean; a MUTANT of it (base/mutant.h) must be
	found by the scenario that is named here. Without a MODEL all of it, as a table.
	END
}

# What each model is: its program, how many scenarios it has, options: of GenMC with two dashes, others are the compiler's.
sequences='-DPERCPU_MODEL -DDRAIN_GROUP=64u -DTOKEN_GROUP=4u -DPERCPU_TRIES=3 -DMODEL_CPUS=1 -DTOKEN_THRESHOLD_START=0u'
model() {
	case $1 in
	magazine) echo magazine_genmc.c 3 ;;
	count) echo count_genmc.c 3 ;;
	plug) echo genmc/plug.c 4 "$sequences" ;;
	token) echo genmc/token.c 5 "$sequences" ;;
	buddy) echo genmc/buddy.c 8 -DBUDDY_CHUNK_POWER=6 -DBUDDY_FIT_TRIES=0 ;;
	index) echo index_genmc.c 3 -DINDEX_STEP=2 -DINDEX_PLACES_MIN=8u ;;
	references) echo references_genmc.c 2 ;; # the third takes minutes
	page_tree) echo genmc/page_tree.c 7 -DPERCPU_FALLBACK_ONLY --disable-load-annotation --disable-confirmation-annotation --disable-loop-jump-threading --disable-assume-propagation ;; # which fail on conditions with addresses
	transit) echo genmc/transit.c 7 "$sequences" ;;
	pamap) echo genmc/pamap.c 12 ;;
	registry) echo genmc/registry.c 2 -DPERCPU_FALLBACK_ONLY ;;
	sequence) echo genmc/sequence.c 2 ;;
	record) echo genmc/record.c 2 -DPERCPU_FALLBACK_ONLY -DRECORD_LINK_PAGES=2u ;;
	tags) echo genmc/tags.c 1 -DPERCPU_FALLBACK_ONLY -DTAGS_PAGES=2u -DTAGS_FROM=1u -DTAGS=1u ;;
	room) echo genmc/room.c 1 -DPERCPU_FALLBACK_ONLY ;;
	rest) echo genmc/rest.c 3 -DPERCPU_FALLBACK_ONLY ;;
	protect) echo genmc/protect.c 2 -DPERCPU_FALLBACK_ONLY ;;
	*) return 1 ;;
	esac
}
models='magazine count plug token record tags room rest protect registry sequence buddy index references pamap transit page_tree'

# The mutants of each model, and the scenario that must find them.
mutants() {
	case $1 in
	magazine) echo 301:0 302:2 303:1 ;;
	count) echo 401:0 402:0 403:0 404:2 ;;
	token) echo 308:0 309:2 310:0 311:1 ;;
	buddy) echo 101:1 102:5 103:0 104:3 106:4 ;;
	index) echo 201:0 202:2 203:0 ;;
	references) echo 211:0 213:0 ;;
	record) echo 320:0 321:1 ;;
	tags) echo 322:0 ;;
	room) echo 330:0 331:0 ;;
	rest) echo 217:1 218:0 ;;
	protect) echo 219:0 ;;
	page_tree) echo 214:3 215:2 360:6 ;;
	transit) echo 350:3 351:1 352:6 ;;
	pamap) echo 1:0 2:0 3:2 4:3 340:0 341:7 342:1 ;;
	plug) echo 304:0 305:0 313:0 314:2 ;;
	esac
}

check() { # PROGRAM SCENARIO OPTION...
	local program=$1 scenario=$2 option
	local -a own=() compiler=()
	shift 2
	for option; do
		[[ $option == --* ]] && own+=("$option") || compiler+=("$option")
	done
	# Without its rewriting of loops that wait, which does not end on the buddy; there are none here.
	genmc --disable-spin-assume --disable-estimation "${own[@]}" -- -w -DGENMC -D_GNU_SOURCE -DMUTANT_DWELLS=0 -I"$root/tests/model/genmc" -I"$root/src" \
		-I"$root/include" -I"$root/tests/model" -DMODEL_SCENARIO="$scenario" "${compiler[@]}" "$root/tests/model/$program" 2>&1
}

# What GenMC says in a few words.
summary() {
	sed -nE 's/^Error: (.*)/\1/p; s/^(ERROR: .*)/\1/p; s/^Number of complete executions explored: (.*)/\1 executions/p; s/^Total wall-clock time: (.*)/\1/p' |
		paste -sd ',' | sed 's/,/, /g'
}

# Exit status of GenMC: 0 for no fault, 42 for one; others are troubles of its own.
run_model() {
	local program count options scenario output status failed=0
	read -r program count options <<<"$(model "$1")"
	for ((scenario = 0; scenario < count; scenario++)); do
		# shellcheck disable=SC2086
		output=$(check "$program" "$scenario" $options)
		status=$?
		# A model whose every execution is cut short shows nothing.
		[ $status -ne 0 ] || grep -q '^Number of complete executions explored: [1-9]' <<<"$output" || status=1
		echo "$1, scenario $scenario: $([ $status -eq 0 ] && echo clean || echo NOT CLEAN): $(summary <<<"$output")"
		[ $status -eq 0 ] || { failed=1 && tail -n 60 <<<"$output"; }
		[ $failed -eq 0 ] || [ -z "${GENMC_FIRST-}" ] || break # orders.py wants to know the first one alone
	done
	return $failed
}

run_mutant() {
	local program count options scenario output status entry
	read -r program count options <<<"$(model "$1")"
	for entry in $(mutants "$1"); do
		[ "${entry%:*}" = "$2" ] || continue
		scenario=${entry#*:}
		# shellcheck disable=SC2086
		output=$(check "$program" "$scenario" $options -DMUTANT="$2")
		status=$?
		echo "$1, mutant $2: scenario $scenario $([ $status -eq 42 ] && echo finds it || echo DOES NOT FIND IT): $(summary <<<"$output")"
		[ $status -eq 42 ]
		return
	done
	echo "$1 has no mutant $2" >&2
	return 2
}

[ $# -ge 1 ] && [ $# -le 3 ] || {
	usage >&2
	exit 2
}
command -v genmc >/dev/null || {
	echo "genmc is not on the path: skipped"
	exit 77
}
root=$1
failed=0
if [ $# -eq 3 ]; then
	run_mutant "$2" "$3" || failed=1
elif [ $# -eq 2 ]; then
	model "$2" >/dev/null || {
		usage >&2
		exit 2
	}
	run_model "$2" || failed=1
else
	for name in $models; do
		run_model "$name" || failed=1
		for entry in $(mutants "$name"); do
			run_mutant "$name" "${entry%:*}" || failed=1
		done
	done
fi
exit $failed
