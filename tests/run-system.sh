#!/bin/sh
# run-system.sh BUILD [PYTEST ARGUMENTS...]: the system tests against the programs in BUILD; without
# arguments all of them, PYTEST_WORKERS files at a time: most of their time is waiting. Ends with
# "N passed, N failed", and fails also when there was nothing to run.
set -u

PYTEST=${PYTEST:-/usr/bin/python3 -m pytest}
DCV_BUILD=$(mktemp -d) || exit 1
export DCV_BUILD
results=$(mktemp) || exit 1
trap 'rm -rf "$results" "$DCV_BUILD"' EXIT

# Temporary users run these programs too, and the source tree may lie where only root can go.
cp -R "$1"/dcv* "$1"/doubles "$DCV_BUILD" && chmod -R a+rX "$DCV_BUILD" || exit 1
shift

[ $# -gt 0 ] || set -- -n "${PYTEST_WORKERS:-4}" --dist loadfile tests/system
# A folder of our own for the tests: each worker would close pytest's to others again when it starts.
# $PYTEST is a command with its arguments.
# shellcheck disable=SC2086
$PYTEST -q -rs -p no:cacheprovider -o faulthandler_timeout=240 --junitxml="$results" \
	--basetemp="$DCV_BUILD/t" "$@"
status=$?

counts=$(/usr/bin/python3 - "$results" <<'END'
import sys
import xml.etree.ElementTree

passed = failed = 0
try:
    for case in xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"):
        outcomes = {outcome.tag for outcome in case}
        if outcomes & {"failure", "error"}:
            failed += 1
        elif "skipped" not in outcomes:
            passed += 1
except xml.etree.ElementTree.ParseError:
    pass
print(passed, failed)
END
)
passed=${counts% *}
failed=${counts#* }
# pytest itself came to grief, or found no test at all.
if [ "$failed" -eq 0 ] && [ "$status" -ne 0 ]; then
	echo "pytest ended with status $status"
	failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
