#!/bin/sh
# run-unit.sh TESTS...: run cmocka programs, as many at a time as there are processors; one line for each,
# the whole output of those that fail. Ends with "N passed, N failed".
set -u

UNIT_TIMEOUT_S=${UNIT_TIMEOUT_S:-120}

# The sum of N over lines "[  WORD  ] N test(s)", as cmocka ends each group of tests.
count() {
	printf '%s\n' "$2" | sed -n "s/^\[  $1  \] \([0-9][0-9]*\) test(s).*/\1/p" |
		awk '{ n += $1 } END { print n + 0 }'
}

# One program; the last line of the output begins with its name. In one go, so that the lines of two do
# not mix.
run_one() {
	output=$(timeout "$UNIT_TIMEOUT_S" "$1" 2>&1)
	status=$?
	n_passed=$(count PASSED "$output")
	n_failed=$(count FAILED "$output")
	# It crashed, leaked, hung or was not there: that is one failure, even if each test passed.
	if [ "$n_failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$n_passed" -eq 0 ]; }; then
		n_failed=1
	fi
	[ "$n_failed" -eq 0 ] || output="$output
exit status $status
"
	[ "$n_failed" -gt 0 ] || output=
	printf '%s%s: %s passed, %s failed\n' "$output" "${1##*/unit/}" "$n_passed" "$n_failed"
}

if [ "$1" = --one ]; then
	run_one "$2"
	exit
fi
results=$(mktemp) || exit 1
trap 'rm -f "$results"' EXIT
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 sh "$0" --one | tee "$results"
# Of every program, also of one that could not even be told about.
sed -n 's/^[a-z-]*\/test-[a-z0-9-]*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$results" |
	awk -v wanted="$#" '{ passed += $1; failed += $2 }
		END { failed += wanted - NR; print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 }'
