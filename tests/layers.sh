#!/bin/sh
# Proves the layers of DESIGN.md, section 2, by the #include lines and declarations of src/.  TAP.
#
#	base		glib, libc
#	core		base; glib, gmime, openssl, idn2 (in domain.c alone), libc without sockets and files
#	io		base, core; each file one foreign library at most (glib is none)
#	daemon, ctl, events	base, core, io, not each other; libmilter only in the files named below
#
# Our public functions keep off the prefixes of foreign libraries.  At the end violations are planted in
# a copy: each must be found, or the checks above prove nothing.

# Files that may know libmilter: the callbacks, what they hand on, and its main loop.
milter_files='apply.c apply.h callbacks.c main.c negotiate.c negotiate.h'

top=$(cd "$(dirname "$0")/.." && pwd) || exit 99
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# includes ROOT: a line "layer file header" for each #include; own headers as they are, <foreign> in brackets.
includes() {
	(cd "$1" && find . -name '*.[ch]' -type f | LC_ALL=C sort | while read -r file; do
		sed -n 's/^[[:blank:]]*#[[:blank:]]*include[[:blank:]]*\(["<]\)\([^">]*\)[">].*/\1\2/p' "$file" |
			sed -e 's/^"//' -e 's/^<\(.*\)/<\1>/' -e "s|^|${file#./} |"
	done) | sed 's|^\([^/]*\)/\([^ ]*\) |\1 \2 |'
}

