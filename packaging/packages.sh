# The Debian 12 packages that the project needs. To be sourced: defines install_build_packages,
# install_run_packages, install_demo_packages, install_packaging_packages, install_test_packages and
# install_bench_packages, which
# call apt-get only for what is missing, and install_npm_packages, which does so with npm.

BUILD_PACKAGES="gcc libc6-dev make pkg-config libwebsockets-dev libuv1-dev libssl-dev
	libjansson-dev libpng-dev libturbojpeg0-dev libdeflate-dev libxcb1-dev libxcb-shm0-dev
	libxcb-randr0-dev libxcb-damage0-dev libxau-dev libsystemd-dev libpam0g-dev libcjose-dev
	libcurl4-openssl-dev libsqlite3-dev scdoc"

# libwebsockets loads its libuv plugin by name, so no dependency between packages tells of it.
# dbus-run-session is in dbus-daemon, useradd in passwd.
# The broker loads libcurl when an external authorization server is registered. pci.ids has the names of
# GPUs.
RUN_PACKAGES="libwebsockets-evlib-uv libcurl4 tigervnc-standalone-server dbus-daemon x11-common xterm x11-apps
	x11-xserver-utils xauth passwd openssl curl pci.ids novnc"

# What make deb needs beside BUILD_PACKAGES, and what looks at the result.
PACKAGING_PACKAGES="dpkg-dev debhelper lintian"

DEMO_PACKAGES="jq procps fonts-dejavu-core"

TEST_PACKAGES="clang libclang-rt-14-dev clang-format libcmocka-dev python3 python3-pytest
	python3-pytest-xdist python3-requests python3-yaml python3-jsonschema python3-jwt python3-cryptography
	imagemagick x11-utils xvfb xserver-xorg-core xserver-xorg-video-dummy tigervnc-scraping-server psmisc iproute2
	faketime git prometheus sslscan pciutils chromium systemd-container dbus libpam-systemd $PACKAGING_PACKAGES"

# Beside TEST_PACKAGES: what the benchmarks of the API compare with, and measure with.
BENCH_PACKAGES="wrk nginx-light"

install_missing() {
	missing=
	for package; do
		case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
		installed) ;;
		*) missing="$missing $package" ;;
		esac
	done
	[ -n "$missing" ] || return 0
	# What is missing is a list of words.
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get -q update &&
		DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
}

# The same for packages that would start a service, prometheus for instance, of which the tests use the
# tool promtool only.
install_missing_quietly() {
	policy=/usr/sbin/policy-rc.d
	if [ -e "$policy" ]; then
		install_missing "$@"
		return
	fi
	printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || return 1
	install_missing "$@"
	status=$?
	rm -f "$policy"
	return $status
}

# shellcheck disable=SC2086
install_build_packages() {
	install_missing $BUILD_PACKAGES
}

# shellcheck disable=SC2086
install_run_packages() {
	install_missing $RUN_PACKAGES
}

# shellcheck disable=SC2086
install_demo_packages() {
	install_missing $DEMO_PACKAGES
}

# shellcheck disable=SC2086
install_packaging_packages() {
	install_missing $BUILD_PACKAGES $PACKAGING_PACKAGES
}

# shellcheck disable=SC2086
install_test_packages() {
	install_missing_quietly $DEMO_PACKAGES $TEST_PACKAGES
}

# shellcheck disable=SC2086
install_bench_packages() {
	install_missing_quietly $DEMO_PACKAGES $TEST_PACKAGES $BENCH_PACKAGES
}

# install_npm_packages FOLDER: exactly what the folder's package-lock.json says, into its node_modules.
install_npm_packages() {
	command -v node >/dev/null && command -v npm >/dev/null || install_missing nodejs npm || return 1
	cmp -s "$1/package-lock.json" "$1/node_modules/installed-lock.json" && return 0
	(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund) &&
		cp "$1/package-lock.json" "$1/node_modules/installed-lock.json"
}
