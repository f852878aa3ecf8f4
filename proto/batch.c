// SPDX-License-Identifier: Apache-2.0
/* proto/batch.c - see proto/batch.h.
 *
 * The bytes come from a peer, so nothing is believed: the compressed data must be exactly one zstd frame that
 * says beforehand how large it unpacks, the room is the caller's and bounded, and only then every record is
 * decoded once. After that the walk cannot fail.
 */
#include "proto/batch.h"

#include <zstd.h>
#include <zstd_errors.h>

/* Small records with the same topics over and over: higher levels win a few percent for several times the
 * work on a small machine. */
#define ZSTD_LEVEL 3

size_t tmb_batch_pack_bound(size_t raw_bytes)
{
    return ZSTD_compressBound(raw_bytes);
}

static bool is_out_of_memory(size_t zstd_result)
{
    return ZSTD_getErrorCode(zstd_result) == ZSTD_error_memory_allocation;
}

tmb_err tmb_batch_pack(tmb_bytes raw, uint8_t *out, size_t cap, tmb_frame_batch *batch)
{
    if (raw.len > TMB_BATCH_BYTES_MAX || cap < tmb_batch_pack_bound(raw.len))
        return TMB_ELIMIT;
    size_t packed = ZSTD_compress(out, cap, raw.ptr, raw.len, ZSTD_LEVEL);
    if (ZSTD_isError(packed) && is_out_of_memory(packed))
        return TMB_ENOMEM;
    bool is_smaller = !ZSTD_isError(packed) && packed < raw.len;
    if (!is_smaller && raw.len > 0)
        memcpy(out, raw.ptr, raw.len);
    batch->codec = is_smaller ? TMB_CODEC_ZSTD : TMB_CODEC_PLAIN;
    batch->raw_bytes = (uint32_t)raw.len;
    batch->data = tmb_bytes_of(out, is_smaller ? packed : raw.len);
    return TMB_OK;
}

/* One zstd frame, whole, that declares raw_bytes: no second frame, no skippable one, nothing behind it. */
static bool is_one_zstd_frame(tmb_bytes data, uint32_t raw_bytes)
{
    return ZSTD_getFrameContentSize(data.ptr, data.len) == raw_bytes &&
           ZSTD_findFrameCompressedSize(data.ptr, data.len) == data.len;
}

static tmb_err unpack_zstd(const tmb_frame_batch *batch, uint8_t *out, tmb_bytes *ret_raw)
{
    if (batch->raw_bytes == 0 || !is_one_zstd_frame(batch->data, batch->raw_bytes))
        return TMB_ECORRUPT;
    size_t n = ZSTD_decompress(out, batch->raw_bytes, batch->data.ptr, batch->data.len);
    if (ZSTD_isError(n))
        return is_out_of_memory(n) ? TMB_ENOMEM : TMB_ECORRUPT;
    if (n != batch->raw_bytes)
        return TMB_ECORRUPT;
    *ret_raw = tmb_bytes_of(out, n);
    return TMB_OK;
}

/* Every number from first_seq to last_seq, once, in order, and nothing behind them. */
static tmb_err check_records(tmb_bytes raw, uint64_t first_seq, uint64_t last_seq)
{
    size_t offset = 0;
    tmb_record record;
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        if (tmb_batch_next(raw, &offset, &record) || record.seq != seq)
            return TMB_ECORRUPT;
    }
    return offset == raw.len ? TMB_OK : TMB_ECORRUPT;
}

tmb_err tmb_batch_unpack(const tmb_frame_batch *batch, uint8_t *out, size_t cap, tmb_bytes *ret_raw)
{
    if (batch->first_seq == 0 || batch->last_seq < batch->first_seq)
        return TMB_ECORRUPT;
    if (batch->last_seq - batch->first_seq >= TMB_BATCH_RECORDS_MAX ||
        batch->last_seq > TMB_SEQ_MAX || batch->raw_bytes > TMB_BATCH_BYTES_MAX ||
        cap < batch->raw_bytes)
        return TMB_ELIMIT;

    tmb_bytes raw = batch->data;
    switch (batch->codec) {
    case TMB_CODEC_PLAIN:
        if (raw.len != batch->raw_bytes)
            return TMB_ECORRUPT;
        break;
    case TMB_CODEC_ZSTD: {
        tmb_err err = unpack_zstd(batch, out, &raw);
        if (err)
            return err;
        break;
    }
    case TMB_CODEC_FOLDED: /* tmb_batch_unfold knows them */
    case TMB_CODEC_FOLDED_DICTIONARY:
    default:
        return TMB_ECORRUPT;
    }
    tmb_err err = check_records(raw, batch->first_seq, batch->last_seq);
    if (err)
        return err;
    *ret_raw = raw;
    return TMB_OK;
}

tmb_err tmb_batch_next(tmb_bytes raw, size_t *offset, tmb_record *ret_record)
{
    if (*offset >= raw.len)
        return TMB_EAGAIN;
    size_t len = 0;
    tmb_err err =
        tmb_record_decode(tmb_bytes_of(raw.ptr + *offset, raw.len - *offset), ret_record, &len);
    if (err)
        return TMB_ECORRUPT;
    *offset += len;
    return TMB_OK;
}
