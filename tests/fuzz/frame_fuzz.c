// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/frame_fuzz.c - any bytes as a frame: refused, or a frame that keeps the rules and whose encoding
 * is stable; with a full arena and with one that is too small. */
#include <stdlib.h>

#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

/* Decodes in an arena of exactly cap bytes; the frame's slices point into it and data. NULL if refused. */
static void *decode(const uint8_t *data, size_t size, size_t cap, tmb_frame *ret_frame)
{
    void *arena = malloc(cap);
    TMB_ASSERT(arena);
    tmb_err err = tmb_frame_decode(tmb_bytes_of(data, size), arena, cap, ret_frame);
    TMB_ASSERT(err == TMB_OK || err == TMB_ECORRUPT || err == TMB_ELIMIT);
    if (!err)
        return arena;
    free(arena);
    return NULL;
}

static uint8_t *encode(const tmb_frame *frame, size_t *ret_len)
{
    size_t cap = tmb_frame_size_max(frame);
    uint8_t *out = malloc(cap + 1);
    TMB_ASSERT(out);
    TMB_ASSERT(tmb_frame_encode(frame, out, cap, ret_len) == TMB_OK);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmb_frame frame, again;
    void *small = decode(data, size, 1 + size * 3, &frame);
    free(small);
    void *arena = decode(data, size, tmb_frame_arena_size(size), &frame);
    TMB_ASSERT(arena || !small);
    if (!arena)
        return 0;
    size_t len = 0, len_again = 0;
    uint8_t *out = encode(&frame, &len);
    void *arena_again = decode(out, len, tmb_frame_arena_size(len), &again);
    TMB_ASSERT(arena_again);
    uint8_t *out_again = encode(&again, &len_again);
    TMB_ASSERT(tmb_bytes_eq(tmb_bytes_of(out, len), tmb_bytes_of(out_again, len_again)));
    free(out_again);
    free(arena_again);
    free(out);
    free(arena);
    return 0;
}