# library HEADER: the foreign library that it belongs to, "libc", or "unknown".
library='
function library(h) {
	if (h ~ /^<glib/ || h ~ /^<gio\//) return "glib"
	if (h ~ /^<gmime\//) return "gmime"
	if (h ~ /^<openssl\//) return "openssl"
	if (h == "<idn2.h>") return "idn2"
	if (h == "<libconfig.h>") return "libconfig"
	if (h ~ /^<opendkim\//) return "opendkim"
	if (h ~ /^<hiredis\//) return "hiredis"
	if (h == "<unbound.h>") return "unbound"
	if (h ~ /^<spf2\//) return "spf2"
	if (h == "<libpsl.h>") return "psl"
	if (h == "<jansson.h>") return "jansson"
	if (h ~ /^<curl\//) return "curl"
	if (h == "<sqlite3.h>") return "sqlite"
	if (h == "<pcre2.h>") return "pcre2"
	if (h ~ /^<systemd\//) return "systemd"
	if (h == "<zlib.h>") return "zlib"
	if (h ~ /^<libmilter\//) return "libmilter"
	if (h ~ /^<(sys|arpa|netinet|linux|sanitizer)\/[a-z_]+\.h>$/) return "libc"
	if (h ~ /^<(assert|ctype|dirent|dlfcn|errno|fcntl|getopt|grp|inttypes|limits|locale|malloc|math|netdb|poll|pthread|pwd|regex|sched|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string|strings|sysexits|syslog|termios|time|unistd|wchar)\.h>$/)
		return "libc"
	return "unknown"
}
# A header of ours: "layer/name.h".
function layer_of(h) { return h ~ /^</ ? "" : (h ~ /\// ? substr(h, 1, index(h, "/") - 1) : "?") }
function bad(why) { print $1 "/" $2 " includes " $3 ": " why }
'

# ---- the checks: each prints what is wrong, nothing when all is well

check_own_layers() {
	includes "$1" | awk "$library"'
	BEGIN {
		allow["base"] = " base "; allow["core"] = " base core "; allow["io"] = " base core io "
		allow["daemon"] = " base core io daemon "; allow["ctl"] = " base core io ctl "
		allow["events"] = " base core io events "
	}
	layer_of($3) != "" {
		if (!($1 in allow)) bad("a folder without a layer")
		else if (index(allow[$1], " " layer_of($3) " ") == 0) bad("not a layer below " $1)
	}'
}

check_base_foreign() {
	includes "$1" | awk "$library"'
	$1 == "base" && $3 ~ /^</ && library($3) !~ /^(glib|libc)$/ { bad("base may know glib and libc only") }'
}

check_core_foreign() {
	includes "$1" | awk "$library"'
	$1 == "core" && $3 ~ /^</ {
		l = library($3)
		if (l !~ /^(glib|gmime|openssl|idn2|libc)$/) bad("core may not know " l)
		if (l == "idn2" && $2 != "domain.c") bad("only domain.c may know idn2")
		if ($3 ~ /^<(sys\/(socket|stat|epoll|wait|file|mman)|netdb|fcntl|unistd|poll|dirent)\.h>$/)
			bad("core has no sockets, no files, no processes")
	}'
}

check_io_one_library() {
	includes "$1" | awk "$library"'
	$1 == "io" && $3 ~ /^</ {
		l = library($3)
		if (l == "unknown" || l == "libmilter") bad("io may not know " l)
		if (l == "libc" || l == "glib" || l == "unknown") next
		# dkim.c: libopendkim takes keys, and ours are libcrypto objects (EVP_PKEY) that it passes on.
		if ($2 == "dkim.c" && l == "openssl" && $3 == "<openssl/evp.h>") next
		if (($2 in first) && first[$2] != l) bad("a second foreign library beside " first[$2])
		else first[$2] = l
	}'
}

check_milter() {
	includes "$1" | awk -v files=" $milter_files " "$library"'
	library($3) == "libmilter" && ($1 != "daemon" || index(files, " " $2 " ") == 0) {
		bad("libmilter is known to the callbacks only")
	}'
}

check_programs_foreign() {
	includes "$1" | awk "$library"'
	($1 == "daemon" || $1 == "ctl" || $1 == "events") && $3 ~ /^</ {
		l = library($3)
		if (l == "unknown") bad("unknown library: add it to this script, where it belongs")
		if (l ~ /^(libconfig|opendkim|hiredis|unbound|spf2|psl|idn2|curl|sqlite|pcre2|systemd|zlib)$/) bad(l " belongs to io")
		if ($1 != "ctl" && l ~ /^(jansson|openssl)$/) bad("daemons reach " l " through io")
		if ($1 == "ctl" && l == "openssl") bad("the tool reaches openssl through io")
	}'
}

# Functions that headers declare: a name with such a prefix in front of a parenthesis, not in a comment.
check_prefixes() {
	(cd "$1" && find . -name '*.h' -type f | LC_ALL=C sort | while read -r file; do
		awk -v file="${file#./}" '
		/^[ \t]*(\/\*|\*|#)/ { next }
		{
			gsub(/\/\*[^*]*\*\//, "")
			while (match($0, /(config|dkim|smfi|mi|redis|sds|ub|json|curl|sqlite3|pcre2|sd)_[a-z0-9_]*\(/)) {
				before = RSTART > 1 ? substr($0, RSTART - 1, 1) : " "
				name = substr($0, RSTART, RLENGTH - 1)
				$0 = substr($0, RSTART + RLENGTH)
				if (before !~ /[A-Za-z0-9_]/)
					print file " declares " name "(): the prefix is a foreign library'"'"'s"
			}
		}' "$file"
	done)
}

checks='own_layers base_foreign core_foreign io_one_library milter programs_foreign prefixes'

# ---- TAP

number=0
failed=0
result() { # STATUS NAME
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failed=1
	fi
}

for check in $checks; do
	found=$(check_"$check" "$top/src")
	[ -z "$found" ]
	result $? "$check"
	[ -z "$found" ] || echo "$found" | sed 's/^/# /'
done

# The checks must have had something to look at.
count=$(includes "$top/src" | wc -l)
[ "$count" -gt 200 ]
result $? "all includes are seen"

# ---- planted violations: CHECK FILE LINES

one_line() {
	printf '%s' "$1" | tr '\n#' '; '
}

planted=0
plant() { # CHECK FILE LINE
	planted=$((planted + 1))
	root=$work/$planted
	mkdir -p "$root/${2%/*}"
	printf '%s\n' "$3" >"$root/$2"
	[ -n "$(check_"$1" "$root")" ]
	result $? "planted in $2: $(one_line "$3")"
}

spare() { # CHECK FILE LINE: allowed, must not be reported
	planted=$((planted + 1))
	root=$work/$planted
	mkdir -p "$root/${2%/*}"
	printf '%s\n' "$3" >"$root/$2"
	found=$(check_"$1" "$root")
	[ -z "$found" ]
	result $? "allowed in $2: $(one_line "$3")"
}

plant own_layers base/buf.c '#include "core/message.h"'
plant own_layers base/buf.h '  #  include "io/signer.h"'
plant own_layers core/pool.c '#include "io/keystore.h"'
plant own_layers core/pool.c '#include "daemon/session.h"'
plant own_layers io/keystore.c '#include "daemon/snapshot.h"'
plant own_layers io/keystore.c '#include "ctl/eml.h"'
plant own_layers daemon/main.c '#include "ctl/eml.h"'
plant own_layers ctl/main.c '#include "daemon/session.h"'
plant own_layers events/main.c '#include "daemon/session.h"'
plant own_layers daemon/main.c '#include "events/sender.h"'
plant own_layers io/event_db.c '#include "events/sender.h"'
plant own_layers core/pool.c '#include "pool.h"'
plant own_layers extra/x.c '#include "base/buf.h"'
plant base_foreign base/log.c '#include <gmime/gmime.h>'
plant base_foreign base/log.c '#include <openssl/evp.h>'
plant core_foreign core/pool.c '#include <libconfig.h>'
plant core_foreign core/pool.c '#include <hiredis/hiredis.h>'
plant core_foreign core/pool.c '#include <opendkim/dkim.h>'
plant core_foreign core/pool.c '#include <libmilter/mfapi.h>'
plant core_foreign core/pool.c '#include <idn2.h>'
plant core_foreign core/pool.c '#include <sys/socket.h>'
plant core_foreign core/pool.c '#include <unistd.h>'
plant core_foreign core/pool.c '#include <something-new.h>'
plant io_one_library io/keystore.c '#include <openssl/evp.h>
#include <libconfig.h>'
plant io_one_library io/signer.c '#include <opendkim/dkim.h>
#include <openssl/pem.h>'
plant io_one_library io/listener.c '#include <libmilter/mfapi.h>'
plant milter daemon/session.c '#include <libmilter/mfapi.h>'
plant milter ctl/main.c '#include <libmilter/mfdef.h>'
plant programs_foreign daemon/main.c '#include <libconfig.h>'
plant programs_foreign ctl/main.c '#include <opendkim/dkim.h>'
plant prefixes io/signer.h 'struct signer *dkim_new_thing(int x);'
plant prefixes io/x.h 'void config_load(const char *path);'
plant prefixes daemon/x.h 'int smfi_ours(void);'
spare own_layers daemon/main.c '#include "io/conf_file.h"'
spare own_layers core/pool.c '#include "base/buf.h"'
spare core_foreign core/domain.c '#include <idn2.h>'
spare io_one_library io/keystore.c '#include <openssl/evp.h>
#include <openssl/pem.h>
#include <glib.h>'
spare milter daemon/callbacks.c '#include <libmilter/mfapi.h>'
spare prefixes io/x.h '/* calls dkim_header() of libopendkim */'
spare prefixes core/x.h 'bool pool_config_ok(void);'

echo "1..$number"
exit $failed
