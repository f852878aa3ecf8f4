#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pure.sh LIBRARY.a...
#
# A PURE library reads no clock, random number, file, socket or environment, starts no thread and
# allocates nothing by itself: what it leaves undefined may only be on the list below. An allow list,
# because a list of what is forbidden would always lack the next call. protobuf-c and zstd are let in
# by their own names: protobuf-c takes memory from the allocator it is handed, zstd from the heap.
set -euo pipefail

allowed='^(tmb_.*|tombolo__.*|protobuf_c_.*|ZSTD_.*|XXH[0-9A-Z]*_.*'
allowed+='|bcmp|mem(cpy|move|set|cmp|chr|rchr)|str(n?len|n?cmp|r?chr|p?brk|spn|cspn|str|n?cpy|n?cat|to[dfl]+|toul|toull)'
allowed+='|__isoc[0-9]+_strto[a-z]+|bsearch|abs|labs|llabs|__assert_fail|abort|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_'
allowed+='|floor|ceil|fmod|log|log2|exp|exp2|pow|sqrt|l?l?round'
# What compilers put in by themselves: the sanitizers, coverage, and the word that says which
# instructions this processor has.
allowed+='|__cpu_model|__cpu_indicator_init|__(a|t|ub|m)san_.*|__sanitizer_.*|__sancov_.*|__start___sancov_.*|__stop___sancov_.*|__gcov_.*|__llvm_.*|__aarch64_.*)$'

status=0
for library in "$@"; do
    defined=$(nm -A --defined-only "$library" | awk '{print $NF}' | sort -u)
    undefined=$(nm -u "$library" | awk '$1 == "U" || $1 == "w" {print $2}' | sort -u)
    [ -n "$defined" ] || { echo "pure: $library defines nothing" >&2; status=1; }
    foreign=$(comm -23 <(echo "$undefined") <(echo "$defined") | grep -Ev "$allowed" | sed '/^$/d' || true)
    for symbol in $foreign; do
        where=$(nm -A -u "$library" | awk -v s="$symbol" '$NF == s {n = split($1, p, ":"); file = p[n-1]} END {print file}')
        echo "pure: $(basename "$library")($where) refers to $symbol" >&2
        status=1
    done
done
exit $status
