#!/bin/sh
# packages.sh - the Debian packages that poolmilter needs, by purpose.
#
#	packages.sh --list build run	prints them
#	packages.sh --check build test	exits 1 and names those that are missing
#	packages.sh --install build	installs those that are missing (root or sudo)
set -eu

packages() {
	case $1 in
	build) echo gcc make autoconf automake pkg-config libc6-dev libmilter-dev libopendkim-dev \
		libconfig-dev libidn2-dev libssl-dev libglib2.0-dev libgmime-3.0-dev libjansson-dev \
		libunbound-dev libcurl4-openssl-dev libhiredis-dev libspf2-dev libpsl-dev \
		libpcre2-dev libsqlite3-dev libsystemd-dev zlib1g-dev ;;
	run) echo postfix python3 python3-dkim openssl ;;
	test) echo postfix git gawk libcmocka-dev python3 python3-dkim python3-nacl libmail-dkim-perl openssl \
		procps libfaketime xz-utils redis-server redis-sentinel gnuplot-nox python3-prometheus-client \
		unbound bind9-utils python3-spf libmail-dmarc-perl ;;
	e2e) echo postfix opendkim m4 util-linux libsasl2-modules sasl2-bin ;;
	sanitizers) echo clang libclang-rt-14-dev ;;
	bench) echo opendkim redis-server python3-dkim python3-nacl openssl ;;
	*) echo "packages.sh: no purpose \"$1\"" >&2; exit 64 ;;
	esac
}

# Debian starts a server as soon as its package is installed, and gives Postfix a configuration.
# policy-rc.d (101: "not allowed") and the answer "No configuration" keep this one asleep: it is only a
# program for private instances.  --no-remove: where another MTA is installed, apt would remove it in
# exchange; that is not for us.
install_packages() {
	command -v apt-get >/dev/null || { echo "not a Debian system; needed: $*" >&2; exit 69; }
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || { echo "needed, as root or with sudo: $*" >&2; exit 69; }
		as_root=sudo
	fi
	echo "== installing with apt-get: $*"
	policy=/usr/sbin/policy-rc.d
	if [ -e $policy ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
		$as_root chmod 755 $policy
	fi
	echo 'postfix postfix/main_mailer_type select No configuration' |
		$as_root debconf-set-selections 2>/dev/null || true
	log=$(mktemp)
	status=0
	{ $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-remove \
		--no-install-recommends install "$@" </dev/null; } >"$log" 2>&1 || status=$?
	[ -z "$policy" ] || $as_root rm -f "$policy"
	if [ $status -ne 0 ]; then
		tail -n 20 "$log" >&2
		echo "apt-get could not install: $* (is another mail server installed?)" >&2
	fi
	rm -f "$log"
	[ $status -eq 0 ] || exit 69
}

mode=${1:-}
[ $# -gt 0 ] && shift
wanted=
for purpose; do
	wanted="$wanted $(packages "$purpose")"
done
missing=
for p in $wanted; do
	dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
case $mode in
--list) echo "$wanted" ;;
--check)
	[ -z "$missing" ] || { echo "missing packages:$missing" >&2; exit 1; } ;;
--install)
	# shellcheck disable=SC2086 # a list
	[ -z "$missing" ] || install_packages $missing ;;
*)
	echo 'usage: packages.sh --list|--check|--install PURPOSE...' >&2
	exit 64 ;;
esac
