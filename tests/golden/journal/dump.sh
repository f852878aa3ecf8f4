#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The dump of the stored journal, word for word; and the exit codes of the command.
# Arguments: tombolo-journal, the folder v1.
set -u
tool=$1
golden=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

fail() { echo "FAIL: $*" >&2; exit 1; }
exits() {
    want=$1; shift
    "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ "$got" -eq "$want" ] || { cat "$work/err" >&2; fail "exit $got, not $want: $*"; }
}

"$tool" dump "$golden" >"$work/dump" || fail "dump"
diff -u "$golden/expected.jsonl" "$work/dump" || fail "the dump has changed"

exits 0 "$tool" verify "$golden"
exits 0 "$tool" list "$golden"
grep -q '^data ' "$work/out" || fail "list shows no stream"
exits 0 "$tool" dump "$golden" data --from 5 -n 2
[ "$(wc -l <"$work/out")" -eq 2 ] || fail "--from 5 -n 2"
exits 0 "$tool" dump "$golden" --since 2023-11-14T22:13:25Z -n 1
grep -q '"seq":5,' "$work/out" || fail "--since"
exits 0 "$tool" dump "$golden" --since "2023-11-14 22:13:24.5" -n 1
grep -q '"seq":5,' "$work/out" || fail "--since with a fraction"
exits 0 "$tool" dump "$golden" --since 2023-11-14 -n 1
grep -q '"seq":1,' "$work/out" || fail "--since a day"
exits 0 "$tool" dump "$golden" --since 1h
[ ! -s "$work/out" ] || fail "--since 1h"
exits 2 "$tool" dump "$golden" --since 2023-13-01
exits 2 "$tool"
exits 2 "$tool" nonsense "$golden"
exits 2 "$tool" dump "$golden" --from 0
exits 2 "$tool" list "$golden" --follow
exits 2 "$tool" dump "$golden" --since yesterday
exits 3 "$tool" list "$work/none"
exits 3 "$tool" dump "$golden" nostream
exits 0 "$tool" --help
exits 0 "$tool" --version

# As the data_dir above it; and one byte changed is found, named and in the exit code.
mkdir "$work/journal" && cp -r "$golden/data" "$golden/identity" "$work/journal/"
exits 0 "$tool" verify "$work" -o json
grep -q '"damaged": false' "$work/out" || fail "verify -o json"
set -- "$work/journal/data/"*.seg
first=$(basename "$1")
printf 'X' | dd of="$work/journal/data/$first" bs=1 seek=300 conv=notrunc 2>/dev/null
exits 1 "$tool" verify "$work"
grep -q "$first, bytes 192 to " "$work/out" || fail "verify does not name the range"
exits 1 "$tool" dump "$work"
printf 'X' | dd of="$work/journal/identity" bs=1 seek=3 conv=notrunc 2>/dev/null
exits 1 "$tool" verify "$work" data
grep -q '^identity: damaged' "$work/out" || fail "verify does not name the identity"
echo "journal dump, list and verify: as expected"
