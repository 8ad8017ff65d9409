#!/bin/sh
# Everything that can be tested, on a Debian 12 machine with this source tree and root's rights:
#
#     sh tests/run.sh
#
# Installs what is missing, builds, and runs unit and system tests, the packages on a system that is
# booted for them, unit and system tests under AddressSanitizer and UndefinedBehaviorSanitizer, every
# fuzz target for FUZZ_SECONDS, and the builds and checks that ask for no warnings. A stage that fails
# stops none of the others, and shows its output. The last line is "N passed, N failed"; the exit status
# tells whether N failed is 0. A build or a check is one test, a fuzz target too. Where no system can be
# booted these tests are skipped, and say why.
set -u

cd "$(dirname "$0")/.." || exit 1
. packaging/packages.sh

FUZZ_SECONDS=${FUZZ_SECONDS:-10}
export FUZZ_SECONDS
MAKEFLAGS=${MAKEFLAGS:--j2}
export MAKEFLAGS
STAGE_TIMEOUT_S=${STAGE_TIMEOUT_S:-1500}
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
started=$(date +%s)
passed=0
failed=0

begin() {
	name=$1
	echo "== $name ($(($(date +%s) - started)) s since the start)"
}

# check NAME COMMAND...: one test, silent unless it fails
check() {
	begin "$1"
	shift
	if "$@" >"$output" 2>&1; then
		passed=$((passed + 1))
	else
		cat "$output"
		echo "$name: failed"
		failed=$((failed + 1))
	fi
}

# tests NAME COMMAND...: many tests, counted by the last line "N passed, N failed" of the command
tests() {
	begin "$1"
	shift
	timeout -k 10 "$STAGE_TIMEOUT_S" "$@" >"$output" 2>&1
	status=$?
	cat "$output"
	counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$output" | tail -n 1)
	if [ -z "$counts" ]; then
		echo "$name: no result, exit status $status"
		counts="0 1"
	fi
	passed=$((passed + ${counts% *}))
	failed=$((failed + ${counts#* }))
}

check "packages" eval 'install_build_packages && install_run_packages && install_test_packages &&
	install_npm_packages tests/npm'

check "build" make WERROR=-Werror everything
tests "unit tests" make -s check-unit
tests "system tests" make -s check-system

check "Debian packages" make deb
check "Debian packages, as lintian sees them" make -s check-deb
tests "packages on a booted system" make -s check-boot

check "build with sanitizers" make WERROR=-Werror asan-everything
tests "unit tests with sanitizers" make -s asan-check-unit
tests "system tests with sanitizers" make -s asan-check-system

check "build with clang" make WERROR=-Werror clang-everything
check "format" make -s check-format
check "build of the fuzz targets" make WERROR=-Werror fuzz-targets
tests "fuzz targets, $FUZZ_SECONDS s each" make -s fuzz

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
