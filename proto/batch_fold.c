// SPDX-License-Identifier: Apache-2.0
/* proto/batch_fold.c - the folded codecs of proto/batch.h.
 *
 *   data   u32 CRC-32C of the records, varint bytes of the text, varint bytes of the text as packed,
 *          the text: one zstd frame (with the dictionary), or as it is when both sizes are equal,
 *          the numbers (proto/coder.h), up to the end
 *
 * Texts of a dictionary are no secret of zstd's: what is in it is taken as text that stood before.
 */
#include <zstd.h>
#include <zstd_errors.h>

#include "base/crc32c.h"
#include "proto/batch.h"
#include "proto/fold.h"

#define VARINT_BYTES_MAX 5u
#define HEAD_BYTES_MAX   (4 + 2 * VARINT_BYTES_MAX)
/* Folded to less than this part of raw, nothing else would have been better. */
#define GOOD_PART 3u

bool tmb_codec_is_folded(tmb_codec codec)
{
    return codec == TMB_CODEC_FOLDED || codec == TMB_CODEC_FOLDED_DICTIONARY;
}

/* The parts of a room. */
typedef struct room {
    tmb_fold *fold;
    uint8_t *text, *numbers, *line, *again;
} room;

size_t tmb_batch_room_bytes(size_t raw_bytes)
{
    return raw_bytes > TMB_FOLD_BYTES_MAX ? 0 : sizeof(tmb_fold) + 4 * raw_bytes;
}

static bool take_room(void *from, size_t cap, size_t raw_bytes, room *ret_room)
{
    size_t wanted = tmb_batch_room_bytes(raw_bytes);
    if (!from || wanted == 0 || cap < wanted)
        return false;
    ret_room->fold = from;
    ret_room->text = (uint8_t *)from + sizeof(tmb_fold);
    ret_room->numbers = ret_room->text + raw_bytes;
    ret_room->line = ret_room->numbers + raw_bytes;
    ret_room->again = ret_room->line + raw_bytes;
    return true;
}

static size_t put_varint(uint8_t *out, size_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    return len;
}

static size_t get_varint(tmb_reader *r)
{
    size_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = tmb_get_u8(r);
        value |= (size_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return value;
    }
    r->bad = true;
    return 0;
}

/* pack_text gives the size of the packed text; 0: it is no smaller packed. */
static tmb_err pack_text(tmb_bytes text, const tmb_dictionary *dictionary, int level, uint8_t *out,
                         size_t cap, size_t *ret_len)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (!zstd)
        return TMB_ENOMEM;
    tmb_bytes with = dictionary ? dictionary->data : tmb_bytes_of(NULL, 0);
    size_t n =
        ZSTD_compress_usingDict(zstd, out, cap, text.ptr, text.len, with.ptr, with.len, level);
    ZSTD_freeCCtx(zstd);
    if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
        return TMB_ENOMEM;
    *ret_len = ZSTD_isError(n) || n >= text.len ? 0 : n;
    return TMB_OK;
}

/* assemble writes both streams to out. TMB_ELIMIT: that would be cap or more. */
static tmb_err assemble(tmb_bytes raw, tmb_bytes text, tmb_bytes numbers,
                        const tmb_dictionary *dictionary, int level, uint8_t *out, size_t cap,
                        size_t *ret_len)
{
    uint8_t head[HEAD_BYTES_MAX];
    size_t head_room = sizeof head, packed = 0;
    tmb_writer sum = tmb_writer_of(head, 4);
    tmb_put_u32(&sum, tmb_crc32c(0, raw));
    if (cap < head_room + text.len + numbers.len)
        return TMB_ELIMIT;
    tmb_err err = pack_text(text, dictionary, level, out + head_room, cap - head_room, &packed);
    if (err != TMB_OK)
        return err;
    bool is_packed = packed != 0;
    size_t len = 4 + put_varint(head + 4, text.len);
    len += put_varint(head + len, is_packed ? packed : text.len);
    memcpy(out, head, len);
    if (is_packed)
        memmove(out + len, out + head_room, packed);
    else if (text.len > 0)
        memcpy(out + len, text.ptr, text.len);
    len += is_packed ? packed : text.len;
    if (numbers.len > 0)
        memcpy(out + len, numbers.ptr, numbers.len);
    *ret_len = len + numbers.len;
    return TMB_OK;
}

/* fold gives the size of raw folded, in out; TMB_ELIMIT or TMB_ECORRUPT: not to be folded. */
static tmb_err fold_into(tmb_bytes raw, uint64_t first_seq, uint64_t last_seq,
                         const tmb_dictionary *dictionary, int level, const room *r, uint8_t *out,
                         size_t cap, size_t *ret_len)
{
    size_t text_len = raw.len, numbers_len = raw.len;
    tmb_err err = tmb_fold_records(r->fold, raw, r->text, &text_len, r->numbers, &numbers_len);
    if (err != TMB_OK)
        return err;
    tmb_bytes text = tmb_bytes_of(r->text, text_len);
    tmb_bytes numbers = tmb_bytes_of(r->numbers, numbers_len);
    err = tmb_unfold_records(r->fold, text, numbers, first_seq, last_seq - first_seq + 1, r->line,
                             r->again, raw.len);
    if (err != TMB_OK || memcmp(r->again, raw.ptr, raw.len) != 0)
        return TMB_ECORRUPT;
    return assemble(raw, text, numbers, dictionary, level, out, cap, ret_len);
}

