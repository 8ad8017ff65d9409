#!/bin/sh
# run-unit.sh TESTS...: run cmocka programs, one line for each, the whole output of those that fail.
# Ends with "N passed, N failed".
set -u

UNIT_TIMEOUT_S=${UNIT_TIMEOUT_S:-120}
passed=0
failed=0

# The sum of N over lines "[  WORD  ] N test(s)", as cmocka ends each group of tests.
count() {
	printf '%s\n' "$2" | sed -n "s/^\[  $1  \] \([0-9][0-9]*\) test(s).*/\1/p" |
		awk '{ n += $1 } END { print n + 0 }'
}

for test in "$@"; do
	output=$(timeout "$UNIT_TIMEOUT_S" "$test" 2>&1)
	status=$?
	n_passed=$(count PASSED "$output")
	n_failed=$(count FAILED "$output")
	# It crashed, leaked, hung or was not there: that is one failure, even if each test passed.
	if [ "$n_failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$n_passed" -eq 0 ]; }; then
		n_failed=1
	fi
	if [ "$n_failed" -gt 0 ]; then
		printf '%s\n' "$output"
		echo "exit status $status"
	fi
	echo "${test##*/unit/}: $n_passed passed, $n_failed failed"
	passed=$((passed + n_passed))
	failed=$((failed + n_failed))
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
