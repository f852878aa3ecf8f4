// SPDX-License-Identifier: Apache-2.0
/* proto/record.c - the one encoding of a record, and a decoder that takes nothing else.
 *
 * What encode writes, decode reads; what decode refuses, encode does not write: so a journal never holds a
 * record that its own reader would call damaged. The checksum covers the length, so a wrong length is found
 * as soon as that many bytes are there. Bytes may be hostile (a batch comes from the network): each length
 * is checked against what is left before it is used.
 */
#include "proto/record.h"

#include "base/crc32c.h"
#include "base/limits.h"
#include "proto/frame.h"

enum {
    FLAG_QOS = 0x03,
    FLAG_RETAIN = 0x04,
    FLAG_WILL = 0x08,
    FLAG_NUMBERED = 0x10,
    FLAG_ORIGIN = 0x20,
    FLAG_VIA = 0x40,
    FLAGS_KNOWN = 0x7f,
    QOS_MAX = 2
};

/* Offsets in the encoded record. */
enum { AT_LENGTH = 4, AT_CHECKSUM = 8, AT_SEQ = 12, AT_STAMP = 20 };

#define ORIGIN_FIXED_BYTES (1u + 16u + 1u + 8u + 8u)

static size_t origin_size(const tmb_origin *origin)
{
    return ORIGIN_FIXED_BYTES + origin->node.len + origin->stream.len;
}

size_t tmb_record_size(const tmb_record *record)
{
    size_t size = TMB_RECORD_BYTES_MIN;
    if (record->is_numbered)
        size += 8 + 1 + record->run.len;
    if (record->has_origin)
        size += origin_size(&record->origin);
    if (record->has_via)
        size += origin_size(&record->via);
    return size + record->topic.len + record->publisher.len + record->props.len +
           record->payload.len;
}

static bool origin_is_within_limits(const tmb_origin *origin)
{
    return origin->node.len <= TMB_NAME_BYTES_MAX &&
           origin->stream.len <= TMB_STREAM_NAME_BYTES_MAX;
}

static bool is_within_limits(const tmb_record *record)
{
    return record->topic.len <= TMB_TOPIC_BYTES_MAX &&
           record->publisher.len <= TMB_PUBLISHER_BYTES_MAX &&
           record->props.len <= TMB_PROPS_BYTES_MAX &&
           (!record->is_numbered || record->run.len <= TMB_RUN_BYTES_MAX) &&
           (!record->has_origin || origin_is_within_limits(&record->origin)) &&
           (!record->has_via || origin_is_within_limits(&record->via)) &&
           record->payload.len <= TMB_RECORD_BYTES_MAX &&
           tmb_record_size(record) <= TMB_RECORD_BYTES_MAX;
}

/* Names end up in topics and in keys: nothing but the alphabet of names gets that far. */
static bool origin_is_valid(const tmb_origin *origin)
{
    return tmb_name_is_valid(origin->node, TMB_NAME_BYTES_MAX) &&
           tmb_name_is_valid(origin->stream, TMB_STREAM_NAME_BYTES_MAX);
}

/* The rules that both ends keep, limits aside. */
static bool is_valid(const tmb_record *record)
{
    return record->qos <= QOS_MAX && record->topic.len > 0 && tmb_utf8_is_valid(record->topic) &&
           (!record->has_origin || origin_is_valid(&record->origin)) &&
           (!record->has_via || (record->has_origin && origin_is_valid(&record->via))) &&
           (!record->is_numbered || (record->number > 0 && tmb_utf8_is_valid(record->run)));
}

static void put_origin(tmb_writer *w, const tmb_origin *origin)
{
    tmb_put_u8(w, (uint8_t)origin->node.len);
    tmb_put_bytes(w, origin->node);
    tmb_put_bytes(w, tmb_bytes_of(origin->incarnation.bytes, sizeof(origin->incarnation.bytes)));
    tmb_put_u8(w, (uint8_t)origin->stream.len);
    tmb_put_bytes(w, origin->stream);
    tmb_put_u64(w, origin->seq);
    tmb_put_u64(w, origin->stamp.u64);
}

