#!/bin/sh
# run-neighbour.sh BUILD: the whole product with the hosts' programs of the release before, then with its broker;
# the rest is from BUILD. The release before is the last tag before this commit, or NEIGHBOUR=COMMIT. Ends with
# "N passed, N failed"; without such a tag nothing can be tested, and it says so.
set -u

build=$(cd "$1" && pwd)
release=${NEIGHBOUR:-$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null)}
if [ -z "$release" ]; then
	echo "skipped: no release before this one is tagged here, nothing to work together with"
	echo "0 passed, 0 failed"
	exit 0
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

hosts="dcv-session-manager-agent dcv-session-keeper dcv-screenshot"
broker=dcv-session-manager-broker
mkdir "$folder/source"
git archive "$release" | tar -x -C "$folder/source" || exit 1
# What it is made of is a list of words.
# shellcheck disable=SC2046
make -s -C "$folder/source" $(printf 'build/%s ' $hosts $broker) >"$folder/output" 2>&1 || {
	cat "$folder/output"
	exit 1
}

# mix FOLDER PROGRAM...: BUILD with these programs of the release before
mix() {
	mixed=$1
	shift
	mkdir "$mixed"
	cp -R "$build"/dcv* "$build/doubles" "$mixed"
	for program; do
		cp "$folder/source/build/$program" "$mixed"
	done
}
# shellcheck disable=SC2086
mix "$folder/hosts" $hosts
mix "$folder/broker" "$broker"

passed=0
failed=0
for side in hosts broker; do
	echo "== $side of $release"
	sh tests/run-system.sh "$folder/$side" tests/system/test_whole.py >"$folder/output" 2>&1
	cat "$folder/output"
	counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$folder/output" | tail -n 1)
	[ -n "$counts" ] || counts="0 1"
	passed=$((passed + ${counts% *}))
	failed=$((failed + ${counts#* }))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
