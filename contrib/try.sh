#!/bin/sh
# try.sh - build poolmilter, send one message through it and a Postfix, and show what comes out.
#
# For a Debian 12 with nothing but this checkout.  What it needs is installed with apt-get; all else
# happens in one temporary directory: the checkout stays clean, and a Postfix that may be installed
# is neither configured, started nor stopped (the one used here is a private instance on loopback
# ports, see tests/lib/postfix.py).  The second half of the work is try.py, beside this file.
#
# Exit status: 0 if the message was signed, verified, and left with its Return-Path moved; 1 if not;
# 64 wrong usage; 69 something needed is missing and cannot be installed.
set -eu

BUILD_PACKAGES="build-essential autoconf automake libtool pkg-config libmilter-dev libopendkim-dev
libconfig-dev libidn2-dev libssl-dev libgmime-3.0-dev libjansson-dev"
RUN_PACKAGES="postfix python3 python3-dkim openssl"

usage() {
	cat <<'TEXT'
Usage: contrib/try.sh [--keep]

Builds poolmilter in a temporary directory, starts it beside a private Postfix on
loopback ports, sends a message through, shows what comes out (envelope and
message), verifies its DKIM signature and prints a verdict. Leaves nothing behind,
except packages that it installed.

  --keep   leave the servers running in the background; print the ports, the
           directory, how to send and how to stop
  --help   this text

Environment: MAKEFLAGS is honoured, TMPDIR says where the temporary directory goes.
TEXT
}

say() { printf '%s\n' "== $*"; }
die() {
	status=$1
	shift
	printf '%s\n' "try.sh: $*" >&2
	exit "$status"
}

# ---- packages

missing_packages() {
	for package in $BUILD_PACKAGES $RUN_PACKAGES; do
		state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
		case $state in
		ii*) ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

# Debian starts a server as soon as its package is installed, and gives Postfix a configuration.
# policy-rc.d (101: "not allowed") and the answer "No configuration" keep this one asleep.
# --no-remove: where another MTA is installed, apt would remove it in exchange; that is not for us.
install_packages() {
	command -v apt-get >/dev/null || die 69 "not a Debian system; needed: $*"
	say "installing with apt-get: $*"
	policy=/usr/sbin/policy-rc.d
	if [ -e "$policy" ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
		$as_root chmod 755 "$policy"
	fi
	case " $* " in
	*" postfix "*)
		say "Postfix gets no configuration and is not started (debconf: No configuration)"
		echo "postfix postfix/main_mailer_type select No configuration" |
			$as_root debconf-set-selections
		;;
	esac
	status=0
	$as_root apt-get -qq update &&
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-remove \
			--no-install-recommends install "$@" </dev/null >"$work/apt.log" 2>&1 ||
		status=$?
	[ -z "$policy" ] || $as_root rm -f "$policy"
	if [ "$status" -ne 0 ]; then
		tail -n 20 "$work/apt.log" >&2 || true
		die 69 "apt-get could not install: $* (is another mail server installed?)"
	fi
}

# ---- build

# The files of the checkout as they are now, without what earlier builds left in it.
copy_source() {
	mkdir "$work/source"
	if git -c safe.directory='*' -C "$top" rev-parse --git-dir >/dev/null 2>&1; then
		(cd "$top" && git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
			tar --null --ignore-failed-read -T - -cf - 2>/dev/null) | tar -C "$work/source" -xf -
	else
		(cd "$top" && tar --exclude=./.git --exclude='*.o' --exclude='*.a' --exclude=config.status \
			--exclude=config.h --exclude=./src/poolmilter --exclude=./src/poolctl -cf - .) |
			tar -C "$work/source" -xf -
	fi
}

step() {
	log=$1
	shift
	(cd "$build" && "$@") >"$work/$log.log" 2>&1 || {
		tail -n 40 "$work/$log.log" >&2
		die 1 "failed: $* (above: the end of its output)"
	}
}

build() {
	say "building in $work (the checkout stays as it is)"
	copy_source
	build=$work/source
	[ -x "$build/configure" ] || step autoreconf autoreconf -fi
	mkdir "$work/build"
	build=$work/build
	step configure "$work/source/configure" --quiet
	step make make -j"$(nproc)"
}

# ---- main

keep=
for argument in "$@"; do
	case $argument in
	--keep) keep=--keep ;;
	--help | -h)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 64
		;;
	esac
done

top=$(cd "$(dirname "$0")/.." && pwd)
as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || die 69 "run it as root, or install sudo: Postfix starts as root only"
	as_root=sudo
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/poolmilter-try-XXXXXX")
chmod 755 "$work" # Postfix and the daemon run as users of their own and look into it
trap '[ -z "$work" ] || $as_root rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

missing=$(missing_packages)
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || install_packages $missing
build

status=0
$as_root /usr/bin/python3 "$work/source/contrib/try.py" --programs "$work/build/src" \
	--directory "$work" $keep || status=$?
# With --keep the servers own the directory now; who stops them removes it.
[ -z "$keep" ] || [ "$status" -ne 0 ] || work=
exit "$status"
