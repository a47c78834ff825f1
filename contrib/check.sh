#!/bin/sh
# check.sh - installs what the tests need (Debian), builds a copy of this checkout, runs every test: unit,
# golden, configuration, component, end to end with real Postfix and Sendmail.  Ends with the line
# "N passed, N failed"; a skipped test counts as failed.  Leaves nothing behind in the checkout.
set -eu

usage() {
	cat <<'END'
Usage: contrib/check.sh [options]

  --no-install    do not install packages; fail where one is missing
  --no-e2e        leave out the end-to-end tests (they need root)
  --without LIST  leave out these tests, a list of make's patterns such as "tests/config/%"
  --keep          keep the build directory and say where it is
  --jobs N        run N tests at a time (default: number of processors)
  --configure ARG an argument for configure, such as --enable-sanitizers=thread; may be repeated
  --help          print this

CC and CFLAGS of the environment are used for the build.
END
}

here=$(cd "$(dirname "$0")/.." && pwd)
install=yes e2e=yes keep=no jobs=$(nproc) without= configure_args=
while [ $# -gt 0 ]; do
	case $1 in
	--no-install) install=no ;;
	--no-e2e) e2e=no ;;
	--without) without=$2; shift ;;
	--keep) keep=yes ;;
	--jobs) jobs=$2; shift ;;
	--configure) configure_args="$configure_args $2"; shift ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 64 ;;
	esac
	shift
done

mode=--check
[ $install = no ] || mode=--install
purposes="build test"
[ $e2e = no ] || purposes="$purposes e2e"
# shellcheck disable=SC2086 # several words
"$here/contrib/packages.sh" $mode $purposes

work=$(mktemp -d "${TMPDIR:-/tmp}/poolmilter-check.XXXXXX")
chmod 755 "$work"
cleanup() {
	if [ $keep = yes ]; then
		echo "kept: $work"
	else
		rm -rf "$work"
	fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

"$here/contrib/copy.sh" "$work/src"
mkdir "$work/build"
cd "$work/src"
autoreconf -fi >"$work/autoreconf.log" 2>&1 || { cat "$work/autoreconf.log"; exit 1; }
cd "$work/build"
# shellcheck disable=SC2086 # several arguments in one variable
../src/configure -q $configure_args
make -j"$(nproc)" >"$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }

# Runs a suite of automake's harness and adds its counts; its log is shown where something failed.
passed=0 failed=0
suite() {
	name=$1
	shift
	echo "== $name"
	status=0
	"$@" >"$work/$name.log" 2>&1 || status=$?
	count() { sed -n "s/^# $1: *\([0-9]*\)\$/\1/p" "$work/$name.log" | tail -n 1; }
	total=$(count TOTAL) pass=$(count PASS)
	if [ -z "$total" ] || [ "$total" -eq 0 ]; then
		tail -n 60 "$work/$name.log"
		echo "$name: no test ran"
		failed=$((failed + 1))
		return
	fi
	bad=$((total - pass))
	[ $bad -eq 0 ] && [ $status -ne 0 ] && bad=1
	echo "$name: $pass passed, $bad failed"
	if [ $bad -gt 0 ]; then
		tail -n 400 test-suite.log
		grep -E '^(FAIL|ERROR|XPASS|SKIP)' "$work/$name.log" || tail -n 40 "$work/$name.log"
	fi
	passed=$((passed + pass))
	failed=$((failed + bad))
}

export POOLMILTER_NO_SKIP=1
# shellcheck disable=SC2016 # make expands it
suite check make -j"$jobs" check TESTS='$(filter-out '"$without"',$(UNIT_TESTS) $(SCRIPT_TESTS))'
# shellcheck disable=SC2016 # make expands it
[ $e2e = yes ] && suite e2e make check check_PROGRAMS= TESTS='$(filter-out '"$without"',$(E2E_TESTS))'
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