static tmb_origin get_origin(tmb_reader *r)
{
    tmb_origin origin = {0};
    origin.node = tmb_get_bytes(r, tmb_get_u8(r));
    tmb_bytes incarnation = tmb_get_bytes(r, sizeof(origin.incarnation.bytes));
    if (incarnation.len > 0)
        memcpy(origin.incarnation.bytes, incarnation.ptr, incarnation.len);
    origin.stream = tmb_get_bytes(r, tmb_get_u8(r));
    origin.seq = tmb_get_u64(r);
    origin.stamp.u64 = tmb_get_u64(r);
    return origin;
}

static uint8_t flags_of(const tmb_record *record)
{
    unsigned flags = record->qos;
    flags |= record->retain ? FLAG_RETAIN : 0u;
    flags |= record->is_will ? FLAG_WILL : 0u;
    flags |= record->is_numbered ? FLAG_NUMBERED : 0u;
    flags |= record->has_origin ? FLAG_ORIGIN : 0u;
    flags |= record->has_via ? FLAG_VIA : 0u;
    return (uint8_t)flags;
}

static void put_body(tmb_writer *w, const tmb_record *record)
{
    tmb_put_u64(w, record->seq);
    tmb_put_u64(w, record->stamp.u64);
    tmb_put_u8(w, flags_of(record));
    tmb_put_u8(w, 0);
    tmb_put_u16(w, (uint16_t)record->topic.len);
    tmb_put_u16(w, (uint16_t)record->publisher.len);
    tmb_put_u32(w, (uint32_t)record->props.len);
    if (record->is_numbered) {
        tmb_put_u64(w, record->number);
        tmb_put_u8(w, (uint8_t)record->run.len);
        tmb_put_bytes(w, record->run);
    }
    if (record->has_origin)
        put_origin(w, &record->origin);
    if (record->has_via)
        put_origin(w, &record->via);
    tmb_put_bytes(w, record->topic);
    tmb_put_bytes(w, record->publisher);
    tmb_put_bytes(w, record->props);
    tmb_put_bytes(w, record->payload);
}

/* The checksum of a whole encoded record: of its length and its body, not of marker and checksum. */
static uint32_t checksum_of(const uint8_t *encoded, size_t len)
{
    uint32_t crc = tmb_crc32c(0, tmb_bytes_of(encoded + AT_LENGTH, 4));
    return tmb_crc32c(
        crc, tmb_bytes_of(encoded + TMB_RECORD_HEADER_BYTES, len - TMB_RECORD_HEADER_BYTES));
}

static void put_checksum(uint8_t *encoded, size_t len)
{
    tmb_writer w = tmb_writer_of(encoded + AT_CHECKSUM, 4);
    tmb_put_u32(&w, checksum_of(encoded, len));
}

tmb_err tmb_record_encode(const tmb_record *record, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (!is_within_limits(record))
        return TMB_ELIMIT;
    if (!is_valid(record))
        return TMB_EINVAL;
    size_t len = tmb_record_size(record);
    if (cap < len)
        return TMB_ELIMIT;

    tmb_writer w = tmb_writer_of(out, len);
    tmb_put_u32(&w, TMB_RECORD_MARKER);
    tmb_put_u32(&w, (uint32_t)(len - TMB_RECORD_HEADER_BYTES));
    tmb_put_u32(&w, 0);
    put_body(&w, record);
    TMB_ASSERT(!w.bad && w.at == w.end);
    put_checksum(out, len);
    *ret_len = len;
    return TMB_OK;
}

/* Reads the fixed header. Wrong bytes are told from missing ones as early as they can be, so that a reader
 * at a torn tail does not wait for the rest of something that is no record. */
