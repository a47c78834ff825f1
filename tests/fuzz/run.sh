#!/bin/sh
# run.sh - builds the fuzz targets (libFuzzer, AddressSanitizer, UndefinedBehaviorSanitizer) outside of the
# checkout and runs each for some time.  Exit 1 on any crash, hang, leak or too much memory, with the
# input in base64.  Ends with the line "N fuzzers ran, N crashed".
#
# With --prove each target is built with a fault planted in a copy of a source file: its seeds must not
# show it, the fuzzer must find it, and what it finds must be no fault of the real program.
set -eu

usage() {
	cat <<'END'
Usage: tests/fuzz/run.sh [options]

  --seconds N    run each target for N seconds (default 60)
  --target NAME  only this one; may be repeated: process template author token config codec
                 mime milter_io record bounce log_line
  --corpus DIR   keep what is found to be of use in DIR/NAME and begin with it
  --cc CC        a clang with libFuzzer (default clang)
  --prove        plant a fault for each target, which must find it within N seconds
  --help         print this
END
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
all='process template author token config codec mime milter_io record bounce log_line'
seconds=60 targets='' corpus='' cc=clang prove=no
while [ $# -gt 0 ]; do
	case $1 in
	--seconds | --target | --corpus | --cc)
		[ $# -ge 2 ] || { usage >&2; exit 64; } ;;
	esac
	case $1 in
	--seconds) seconds=$2; shift ;;
	--target) targets="$targets $2"; shift ;;
	--corpus) mkdir -p "$2"; corpus=$(cd "$2" && pwd); shift ;;
	--cc) cc=$2; shift ;;
	--prove) prove=yes ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 64 ;;
	esac
	shift
done
[ -n "$targets" ] || targets=$all
for name in $targets; do
	[ -f "$here/fuzz_$name.c" ] || { echo "run.sh: no target \"$name\"" >&2; exit 64; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/poolmilter-fuzz-run.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/objects" "$work/tmp"

packages='opendkim libconfig hiredis gmime-3.0 glib-2.0 libpcre2-8 libssl libcrypto libidn2'
# shellcheck disable=SC2086 # a list of names
cflags=$(pkg-config --cflags $packages)
# shellcheck disable=SC2086
libs=$(pkg-config --libs $packages)
sanitize=address,undefined
wrap='-Wl,--wrap=read -Wl,--wrap=poll -Wl,--wrap=writev -Wl,--wrap=close'

# compile SOURCE OBJECT
compile() {
	# shellcheck disable=SC2086 # flags
	nice "$cc" -std=gnu11 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -pthread \
		-fsanitize=fuzzer-no-link,$sanitize -fno-sanitize-recover=undefined \
		-DPOOLMILTER_CONFIG='"/nowhere/poolmilter.conf"' -DPOOLMILTER_STATE_DIR='"/nowhere"' \
		-DPACKAGE_VERSION='"fuzz"' \
		-I"$top/src" -I"$here" $cflags -c -o "$2" "$1"
}

# link NAME PROGRAM [OBJECT in place of the library's]
link() {
	name=$1 program=$2
	shift 2
	flags=''
	if [ "$name" = milter_io ]; then
		flags=$wrap
		[ $# -gt 0 ] || set -- "$work/objects/milter_io.o"
	fi
	# shellcheck disable=SC2086
	"$cc" -pthread -fsanitize=fuzzer,$sanitize $flags -o "$program" "$work/objects/fuzz_$name.o" "$@" \
		"$work/objects/libfuzz.a" $libs
}

# Everything but the planted faults: two compilers at a time.
build() {
	background=''
	for source in "$top"/src/base/*.c "$top"/src/core/*.c "$top"/src/io/*.c "$top/src/ctl/eml.c" \
		"$top/src/daemon/milter_io.c" "$here"/*.c; do
		compile "$source" "$work/objects/$(basename "$source" .c).o" &
		if [ -n "$background" ]; then
			wait "$background"
		fi
		background=$!
	done
	wait "$background"
	for object in "$work"/objects/*.o; do
		case ${object##*/} in
		fuzz_*.o | milter_io.o) ;;
		*) "${AR:-ar}" rc "$work/objects/libfuzz.a" "$object" ;;
		esac
	done
	for name in $targets; do
		link "$name" "$work/$name"
	done
}

# fuzz NAME PROGRAM DIRECTORY [libFuzzer's options and corpora]: writes DIRECTORY/log and what crashed it
fuzz() {
	dict=$here/$1.dict runs=$2 into=$3
	shift 3
	[ ! -f "$dict" ] || set -- "-dict=$dict" "$@"
	mkdir -p "$into/found"
	(
		cd "$into"
		# libconfig 1.5 forgets strings at syntax errors; our own leaks count.
		TMPDIR="$work/tmp" LSAN_OPTIONS="suppressions=$top/tests/config/lsan.supp:print_suppressions=0" \
			UBSAN_OPTIONS=print_stacktrace=1 G_DEBUG=fatal-criticals \
			nice "$runs" -rss_limit_mb=2048 -timeout=10 -max_len=16384 -print_final_stats=1 \
			-artifact_prefix="$into/found/" "$@"
	) >"$into/log" 2>&1
}

