#!/bin/sh
# The API's benchmarks: rate and cost beside nginx, as ratios. Nothing here passes or fails.
set -eu
cd "$(dirname "$0")"
# shellcheck source=packaging/packages.sh
. ../../packaging/packages.sh
install_bench_packages
"$DCV_BUILD"/bench/page
/usr/bin/python3 api.py
