#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# format.sh ROOT [FILE...]: clang-format would change nothing. `scripts/format` makes it so.
set -euo pipefail
cd "$1"
shift
if [ $# -eq 0 ]; then
    mapfile -t files < <(python3 -c 'import sys
sys.path.insert(0, "tests/tidy")
import tree
print("\n".join(p for p in tree.files(".") if p.endswith((".c", ".h"))))')
else
    files=("$@")
fi
[ "${#files[@]}" -gt 0 ] || { echo "tidy.format: no C file found" >&2; exit 1; }
status=0
for file in "${files[@]}"; do
    clang-format --style=file --dry-run -Werror "$file" 2>/dev/null ||
        { echo "tidy.format: $file is not as clang-format writes it" >&2; status=1; }
done
[ $status -eq 0 ] || echo "tidy.format: scripts/format mends it" >&2
echo "${#files[@]} files"
exit $status
