// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/canary_fuzz.c - a target with a bug on purpose, of the kind that a decoder has: a length that is
 * believed. Nothing in corpus/canary/ shows it; a mutation must. */
#include "base/err.h"
#include "tests/fuzz/fuzz.h"

/* A message is 'C', a count of 1 to 8, and that many bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] != 'C' || data[1] == 0)
        return 0;
    size_t count = data[1];
    TMB_ASSERT(count <= 64); /* stands for the write behind an array that a real one would do */
    return 0;
}
