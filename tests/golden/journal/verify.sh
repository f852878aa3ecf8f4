#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tombolo-journal says of a damaged copy of the stored journal, with the stored marks of its parent, what it
# always said. Arguments: tombolo-journal, the folder v1, the folder verify (TMB_GOLDEN_WRITE=1 writes to it).
set -euo pipefail
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/journal"
cp -r "$2/identity" "$2/data" "$copy/journal/"
cp "$3/uplink.marks" "$copy/"
spoil() {
    printf '\xff' | dd of="$copy/journal/data/$1.seg" bs=1 seek="$2" conv=notrunc status=none
}
spoil 00000000000000000001 300 # record 1: the parent has it
spoil 00000000000000000001 350 # record 2: it was told as a gap
for form in table json; do
    status=0
    "$1" verify "$copy" -o $form >"$copy/out" || status=$?
    [ $status -eq 1 ] || { echo "exit $status" >&2; exit 1; }
    if [ -n "${TMB_GOLDEN_WRITE:-}" ]; then cp "$copy/out" "$3/expected.$form"; fi
    diff -u "$3/expected.$form" "$copy/out"
done
