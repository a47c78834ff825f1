#!/bin/sh
# copy.sh DIRECTORY - copies the files of this checkout as they are now, without what builds left in it.
# Outside a git checkout (an unpacked release) it copies everything but objects.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
target=$(cd "$1" && pwd)
cd "$top"
if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
	# A file that is deleted but not yet committed as such is listed and missing: no error.
	git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
		tar --null --ignore-failed-read -T - -cf - 2>/dev/null
else
	tar --exclude='*.o' --exclude='*.a' --exclude=config.status --exclude=./src/poolmilter \
		--exclude=./src/poolctl --exclude=./src/poolevents -cf - .
fi | tar -C "$target" -xf -
