#!/bin/sh
# Every benchmark: ratios of one run against a peer or a limit. Nothing here passes or fails.
set -eu
cd "$(dirname "$0")"
"$DCV_BUILD"/bench/requirements
"$DCV_BUILD"/bench/token
python3 local.py
sh api.sh
sh viewer.sh