tmb_err tmb_batch_fold(tmb_bytes raw, uint64_t first_seq, uint64_t last_seq,
                       const tmb_dictionary *dictionary, int level, void *room_of, size_t room_cap,
                       uint8_t *out, size_t cap, tmb_frame_batch *batch)
{
    room r;
    size_t folded = 0;
    if (dictionary && dictionary->id == 0)
        dictionary = NULL;
    if (raw.len == 0 || !take_room(room_of, room_cap, raw.len, &r) ||
        cap < tmb_batch_pack_bound(raw.len))
        return TMB_ELIMIT;
    tmb_err err = fold_into(raw, first_seq, last_seq, dictionary, level, &r, out, cap, &folded);
    if (err == TMB_ENOMEM)
        return err;
    bool is_folded = err == TMB_OK && folded < raw.len;
    if (is_folded && folded > raw.len / GOOD_PART) {
        size_t plain = ZSTD_compress(r.again, raw.len, raw.ptr, raw.len, level);
        is_folded = ZSTD_isError(plain) || folded <= plain;
    }
    if (!is_folded) {
        err = tmb_batch_pack(raw, out, cap, batch);
        if (err == TMB_OK)
            batch->dictionary = 0;
        return err;
    }
    batch->codec = dictionary ? TMB_CODEC_FOLDED_DICTIONARY : TMB_CODEC_FOLDED;
    batch->dictionary = dictionary ? dictionary->id : 0;
    batch->raw_bytes = (uint32_t)raw.len;
    batch->data = tmb_bytes_of(out, folded);
    return TMB_OK;
}

static tmb_err unpack_text(tmb_bytes packed, tmb_bytes with, uint8_t *out, size_t len)
{
    if (ZSTD_getFrameContentSize(packed.ptr, packed.len) != len ||
        ZSTD_findFrameCompressedSize(packed.ptr, packed.len) != packed.len)
        return TMB_ECORRUPT;
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    if (!zstd)
        return TMB_ENOMEM;
    size_t n =
        ZSTD_decompress_usingDict(zstd, out, len, packed.ptr, packed.len, with.ptr, with.len);
    ZSTD_freeDCtx(zstd);
    if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
        return TMB_ENOMEM;
    return n == len ? TMB_OK : TMB_ECORRUPT;
}

static tmb_err take_apart(const tmb_frame_batch *batch, tmb_bytes with, uint8_t *text_room,
                          uint32_t *ret_sum, tmb_bytes *ret_text, tmb_bytes *ret_numbers)
{
    tmb_reader reader = tmb_reader_of(batch->data);
    *ret_sum = tmb_get_u32(&reader);
    size_t len = get_varint(&reader), packed_len = get_varint(&reader);
    tmb_bytes packed = tmb_get_bytes(&reader, packed_len);
    if (reader.bad || len > batch->raw_bytes || packed_len > len)
        return TMB_ECORRUPT;
    *ret_text = packed;
    if (packed_len < len) {
        tmb_err err = unpack_text(packed, with, text_room, len);
        if (err != TMB_OK)
            return err;
        *ret_text = tmb_bytes_of(text_room, len);
    }
    *ret_numbers = tmb_get_bytes(&reader, tmb_reader_left(&reader));
    return TMB_OK;
}

tmb_err tmb_batch_unfold(const tmb_frame_batch *batch, const tmb_dictionary *dictionary,
                         void *room_of, size_t room_cap, uint8_t *out, size_t cap,
                         tmb_bytes *ret_raw)
{
    if (!tmb_codec_is_folded(batch->codec))
        return tmb_batch_unpack(batch, out, cap, ret_raw);
    if (batch->first_seq == 0 || batch->last_seq < batch->first_seq)
        return TMB_ECORRUPT;
    room r;
    if (batch->last_seq - batch->first_seq >= TMB_BATCH_RECORDS_MAX ||
        batch->last_seq > TMB_SEQ_MAX || cap < batch->raw_bytes ||
        !take_room(room_of, room_cap, batch->raw_bytes, &r))
        return TMB_ELIMIT;
    tmb_bytes with = tmb_bytes_of(NULL, 0), text, numbers;
    if (batch->codec == TMB_CODEC_FOLDED_DICTIONARY) {
        if (!dictionary || dictionary->id == 0 || dictionary->id != batch->dictionary)
            return TMB_ENOENT;
        with = dictionary->data;
    }
    uint32_t sum = 0;
    tmb_err err = take_apart(batch, with, r.text, &sum, &text, &numbers);
    if (err == TMB_OK)
        err = tmb_unfold_records(r.fold, text, numbers, batch->first_seq,
                                 batch->last_seq - batch->first_seq + 1, r.line, out,
                                 batch->raw_bytes);
    if (err == TMB_OK && tmb_crc32c(0, tmb_bytes_of(out, batch->raw_bytes)) != sum)
        err = TMB_ECORRUPT;
    if (err == TMB_OK)
        *ret_raw = tmb_bytes_of(out, batch->raw_bytes);
    return err;
}

tmb_bytes tmb_batch_room_text(const void *room_of)
{
    const tmb_fold *fold = room_of;
    return tmb_bytes_of(fold->text, fold->text_len);
}
