// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/fold_fuzz.c - any bytes as the two streams of a folded batch: refused, or exactly so many valid
 * records in exactly so many bytes. And any bytes as payloads, a line each: folded, they come back.
 *
 * input: u8 (0: payloads follow), u8 count, u16 raw bytes, u16 text bytes, text, numbers
 */
#include <stdlib.h>

#include "proto/batch.h"
#include "proto/fold.h"
#include "tests/fuzz/fuzz.h"

enum { RECORDS = 64, RAW_BYTES_MAX = 1 << 16 };

static tmb_fold fold;
static uint8_t text[RAW_BYTES_MAX], numbers[RAW_BYTES_MAX], line[RAW_BYTES_MAX], out[RAW_BYTES_MAX];

static void unfold(tmb_reader *r)
{
    uint64_t count = 1 + tmb_get_u8(r) % RECORDS;
    size_t raw_bytes = tmb_get_u16(r), text_len = tmb_get_u16(r);
    if (text_len > tmb_reader_left(r))
        text_len = tmb_reader_left(r);
    tmb_bytes of_text = tmb_get_bytes(r, text_len);
    tmb_bytes of_numbers = tmb_get_bytes(r, tmb_reader_left(r));
    if (r->bad)
        return;
    tmb_err err = tmb_unfold_records(&fold, of_text, of_numbers, 7, count, line, out, raw_bytes);
    TMB_ASSERT(err == TMB_OK || err == TMB_ECORRUPT);
    if (err)
        return;
    size_t offset = 0;
    tmb_record record;
    for (uint64_t seq = 7; seq < 7 + count; seq++)
        TMB_ASSERT(!tmb_batch_next(tmb_bytes_of(out, raw_bytes), &offset, &record) &&
                   record.seq == seq);
    TMB_ASSERT(offset == raw_bytes);
}

static void fold_lines(tmb_reader *r)
{
    static uint8_t raw[RAW_BYTES_MAX];
    size_t used = 0, text_len = sizeof text, numbers_len = sizeof numbers;
    uint64_t count = 0;
    while (tmb_reader_left(r) > 0 && count < RECORDS) {
        const uint8_t *end = memchr(r->at, '\n', tmb_reader_left(r));
        size_t len = end ? (size_t)(end - r->at) : tmb_reader_left(r), size = 0;
        tmb_record record = {.seq = 7 + count, .stamp = {count << 16}};
        record.topic = tmb_bytes_str("line/7/x");
        record.payload = tmb_get_bytes(r, len);
        (void)tmb_get_bytes(r, end != NULL);
        if (tmb_record_encode(&record, raw + used, sizeof raw - used, &size) != TMB_OK)
            break;
        used += size;
        count++;
    }
    tmb_bytes all = tmb_bytes_of(raw, used);
    if (count == 0 ||
        tmb_fold_records(&fold, all, text, &text_len, numbers, &numbers_len) != TMB_OK)
        return;
    TMB_ASSERT(!tmb_unfold_records(&fold, tmb_bytes_of(text, text_len),
                                   tmb_bytes_of(numbers, numbers_len), 7, count, line, out, used));
    TMB_ASSERT(memcmp(out, raw, used) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    if (size == 0)
        return 0;
    if (tmb_get_u8(&r) == 0)
        fold_lines(&r);
    else
        unfold(&r);
    return 0;
}
