#!/bin/sh
# make-again.sh BUILD: the packages that make deb and make rpm have left in BUILD, made a second time in another
# folder, by a shell with another umask, time zone and locale, and later. Fails unless every byte is the same.
set -eu

build=$(cd "$1" && pwd)
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
source=$again/a/folder/with/another/name
mkdir -p "$source"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp -p --parents -t "$source"
# It takes its list of files from git.
git -C "$source" init -q
git -C "$source" add -A
(
	umask 077
	export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 HOME="$again"
	make -C "$source" deb rpm
) >"$again/output" 2>&1 || {
	cat "$again/output"
	exit 1
}

n=0
for package in "$build"/deb/*.deb "$build"/rpm/RPMS/*/*.rpm; do
	cmp "$package" "$source/build/${package#"$build"/}"
	n=$((n + 1))
done
echo "$n packages are the same, byte by byte"
