#!/bin/sh
# run-fuzz.sh SECONDS TARGETS...: run each libFuzzer program for so long, as many at a time as there are
# processors. A target is one test; the output of those that fail is shown, and what made them fail is
# kept beside them.
#
# BUILD/targets/ROOM/fuzz-NOUN begins with tests/fuzz/ROOM/corpus-NOUN/, which is only read: what
# the fuzzer finds goes to BUILD/corpus/. Ends with "N passed, N failed".
set -u

tests=$(dirname "$0")

# One target; the last line of the output begins with its name.
run_one() {
	seconds=$1
	target=$2
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
	else
		# In one go, so that the lines of two targets do not mix.
		printf '%s\n%s: failed, see %s\n' "$(printf '%s\n' "$output" | tail -n 60)" "$name" \
			"$artifacts/$room-$noun-*"
	fi
}

if [ "$1" = --one ]; then
	run_one "$2" "$3"
	exit
fi
seconds=$1
shift
results=$(mktemp) || exit 1
trap 'rm -f "$results"' EXIT
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh "$0" --one "$seconds" | tee "$results"
passed=$(grep -c '^[a-z-]*/fuzz-[a-z0-9-]*: passed (' "$results")
failed=$(($# - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
