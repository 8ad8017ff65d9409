#!/bin/sh
# The viewer's benchmarks: what bridging costs beside a plain copy, as a table. Nothing here passes or fails.
set -eu
cd "$(dirname "$0")"
# shellcheck source=packaging/packages.sh
. ../../packaging/packages.sh
install_bench_packages
/usr/bin/python3 viewer.py