static tmb_err read_header(tmb_bytes bytes, size_t *ret_len)
{
    static const uint8_t marker[4] = {'T', 'M', 'B', 'R'};
    size_t seen = bytes.len < sizeof(marker) ? bytes.len : sizeof(marker);
    if (seen > 0 && memcmp(bytes.ptr, marker, seen) != 0)
        return TMB_ECORRUPT;
    if (bytes.len < AT_CHECKSUM)
        return TMB_EAGAIN;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes.ptr + AT_LENGTH, 4));
    size_t body = tmb_get_u32(&r);
    if (body < TMB_RECORD_BODY_MIN || body > TMB_RECORD_BYTES_MAX - TMB_RECORD_HEADER_BYTES)
        return TMB_ECORRUPT;
    if (bytes.len - AT_CHECKSUM < TMB_RECORD_HEADER_BYTES - AT_CHECKSUM + body)
        return TMB_EAGAIN;
    *ret_len = TMB_RECORD_HEADER_BYTES + body;
    return TMB_OK;
}

static tmb_err read_body(tmb_bytes body, tmb_record *ret_record)
{
    tmb_record record = {0};
    tmb_reader r = tmb_reader_of(body);
    record.seq = tmb_get_u64(&r);
    record.stamp.u64 = tmb_get_u64(&r);
    uint8_t flags = tmb_get_u8(&r);
    uint8_t zero = tmb_get_u8(&r);
    size_t topic_len = tmb_get_u16(&r);
    size_t publisher_len = tmb_get_u16(&r);
    size_t props_len = tmb_get_u32(&r);
    if ((flags & ~FLAGS_KNOWN) != 0 || zero != 0)
        return TMB_ECORRUPT;

    record.qos = flags & FLAG_QOS;
    record.retain = (flags & FLAG_RETAIN) != 0;
    record.is_will = (flags & FLAG_WILL) != 0;
    record.is_numbered = (flags & FLAG_NUMBERED) != 0;
    record.has_origin = (flags & FLAG_ORIGIN) != 0;
    record.has_via = (flags & FLAG_VIA) != 0;
    if (record.is_numbered) {
        record.number = tmb_get_u64(&r);
        record.run = tmb_get_bytes(&r, tmb_get_u8(&r));
    }
    if (record.has_origin)
        record.origin = get_origin(&r);
    if (record.has_via)
        record.via = get_origin(&r);
    record.topic = tmb_get_bytes(&r, topic_len);
    record.publisher = tmb_get_bytes(&r, publisher_len);
    record.props = tmb_get_bytes(&r, props_len);
    record.payload = tmb_get_bytes(&r, tmb_reader_left(&r));
    if (r.bad || !is_within_limits(&record) || !is_valid(&record))
        return TMB_ECORRUPT;
    *ret_record = record;
    return TMB_OK;
}

tmb_err tmb_record_decode(tmb_bytes bytes, tmb_record *ret_record, size_t *ret_len)
{
    size_t len = 0;
    tmb_err err = read_header(bytes, &len);
    if (err)
        return err;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes.ptr + AT_CHECKSUM, 4));
    if (tmb_get_u32(&r) != checksum_of(bytes.ptr, len))
        return TMB_ECORRUPT;
    err =
        read_body(tmb_bytes_of(bytes.ptr + TMB_RECORD_HEADER_BYTES, len - TMB_RECORD_HEADER_BYTES),
                  ret_record);
    if (err)
        return err;
    *ret_len = len;
    return TMB_OK;
}

void tmb_record_restamp(uint8_t *encoded, size_t len, uint64_t seq, tmb_hlc stamp)
{
    TMB_ASSERT(len >= TMB_RECORD_BYTES_MIN);
    tmb_writer w = tmb_writer_of(encoded + AT_SEQ, AT_STAMP + 8 - AT_SEQ);
    tmb_put_u64(&w, seq);
    tmb_put_u64(&w, stamp.u64);
    put_checksum(encoded, len);
}

const tmb_origin *tmb_record_source(const tmb_record *record)
{
    if (record->has_via)
        return &record->via;
    return record->has_origin ? &record->origin : NULL;
}