# The inputs that stopped a run; slow ones (slow-unit-*) are told but no failure.
found() {
	for input in "$1"/found/*; do
		[ ! -f "$input" ] || echo "$input"
	done
}

show() {
	found "$1" | while read -r input; do
		echo "# $2: ${input##*/}, to be read with base64 -d:"
		base64 "$input" | sed 's/^/#   /'
	done
}

run() {
	mkdir -p "$work/run-$1/corpus"
	kept=${corpus:+$corpus/$1}
	[ -z "$kept" ] || mkdir -p "$kept"
	if fuzz "$1" "$work/$1" "$work/run-$1" "-max_total_time=$seconds" "${kept:-$work/run-$1/corpus}" \
		"$here/seeds/$1"; then
		status=0
		echo "$1: ok, $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/run-$1/log") runs"
	else
		status=1
		echo "$1: CRASHED"
		tail -n 60 "$work/run-$1/log" | sed 's/^/# /'
	fi
	show "$work/run-$1" "$1"
	return $status
}

# The fault of a target: a source file and what sed makes of it.
plant() {
	case $1 in
	process) # a wrong index from the fifth copy of a deleted header on
		file=core/image.c script='s/indices\[k\] + keep,/indices[k] + keep + (which->len > 4),/' ;;
	template) # one control character passes
		file=core/template.c script='s/c <= 32 || c == 127/(c <= 32 \&\& c != 11) || c == 127/' ;;
	author) # one letter stays in upper case
		file=core/domain.c script="s/ = g_ascii_tolower(c);/ = c == 'Q' ? c : g_ascii_tolower(c);/" ;;
	token) # the last octet of a HMAC is not compared
		file=core/token.c script='s/(digest, given, MAC_SIZE)/(digest, given, MAC_SIZE - 1)/' ;;
	config) # a long string that is not closed: reading goes on behind the end
		file=io/conf_text.c script="/^string_length/,/^}/s/ == '.0')/ == 0 \&\& i < 8)/" ;;
	codec) # a last line of 76 octets gets a soft line break
		file=core/codec.c script='s/p == end ? !as_lines : /p == end || /' ;;
	mime) # content of more than 150 octets loses its last one
		file=core/recode.c script='s/encode(data, len, whole/encode(data, len - (len > 150), whole/' ;;
	milter_io) # a packet counts as there when its last octets are not
		file=daemon/milter_io.c script='s/have - HEAD_SIZE >= /have >= /' ;;
	bounce) # a reply may have lines
		file=core/bounce_reply.c script="s/g_ascii_iscntrl(text\[i\]) ?/g_ascii_iscntrl(text[i]) \&\& text[i] != 13 ?/" ;;
	log_line) # a reply that ends with "x)" loses that parenthesis
		file=core/mta_delivery.c script='s/t\.len--;/t.len -= part_ends(t, PART("x))")) ? 2 : 1;/' ;;
	record) # a tag's name may begin with a digit
		file=core/tag_list.c script='s/at > begin &&/true \&\&/' ;;
	esac
}

# True if the target finds its planted fault; says why not.
proved() {
	directory=$work/prove-$1
	mkdir -p "$directory/corpus"
	plant "$1"
	sed "$script" "$top/src/$file" >"$directory/planted.c"
	if cmp -s "$directory/planted.c" "$top/src/$file"; then
		echo "$1: NOT PROVED: src/$file has changed, the fault cannot be planted"
		return 1
	fi
	compile "$directory/planted.c" "$directory/planted.o"
	link "$1" "$directory/planted" "$directory/planted.o"
	if ! fuzz "$1" "$directory/planted" "$directory" -runs=0 "$here/seeds/$1"; then
		echo "$1: NOT PROVED: a seed alone shows the fault"
		return 1
	fi
	if fuzz "$1" "$directory/planted" "$directory" "-max_total_time=$seconds" "$directory/corpus" \
		"$here/seeds/$1"; then
		echo "$1: NOT PROVED: the fault in src/$file was not found in $seconds s"
		return 1
	fi
	for input in "$directory"/found/*; do
		if ! fuzz "$1" "$work/$1" "$work/real-$1" "$input"; then
			echo "$1: NOT PROVED: found a fault of the real program instead"
			show "$directory" "$1"
			return 1
		fi
	done
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$directory/log")
	printf '%s: proved, found in %s runs: %s\n' "$1" "$runs" "$(sed "s|$top/||" "$directory/log" |
		grep -m 1 -E 'not so:|SUMMARY:|runtime error:' | cut -c 1-160)"
}

build
ran=0 failed=0
for name in $targets; do
	ran=$((ran + 1))
	if [ $prove = yes ]; then
		proved "$name" || failed=$((failed + 1))
	else
		run "$name" || failed=$((failed + 1))
	fi
done
if [ $prove = yes ]; then
	echo "$ran fuzzers tried, $failed not proved"
else
	echo "$ran fuzzers ran, $failed crashed"
fi
[ $failed -eq 0 ]
