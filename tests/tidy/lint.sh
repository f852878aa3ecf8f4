#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lint.sh ROOT BUILD-FOLDER [FILE...]: clang-tidy with .clang-tidy over what the build compiles.
#
# A file that passed is not read again until it, a header or the rules change: its stamp is kept in
# BUILD-FOLDER/tidy-stamps.
set -euo pipefail
root=$(cd "$1" && pwd) build=$(cd "$2" && pwd)
shift 2
if [ $# -eq 0 ]; then
    mapfile -t files < <(python3 -c 'import json, os, sys
root, build = sys.argv[1:]
with open(os.path.join(build, "compile_commands.json")) as file:
    paths = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(file)}
print("\n".join(sorted(p for p in paths if p.startswith(root + "/") and not p.startswith(build + "/"))))' \
        "$root" "$build")
else
    files=("$@")
fi
[ "${#files[@]}" -gt 0 ] || { echo "tidy.lint: no file in the compile database" >&2; exit 1; }

stamps=$build/tidy-stamps
mkdir -p "$stamps"
common=$( (cat "$root/.clang-tidy" "$build/compile_commands.json"
    find "$root" -path "$root/build" -prune -o -name '*.h' -print0 | sort -z | xargs -0 cat) | sha256sum)
lint_one() {
    local stamp
    stamp=$stamps/$( (echo "$common" "$1"; cat "$1") | sha256sum | cut -c1-32)
    [ -e "$stamp" ] && return 0
    clang-tidy --quiet -p "$build" "$1" 2>/dev/null && : >"$stamp"
}
export -f lint_one
export stamps build common
status=0
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "${TMB_JOBS:-$(nproc)}" bash -c 'lint_one "$1"' _ || status=1
[ $status -eq 0 ] || echo "tidy.lint: see above" >&2
echo "${#files[@]} files"
exit $status
