#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# headers.sh ROOT BUILD-FOLDER [HEADER...]
#
# Each header compiles alone: as C17, and, but for those of the tests, as C++17, so that nobody has to
# know what to include before it. Without a list: every header of the tree.
set -euo pipefail
root=$1 build=$2
shift 2
if [ $# -eq 0 ]; then
    mapfile -t headers < <(cd "$root" && python3 -c 'import sys
sys.path.insert(0, "tests/tidy")
import tree
print("\n".join(p for p in tree.files(".") if p.endswith(".h")))')
else
    headers=("$@")
fi
[ "${#headers[@]}" -gt 0 ] || { echo "tidy.headers: no header found" >&2; exit 1; }

flags=(-fsyntax-only -Wall -Wextra -Werror -Wno-empty-translation-unit -D_POSIX_C_SOURCE=200809L "-I$root" "-I$build"
       -isystem "$build/proto/generated")
status=0
for header in "${headers[@]}"; do
    clang -x c -std=c17 -Wpedantic "${flags[@]}" -include "$root/$header" /dev/null ||
        { echo "tidy.headers: $header does not compile alone as C17" >&2; status=1; }
    case $header in
    tests/*) ;;
    *)
        clang -x c++ -std=c++17 "${flags[@]}" -include "$root/$header" /dev/null ||
            { echo "tidy.headers: $header does not compile alone as C++17" >&2; status=1; }
        ;;
    esac
done
echo "${#headers[@]} headers"
exit $status
