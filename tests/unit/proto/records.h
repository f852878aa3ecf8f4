// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/records.h - sample records, one for each combination of flags, and their comparison. */
#ifndef TMB_TESTS_UNIT_PROTO_RECORDS_H
#define TMB_TESTS_UNIT_PROTO_RECORDS_H

#include "proto/record.h"

static inline tmb_origin origin_of(const char *node, const char *stream, uint64_t seq)
{
    tmb_origin origin = {.node = tmb_bytes_str(node), .stream = tmb_bytes_str(stream)};
    origin.seq = seq;
    origin.stamp.u64 = UINT64_C(0x0123456789abcdef) + seq;
    for (unsigned i = 0; i < sizeof(origin.incarnation.bytes); i++)
        origin.incarnation.bytes[i] = (uint8_t)(seq * 7 + i);
    return origin;
}

/* bits / 3 is nine flags: retain, will, numbered, origin, via, and whether run, publisher, properties and
 * payload are filled; bits % 3 is the QoS. Numbers are there even where no flag asks for them. */
static inline tmb_record record_of_bits(unsigned bits)
{
    tmb_record record = {.seq = UINT64_C(0x1122334455667788),
                         .stamp = {UINT64_C(0x99aabbccddeeff00)}};
    record.qos = (uint8_t)(bits % 3);
    bits /= 3;
    record.retain = (bits & 1) != 0;
    record.is_will = (bits & 2) != 0;
    record.is_numbered = (bits & 4) != 0;
    record.has_origin = (bits & 8) != 0;
    record.has_via = (bits & 16) != 0;
    if (record.is_numbered) {
        record.number = UINT64_C(0x7766554433221100);
        record.run = tmb_bytes_str((bits & 32) != 0 ? "run-a" : "");
    }
    if (record.has_origin)
        record.origin = origin_of("site-1.north_east", "main", 41);
    if (record.has_via)
        record.via = origin_of("hub", "bulk", 42);
    record.topic = tmb_bytes_str("line/\xc3\xbc/temperature");
    record.publisher = tmb_bytes_str((bits & 64) != 0 ? "press-7" : "");
    record.props = (bits & 128) != 0 ? tmb_bytes_of("\x01\x01", 2) : tmb_bytes_of(NULL, 0);
    record.payload = (bits & 256) != 0 ? tmb_bytes_of("\0\xff value", 8) : tmb_bytes_of(NULL, 0);
    return record;
}

static inline bool origins_are_equal(const tmb_origin *a, const tmb_origin *b)
{
    return tmb_bytes_eq(a->node, b->node) && tmb_bytes_eq(a->stream, b->stream) &&
           memcmp(&a->incarnation, &b->incarnation, sizeof(a->incarnation)) == 0 &&
           a->seq == b->seq && a->stamp.u64 == b->stamp.u64;
}

static inline bool records_are_equal(const tmb_record *a, const tmb_record *b)
{
    return a->seq == b->seq && a->stamp.u64 == b->stamp.u64 && a->qos == b->qos &&
           a->retain == b->retain && a->is_will == b->is_will && a->is_numbered == b->is_numbered &&
           a->has_origin == b->has_origin && a->has_via == b->has_via && a->number == b->number &&
           tmb_bytes_eq(a->run, b->run) && origins_are_equal(&a->origin, &b->origin) &&
           origins_are_equal(&a->via, &b->via) && tmb_bytes_eq(a->topic, b->topic) &&
           tmb_bytes_eq(a->publisher, b->publisher) && tmb_bytes_eq(a->props, b->props) &&
           tmb_bytes_eq(a->payload, b->payload);
}

#endif
