// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/batch_fuzz.c - any bytes as a BATCH frame, unpacked: refused, or exactly the records from
 * first_seq to last_seq. The checksums of plain records are mended once, so that mutations get behind
 * them. */
#include <stdlib.h>

#include "proto/batch.h"
#include "tests/fuzz/fuzz.h"

enum {
    RAW_BYTES_MAX = 1 << 20 /* more only costs time here */
};

static void check(const tmb_frame_batch *batch)
{
    uint8_t *out = malloc(batch->raw_bytes);
    TMB_ASSERT(out);
    tmb_bytes raw;
    static const tmb_dictionary dictionary = {1, {(const uint8_t *)"line/1/temperature 21.5", 23}};
    size_t room_cap = tmb_batch_room_bytes(batch->raw_bytes);
    void *room = malloc(room_cap);
    TMB_ASSERT(room);
    tmb_err err = tmb_batch_unfold(batch, &dictionary, room, room_cap, out, batch->raw_bytes, &raw);
    free(room);
    TMB_ASSERT(err == TMB_OK || err == TMB_ECORRUPT || err == TMB_ELIMIT || err == TMB_ENOENT);
    if (!err) {
        TMB_ASSERT(raw.len == batch->raw_bytes);
        size_t offset = 0;
        tmb_record record;
        for (uint64_t seq = batch->first_seq; seq <= batch->last_seq; seq++) {
            TMB_ASSERT(tmb_batch_next(raw, &offset, &record) == TMB_OK);
            TMB_ASSERT(record.seq == seq);
        }
        TMB_ASSERT(tmb_batch_next(raw, &offset, &record) == TMB_EAGAIN);
    }
    free(out);
}

/* Gives every record that has a plausible length its number and a good checksum. */
static void mend_records(uint8_t *raw, size_t len, uint64_t seq)
{
    for (size_t at = 0; len - at >= TMB_RECORD_BYTES_MIN; seq++) {
        tmb_reader r = tmb_reader_of(tmb_bytes_of(raw + at + 4, 4));
        size_t body = tmb_get_u32(&r);
        if (body < TMB_RECORD_BODY_MIN || body > len - at - TMB_RECORD_HEADER_BYTES)
            return;
        tmb_hlc stamp = {seq};
        tmb_record_restamp(raw + at, TMB_RECORD_HEADER_BYTES + body, seq, stamp);
        at += TMB_RECORD_HEADER_BYTES + body;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cap = tmb_frame_arena_size(size);
    void *arena = malloc(cap);
    TMB_ASSERT(arena);
    tmb_frame frame;
    if (!tmb_frame_decode(tmb_bytes_of(data, size), arena, cap, &frame) &&
        frame.type == TMB_FRAME_BATCH && frame.u.batch.raw_bytes <= RAW_BYTES_MAX) {
        tmb_frame_batch *batch = &frame.u.batch;
        check(batch);
        if (batch->codec == TMB_CODEC_PLAIN) {
            uint8_t *mended = malloc(batch->data.len);
            TMB_ASSERT(mended);
            memcpy(mended, batch->data.ptr, batch->data.len);
            mend_records(mended, batch->data.len, batch->first_seq);
            batch->data.ptr = mended;
            check(batch);
            free(mended);
        }
    }
    free(arena);
    return 0;
}
