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
		libconfig-dev libidn2-dev libssl-dev libglib2.0-dev libgmime-3.0-dev libjansson-dev ;;
	run) echo postfix python3 python3-dkim ;;
	test) echo git gawk libcmocka-dev python3 python3-dkim python3-nacl libmail-dkim-perl openssl \
		mandoc procps ;;
	e2e) echo postfix opendkim opendkim-tools m4 ;;
	sanitizers) echo clang libclang-rt-14-dev valgrind ;;
	bench) echo opendkim python3-dkim python3-nacl openssl ;;
	*) echo "packages.sh: no purpose \"$1\"" >&2; exit 64 ;;
	esac
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
	[ -z "$missing" ] && exit 0
	as_root=
	[ "$(id -u)" = 0 ] || as_root=sudo
	echo "installing:$missing"
	# A package's server must not start: on this machine Postfix is only a program for private instances.
	policy=/usr/sbin/policy-rc.d
	ours=no
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
		$as_root chmod 755 $policy
		ours=yes
	fi
	trap '[ $ours = yes ] && $as_root rm -f $policy' EXIT
	echo 'postfix postfix/main_mailer_type select No configuration' |
		$as_root debconf-set-selections 2>/dev/null || true
	$as_root apt-get -q update >/dev/null
	# shellcheck disable=SC2086 # a list
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install $missing \
		>/dev/null ;;
*)
	echo 'usage: packages.sh --list|--check|--install PURPOSE...' >&2
	exit 64 ;;
esac
