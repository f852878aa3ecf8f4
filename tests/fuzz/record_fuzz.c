// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/record_fuzz.c - any bytes as a record: what decodes, encodes to the very same bytes. A checksum
 * would keep mutations from the fields behind it, so the bytes are tried again with marker, length and
 * checksum mended. */
#include <stdlib.h>

#include "base/limits.h"
#include "proto/record.h"
#include "tests/fuzz/fuzz.h"

static void check(const uint8_t *data, size_t size)
{
    tmb_record record;
    size_t len = 0, len_again = 0;
    tmb_err err = tmb_record_decode(tmb_bytes_of(data, size), &record, &len);
    TMB_ASSERT(err == TMB_OK || err == TMB_EAGAIN || err == TMB_ECORRUPT);
    if (err)
        return;
    TMB_ASSERT(len <= size && len == tmb_record_size(&record));
    TMB_ASSERT(record.qos <= 2 && record.topic.len > 0 && (record.has_origin || !record.has_via));
    uint8_t *again = malloc(len);
    TMB_ASSERT(again);
    TMB_ASSERT(tmb_record_encode(&record, again, len, &len_again) == TMB_OK);
    TMB_ASSERT(tmb_bytes_eq(tmb_bytes_of(data, len), tmb_bytes_of(again, len_again)));
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size);
    if (size < TMB_RECORD_BYTES_MIN || size > TMB_RECORD_BYTES_MAX)
        return 0;
    uint8_t *mended = malloc(size);
    TMB_ASSERT(mended);
    memcpy(mended, data, size);
    tmb_writer w = tmb_writer_of(mended, 8);
    tmb_put_u32(&w, TMB_RECORD_MARKER);
    tmb_put_u32(&w, (uint32_t)(size - TMB_RECORD_HEADER_BYTES));
    tmb_reader r = tmb_reader_of(tmb_bytes_of(mended + TMB_RECORD_HEADER_BYTES, 16));
    uint64_t seq = tmb_get_u64(&r);
    tmb_hlc stamp = {tmb_get_u64(&r)};
    tmb_record_restamp(mended, size, seq, stamp);
    check(mended, size);
    free(mended);
    return 0;
}
