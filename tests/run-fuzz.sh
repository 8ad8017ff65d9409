#!/bin/sh
# run-fuzz.sh SECONDS TARGETS...: run each libFuzzer program for so long. A target is one test; the
# output of those that fail is shown, and what made them fail is kept beside them.
#
# BUILD/targets/ROOM/fuzz-NOUN begins with tests/fuzz/ROOM/corpus-NOUN/, which is only read: what
# the fuzzer finds goes to BUILD/corpus/. Ends with "N passed, N failed".
set -u

seconds=$1
shift
passed=0
failed=0
tests=$(dirname "$0")

for target in "$@"; do
	build=${target%/targets/*}
	name=${target##*/targets/}
	room=${name%%/*}
	noun=${name##*/fuzz-}
	seeds=$tests/fuzz/$room/corpus-$noun
	found=$build/corpus/$room-$noun
	artifacts=$build/artifacts
	mkdir -p "$found" "$artifacts"
	set -- "$found"
	[ -d "$seeds" ] && set -- "$@" "$seeds"
	if output=$(timeout $((seconds + 60)) "$target" -max_total_time="$seconds" -timeout=10 \
		-rss_limit_mb=2048 -detect_leaks=1 -verbosity=1 -print_final_stats=1 \
		-artifact_prefix="$artifacts/$room-$noun-" "$@" 2>&1); then
		runs=$(printf '%s\n' "$output" | sed -n 's/^stat::number_of_executed_units: *//p')
		echo "$name: passed ($runs runs)"
		passed=$((passed + 1))
	else
		printf '%s\n' "$output" | tail -n 60
		echo "$name: failed, see $artifacts/$room-$noun-*"
		failed=$((failed + 1))
	fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
