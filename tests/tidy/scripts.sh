#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# scripts.sh ROOT [FILE...]: every shell script parses and passes shellcheck; every Python file compiles.
set -euo pipefail
cd "$1"
shift
list() {
    python3 -c 'import sys
sys.path.insert(0, "tests/tidy")
import tree
print("\n".join(p for p in tree.files(".") if tree.kind(".", p) == sys.argv[1]))' "$1"
}
if [ $# -eq 0 ]; then
    mapfile -t shells < <(list shell)
    mapfile -t pythons < <(list python)
else
    shells=("$@") pythons=()
fi
status=0
for file in "${shells[@]}"; do
    bash -n "$file" || status=1
    # 2016, 2317: text handed to another shell, and functions called from there, are meant so.
    shellcheck --severity=style --exclude=SC2016,SC2317 --external-sources --source-path=SCRIPTDIR "$file" || status=1
done
for file in "${pythons[@]}"; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$file" ||
        status=1
done
[ $status -eq 0 ] || echo "tidy.scripts: see above" >&2
echo "${#shells[@]} shell scripts, ${#pythons[@]} Python files"
exit $status
