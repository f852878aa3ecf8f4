// SPDX-License-Identifier: Apache-2.0
/* proto/frame.h - the five frames of the sync session, as structs and as bytes.
 *
 * On the wire a frame is one protobuf message `Frame` (proto/tombolo.proto) in which exactly one field is
 * set, once; what each means, and in which order they come: docs/protocol.md. Both ends keep these rules:
 *
 *   all      names valid and not too long; incarnations 16 bytes; sequence numbers up to TMB_SEQ_MAX
 *   HELLO    1 <= version_min <= version_max; each stream once, 1 <= first_seq <= last_seq + 1
 *   WELCOME  version at least 1; each stream once
 *   BATCH    1 <= first_seq <= last_seq; at most TMB_BATCH_RECORDS_MAX records; gap_first below first_seq
 *            and a reason, or neither; a known codec; raw_bytes that so many records can have, and as many
 *            bytes of data when plain
 *   BYE      a known reason; text in UTF-8
 *
 * Fields that this version does not know are passed over.
 * Threads: none. Cost: one pass and one copy; decoding takes memory from the caller's arena alone.
 */
#ifndef TMB_PROTO_FRAME_H
#define TMB_PROTO_FRAME_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_PROTOCOL_VERSION 1u

typedef enum tmb_frame_type {
    TMB_FRAME_HELLO = 1,
    TMB_FRAME_WELCOME,
    TMB_FRAME_BATCH,
    TMB_FRAME_ACK,
    TMB_FRAME_BYE
} tmb_frame_type;

typedef enum tmb_codec { TMB_CODEC_PLAIN = 0, TMB_CODEC_ZSTD = 1 } tmb_codec;

/* Why numbers of a stream are missing; also in the segment header of the journal. */
typedef enum tmb_gap_reason {
    TMB_GAP_NONE = 0,
    TMB_GAP_TORN = 1,      /* a write cut short by a crash: its message was never acknowledged */
    TMB_GAP_DAMAGED = 2,   /* bytes on disk that fail their checksum */
    TMB_GAP_RETENTION = 3, /* dropped by the stream's retention before they were carried up */
    TMB_GAP_MISSING = 4    /* a segment file is gone */
} tmb_gap_reason;

typedef enum tmb_bye_reason {
    TMB_BYE_CLOSING = 1,   /* going away in good order: come back with backoff */
    TMB_BYE_UNKNOWN = 2,   /* no such session here (restarted?): say HELLO again */
    TMB_BYE_MALFORMED = 3, /* your frame could not be read, or broke the protocol */
    TMB_BYE_IDENTITY = 4,  /* the name in HELLO is not the one in the certificate */
    TMB_BYE_VERSION = 5,   /* no protocol version in common */
    TMB_BYE_LIMIT = 6,     /* too many children or streams */
    TMB_BYE_AHEAD = 7      /* the parent has more of a stream than the child: a restored backup */
} tmb_bye_reason;

typedef struct tmb_stream_state {
    tmb_bytes name;
    tmb_incarnation incarnation;
    uint64_t first_seq;
    uint64_t last_seq;
} tmb_stream_state;

typedef struct tmb_mark {
    tmb_bytes stream;
    tmb_incarnation incarnation;
    uint64_t seq;
} tmb_mark;

typedef struct tmb_frame_hello {
    uint64_t session;
    tmb_bytes node;
    uint32_t version_min;
    uint32_t version_max;
    unsigned streams_count;
    tmb_stream_state streams[TMB_STREAMS_MAX];
} tmb_frame_hello;

typedef struct tmb_frame_welcome {
    uint64_t session;
    tmb_bytes node;
    uint32_t version;
    bool is_top; /* the parent has no parent itself; false also when it does not say */
    unsigned marks_count;
    tmb_mark marks[TMB_STREAMS_MAX];
} tmb_frame_welcome;

typedef struct tmb_frame_batch {
    uint64_t session;
    tmb_bytes stream;
    tmb_incarnation incarnation;
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t gap_first; /* 0: no gap; else gap_first .. first_seq - 1 are missing */
    tmb_gap_reason gap_reason;
    tmb_codec codec;
    uint32_t raw_bytes;
    tmb_bytes data;
} tmb_frame_batch;

typedef struct tmb_frame_ack {
    uint64_t session;
    tmb_mark mark;
    bool resend;
    uint32_t wait_ms;
} tmb_frame_ack;

typedef struct tmb_frame_bye {
    uint64_t session;
    tmb_bye_reason reason;
    tmb_bytes text; /* for a log; may be empty */
} tmb_frame_bye;

typedef struct tmb_frame {
    tmb_frame_type type;
    union {
        tmb_frame_hello hello;
        tmb_frame_welcome welcome;
        tmb_frame_batch batch;
        tmb_frame_ack ack;
        tmb_frame_bye bye;
    } u;
} tmb_frame;

/* tmb_frame_size_max gives a size that tmb_frame_encode's output will not exceed; 0 for a frame that it would
 * refuse. */
size_t tmb_frame_size_max(const tmb_frame *frame);

/* tmb_frame_encode writes frame to out and its size to ret_len.
 * Errors: TMB_ELIMIT (cap below the encoded size, or above a limit of base/limits.h), TMB_EINVAL (breaks
 * another rule above). */
TMB_MUST_USE tmb_err tmb_frame_encode(const tmb_frame *frame, uint8_t *out, size_t cap,
                                      size_t *ret_len);

/* tmb_frame_decode reads one frame. arena: cap bytes that hold what ret_frame points to; a cap of
 * tmb_frame_arena_size(bytes.len) is enough for every frame of this version, also with a few hundred
 * fields of a later one; bytes that would need more are refused. ret_frame is untouched on error.
 * Errors: TMB_ECORRUPT (not a frame, or one that breaks a rule above), TMB_ELIMIT (above a limit of
 * base/limits.h, or arena too small). */
TMB_MUST_USE tmb_err tmb_frame_decode(tmb_bytes bytes, void *arena, size_t cap,
                                      tmb_frame *ret_frame);

size_t tmb_frame_arena_size(size_t encoded_bytes);

/* tmb_name_is_valid: 1 to max bytes of [a-z0-9._-], beginning with a letter or digit. */
bool tmb_name_is_valid(tmb_bytes name, size_t bytes_max);

/* Names for logs and JSON: "torn", "damaged" ...; "unknown-session" ... Static text, never NULL. */
const char *tmb_gap_reason_str(tmb_gap_reason reason);
const char *tmb_bye_reason_str(tmb_bye_reason reason);

#ifdef __cplusplus
}
#endif
#endif
