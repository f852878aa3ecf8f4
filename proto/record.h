// SPDX-License-Identifier: Apache-2.0
/* proto/record.h - one record: a message as the journal keeps it and as a batch carries it.
 *
 * Layout, version 1, little-endian (docs/journal-format.md has the picture):
 *
 *   0   u32  marker "TMBR"
 *   4   u32  body bytes
 *   8   u32  CRC-32C of bytes 4..8 and the body
 *   12  body: u64 seq, u64 hlc, u8 flags, u8 zero, u16 topic bytes, u16 publisher bytes, u32 props bytes
 *       flags: bits 0-1 QoS, 2 retain, 3 will, 4 numbered, 5 origin, 6 via, 7 zero
 *       [numbered: u64 number, u8 run bytes, run]
 *       [origin:   u8 node bytes, node, 16 incarnation, u8 stream bytes, stream, u64 seq, u64 hlc]
 *       [via:      the same]
 *       topic, publisher, props, payload (the rest)
 *
 * Both ends keep the same rules: QoS 0 to 2; topic not empty and UTF-8; names of origin and via valid
 * (tmb_name_is_valid); via only with origin; number not 0, run in UTF-8; lengths within base/limits.h.
 *
 * Threads: none, values. Cost: one pass for the checksum, no allocation, no copy on decode.
 */
#ifndef TMB_PROTO_RECORD_H
#define TMB_PROTO_RECORD_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/hlc.h"
#include "base/incarnation.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_RECORD_MARKER       0x52424d54u /* "TMBR" as bytes on disk */
#define TMB_RECORD_HEADER_BYTES 12u
#define TMB_RECORD_BODY_MIN     26u
#define TMB_RECORD_BYTES_MIN    (TMB_RECORD_HEADER_BYTES + TMB_RECORD_BODY_MIN)

/* Where a record was born (origin), or which child handed it to this node (via). */
typedef struct tmb_origin {
    tmb_bytes node;
    tmb_incarnation incarnation;
    tmb_bytes stream;
    uint64_t seq;
    tmb_hlc stamp;
} tmb_origin;

/* A record. All slices are borrowed: from the caller for encode, from the encoded bytes after decode. */
typedef struct tmb_record {
    uint64_t seq;  /* 1, 2, 3 ... without holes, of this node's stream; 0 while not yet appended */
    tmb_hlc stamp; /* when this node appended it */
    uint8_t qos;   /* 0, 1, 2 */
    bool retain;
    bool is_will;
    bool is_numbered; /* the publisher numbers its messages: number and run count */
    bool has_origin;  /* came from a child: origin counts */
    bool
        has_via; /* came from a child's child or farther: via is the child, origin the birthplace */
    uint64_t number;
    tmb_bytes run;
    tmb_origin origin;
    tmb_origin via;
    tmb_bytes topic;
    tmb_bytes publisher; /* MQTT client id */
    tmb_bytes props; /* MQTT 5 properties as on the wire (MQTT 5, 2.2.2.2), without the length */
    tmb_bytes payload;
} tmb_record;

/* tmb_record_size gives the encoded size of record in bytes. */
size_t tmb_record_size(const tmb_record *record);

/* tmb_record_encode writes record to out (cap bytes) and its size to ret_len.
 * Errors: TMB_ELIMIT (a field above its limit of base/limits.h, or cap too small; nothing of use in out),
 *         TMB_EINVAL (another rule above is broken). */
TMB_MUST_USE tmb_err tmb_record_encode(const tmb_record *record, uint8_t *out, size_t cap,
                                       size_t *ret_len);

/* tmb_record_decode reads the record at the start of bytes and its encoded size into ret_len. Slices of
 * ret_record point into bytes.
 * Errors: TMB_EAGAIN (bytes end before the record does: a torn tail, or more to come),
 *         TMB_ECORRUPT (marker, length, checksum or a field is wrong; or topic is empty or not UTF-8). */
TMB_MUST_USE tmb_err tmb_record_decode(tmb_bytes bytes, tmb_record *ret_record, size_t *ret_len);

/* tmb_record_restamp changes seq and stamp of an encoded record in place and mends its checksum.
 * encoded must be one whole valid record. */
void tmb_record_restamp(uint8_t *encoded, size_t len, uint64_t seq, tmb_hlc stamp);

/* tmb_record_source gives the child that handed the record to this node: via if there, else origin, else
 * NULL for a record born here. Borrows from record. */
const tmb_origin *tmb_record_source(const tmb_record *record);

#ifdef __cplusplus
}
#endif
#endif
