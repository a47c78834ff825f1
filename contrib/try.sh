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

# ---- build

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
	"$top/contrib/copy.sh" "$work/source"
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

"$top/contrib/packages.sh" --install build run
build

status=0
$as_root /usr/bin/python3 "$work/source/contrib/try.py" --programs "$work/build/src" \
	--directory "$work" $keep || status=$?
# With --keep the servers own the directory now; who stops them removes it.
[ -z "$keep" ] || [ "$status" -ne 0 ] || work=
exit "$status"
