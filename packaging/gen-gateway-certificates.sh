#!/bin/sh
# gen-gateway-certificates.sh [--folder FOLDER] [--days N] [--force]
#
# Makes the certificate that Connection Gateways show to the broker, with its key, and the trust store by
# which the broker knows it. To be run as root on the broker's host. FOLDER is
# /etc/dcv-session-manager-broker/resolver-creds unless another one is given; the certificate is good for
# N days, 3650 by default. What is there already is only replaced with --force.
set -eu
umask 077

folder=/etc/dcv-session-manager-broker/resolver-creds
days=3650
force=
group=dcvsmbroker

fail() {
	echo "gen-gateway-certificates.sh: $*" >&2
	exit 1
}
usage() {
	sed -n '2,8s/^# \{0,1\}//p' "$0"
	exit "$1"
}

while [ $# -gt 0 ]; do
	case $1 in
	--folder | --days)
		[ $# -ge 2 ] || usage 2 >&2
		[ "$1" = --folder ] && folder=$2 || days=$2
		shift
		;;
	--force) force=yes ;;
	-h | --help) usage 0 ;;
	*) usage 2 >&2 ;;
	esac
	shift
done
case $days in
'' | *[!0-9]* | ??????*) fail "--days '$days' is no number of days" ;;
esac
command -v openssl >/dev/null || fail "the program openssl is missing"

key=$folder/dcv_gateway_key.pem
cert=$folder/dcv_gateway_cert.pem
store=$folder/dcv_gateway_trust_store.p12
if [ -z "$force" ]; then
	for file in "$key" "$cert" "$store"; do
		[ ! -e "$file" ] || fail "$file is there already; --force makes all anew"
	done
fi

made=
[ -d "$folder" ] || made=yes
mkdir -p "$folder"
new=$(mktemp -d "$folder/.new-XXXXXX") || fail "cannot write to $folder"
trap 'rm -rf "$new"' EXIT
PASS=$(openssl rand -hex 16)
export PASS

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$new/key" \
	-out "$new/cert" -days "$days" -subj "/CN=Connection Gateway" \
	-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
	-addext extendedKeyUsage=clientAuth 2>"$new/log" || {
	cat "$new/log" >&2
	fail "openssl made no certificate"
}
openssl pkcs12 -export -nokeys -in "$new/cert" -out "$new/store" -passout env:PASS \
	-caname dcv-gateway || fail "openssl made no trust store"

# The broker reads the trust store, and nobody but root the key.
if [ "$(id -u)" -eq 0 ] && getent group "$group" >/dev/null; then
	[ -z "$made" ] || { chgrp "$group" "$folder" && chmod 750 "$folder"; }
	chgrp "$group" "$new/store" "$new/cert"
	chmod 640 "$new/store" "$new/cert"
fi
mv -f "$new/key" "$key"
mv -f "$new/cert" "$cert"
mv -f "$new/store" "$store"

cat <<END
The certificate of the gateways is in $folder
The pass phrase of the trust store is $PASS

On the broker, in session-manager-broker.properties:
    enable-tls-client-auth-gateway = true
    gateway-to-broker-connector-trust-store-file = $store
    gateway-to-broker-connector-trust-store-pass = $PASS
On each gateway, in the [resolver] section of its configuration, after copying both files there:
    cert-file = "$cert"
    cert-key-file = "$key"
END
