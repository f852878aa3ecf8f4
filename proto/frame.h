// SPDX-License-Identifier: Apache-2.0
/* proto/frame.h - the frames of the sync session, as structs and as bytes.
 *
 * On the wire a frame is one protobuf message `Frame` (proto/tombolo.proto) in which exactly one field is
 * set, once; what each means, and in which order they come: docs/protocol.md. Both ends keep these rules:
 *
 *   all      names valid and not too long; incarnations 16 bytes; sequence numbers up to TMB_SEQ_MAX
 *   HELLO    1 <= version_min <= version_max; each stream once, 1 <= first_seq <= last_seq + 1; a class
 *   WELCOME  version at least 1; each stream once; a load of at most 100
 *   BATCH    1 <= first_seq <= last_seq; at most TMB_BATCH_RECORDS_MAX records; gap_first below first_seq
 *            and a reason, or neither; a known codec; raw_bytes that so many records can have, and as many
 *            bytes of data when plain; a piece has data and lies within piece_total, which is then the size
 *            of the data; a known pool
 *   BYE      a known reason; text in UTF-8
 *   DICTIONARY  an id; 1 to TMB_DICTIONARY_BYTES_MAX bytes
 *   ASK, TOLD   each stream once
 *   SCOPE    a turn; clock, floor, heard and heard_clock are contexts without runs, in their one form, the
 *            clock's own entry is last; at most TMB_POINTS_MAX points; a chain when last is above 0, a
 *            fingerprint as a whole or not at all; a known refusal, and one that says unknown, denied or
 *            limit may leave the rest out
 *   LEAVES   a turn; ctx likewise; upto, when there, as many numbers as ctx has entries, none above it;
 *            actors whole, and not too many with ctx's; a known codec; at most TMB_LEAVES_BYTES_MAX unpacked
 *   STORED, RANGES  a turn; at most TMB_RANGES_BYTES_MAX
 *
 * Fields that this version does not know are passed over.
 * Threads: none. Cost: one pass and one copy; decoding takes memory from the caller's arena alone.
 */
#ifndef TMB_PROTO_FRAME_H
#define TMB_PROTO_FRAME_H

#include "base/bytes.h"
#include "base/class.h"
#include "base/err.h"
#include "base/limits.h"
#include "crdt/context.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A test has a daemon whose protocol ends at an older one. */
#ifndef TMB_PROTOCOL_VERSION
#define TMB_PROTOCOL_VERSION 3u
#endif
#define TMB_PROTOCOL_VERSION_MIN   1u
#define TMB_PROTOCOL_VERSION_STATE 3u /* from here on there is state */
#define TMB_CHAIN_BYTES            16u

typedef enum tmb_frame_type {
    TMB_FRAME_HELLO = 1,
    TMB_FRAME_WELCOME,
    TMB_FRAME_BATCH,
    TMB_FRAME_ACK,
    TMB_FRAME_BYE,
    TMB_FRAME_CREDIT, /* this one and those below: sessions of version 2 */
    TMB_FRAME_DICTIONARY,
    TMB_FRAME_ASK,
    TMB_FRAME_TOLD,
    TMB_FRAME_SCOPE, /* this one and those below: sessions of version 3 */
    TMB_FRAME_LEAVES,
    TMB_FRAME_STORED,
    TMB_FRAME_RANGES
} tmb_frame_type;
#define TMB_FRAME_LAST TMB_FRAME_RANGES

typedef enum tmb_codec {
    TMB_CODEC_PLAIN = 0,
    TMB_CODEC_ZSTD = 1,
    TMB_CODEC_FOLDED = 2, /* this one and the next: sessions of version 2 */
    TMB_CODEC_FOLDED_DICTIONARY = 3
} tmb_codec;

/* What a batch's bytes are paid from. */
typedef enum tmb_pool { TMB_POOL_LIVE = 0, TMB_POOL_BACKLOG = 1 } tmb_pool;

/* Why numbers of a stream are missing; also in the segment header of the journal. */
typedef enum tmb_gap_reason {
    TMB_GAP_NONE = 0,
    TMB_GAP_TORN = 1,      /* a write cut short by a crash: its message was never acknowledged */
    TMB_GAP_DAMAGED = 2,   /* bytes on disk that fail their checksum */
    TMB_GAP_RETENTION = 3, /* dropped by the stream's retention before they were carried up */
    TMB_GAP_MISSING = 4,   /* a segment file is gone */
    TMB_GAP_LATER = 5,     /* live lane, frames only: comes later, in the stream's own lane */
    TMB_GAP_AHEAD = 6      /* frames only: went ahead in the stream's live lane */
} tmb_gap_reason;

typedef enum tmb_bye_reason {
    TMB_BYE_CLOSING = 1,   /* going away in good order: come back with backoff */
    TMB_BYE_UNKNOWN = 2,   /* no such session here (restarted?): say HELLO again */
    TMB_BYE_MALFORMED = 3, /* your frame could not be read, or broke the protocol */
    TMB_BYE_IDENTITY = 4,  /* the name in HELLO is not the one in the certificate */
    TMB_BYE_VERSION = 5,   /* no protocol version in common */
    TMB_BYE_LIMIT = 6,     /* too many children or streams */
    TMB_BYE_AHEAD = 7,     /* the parent has more of a stream than the child: a restored backup */
    TMB_BYE_BUSY = 8,      /* 2: too many at once: come back in wait_ms */
    TMB_BYE_TWIN = 9,      /* 2: another box speaks under this name */
    TMB_BYE_FORKED = 10    /* 2: what the child has under a number is not what the parent has */
} tmb_bye_reason;

/* Why a scope's state is not synced, as SCOPE says it. */
typedef enum tmb_refusal {
    TMB_REFUSAL_NONE = 0,
    TMB_REFUSAL_UNKNOWN = 1, /* this node does not hold the scope, or the peer is not to see it */
    TMB_REFUSAL_DENIED = 2,  /* the peer may only read it: what it changed there is not taken */
    TMB_REFUSAL_LIMIT = 3    /* too many neighbours or actors */
} tmb_refusal;

typedef struct tmb_stream_state {
    tmb_bytes name;
    tmb_incarnation incarnation;
    uint64_t first_seq;
    uint64_t last_seq;
    tmb_class class_;
    uint64_t chain_seq; /* chain counts when has_chain */
    bool has_chain;
    uint8_t chain[TMB_CHAIN_BYTES];
} tmb_stream_state;

typedef struct tmb_mark {
    tmb_bytes stream;
    tmb_incarnation incarnation;
    uint64_t seq;
    bool has_chain;
    uint8_t chain[TMB_CHAIN_BYTES];
    uint32_t dictionary;  /* 0: none */
    uint32_t piece_bytes; /* 0: none; else piece_sum says of which data */
    uint32_t piece_sum;
} tmb_mark;

typedef struct tmb_frame_hello {
    uint64_t session;
    tmb_bytes node;
    uint32_t version_min;
    uint32_t version_max;
    uint64_t box;     /* 0: does not say */
    uint64_t answers; /* the session whose BYE(unknown) made this HELLO; 0: none */
    unsigned streams_count;
    tmb_stream_state streams[TMB_STREAMS_MAX];
} tmb_frame_hello;

typedef struct tmb_frame_welcome {
    uint64_t session;
    tmb_bytes node;
    uint32_t version;
    bool is_top;        /* the parent has no parent itself; false also when it does not say */
    uint32_t window_ms; /* 0: does not say */
    uint32_t load;      /* percent */
    bool has_credit;    /* live_bytes and backlog_bytes count; else there is no limit */
    uint64_t live_bytes, backlog_bytes;
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
    uint32_t piece_offset, piece_total, piece_sum; /* piece_total 0: data is whole */
    tmb_pool pool;
    uint32_t dictionary; /* 0: none */
    bool is_late;
    uint64_t spent; /* of pool in this session, this batch included; 0: does not say */
} tmb_frame_batch;

/* tmb_frame_batch_from gives the first number that a batch speaks of: its gap's, or its first record's. */
static inline uint64_t tmb_frame_batch_from(const tmb_frame_batch *batch)
{
    return batch->gap_first != 0 ? batch->gap_first : batch->first_seq;
}

typedef struct tmb_frame_ack {
    uint64_t session;
    tmb_mark mark;
    bool resend;
    uint32_t wait_ms;
} tmb_frame_ack;

typedef struct tmb_frame_bye {
    uint64_t session;
    tmb_bye_reason reason;
    tmb_bytes text;   /* for a log; may be empty */
    uint32_t wait_ms; /* 0: does not say */
} tmb_frame_bye;

typedef struct tmb_frame_credit {
    uint64_t session;
    uint64_t live_bytes, backlog_bytes; /* of data, sent in this session in all */
    uint32_t window_ms;                 /* as in WELCOME; 0: does not say */
} tmb_frame_credit;

typedef struct tmb_frame_dictionary {
    uint64_t session;
    tmb_bytes stream;
    tmb_incarnation incarnation;
    uint32_t id;
    tmb_bytes data;
} tmb_frame_dictionary;

typedef struct tmb_frame_ask {
    uint64_t session, id;
    tmb_bytes node;
    unsigned marks_count;
    tmb_mark marks[TMB_STREAMS_MAX];
} tmb_frame_ask;

typedef struct tmb_frame_told {
    uint64_t session, id;
    unsigned marks_count;
    tmb_mark marks[TMB_STREAMS_MAX];
} tmb_frame_told;

/* Contexts below are bytes as tmb_context_put writes them, without runs: read them with tmb_context_get. */
/* Points of the past of one incarnation that SCOPE carries. More: malformed. */
#define TMB_POINTS_MAX 16u

typedef struct tmb_frame_scope {
    uint64_t session;
    tmb_bytes scope;
    uint32_t turn;    /* which SCOPE of this speaker and scope in this session, from 1 on */
    uint32_t answers; /* the turn of the other's SCOPE that this one answers; 0: wants an answer */
    /* The speaker's own incarnation, how many dots it has given of it, and the chain there (last > 0). */
    tmb_incarnation self;
    uint64_t last;
    uint8_t chain[TMB_CHAIN_BYTES];
    tmb_bytes clock;       /* what the speaker has, durably */
    tmb_bytes floor;       /* up to where it has forgotten removals; empty: none */
    tmb_bytes heard;       /* of the one spoken to, in a pass that is not over; empty: none */
    tmb_bytes heard_clock; /* ctx of that pass's last chunk, when there is heard */
    /* What the speaker has of an incarnation of the one spoken to, unfinished passes too. */
    bool has_yours;
    tmb_incarnation yours;
    uint64_t yours_seq;
    tmb_bytes points;     /* points of the other's past, rising: varint seq, 16 bytes chain there */
    bool has_fingerprint; /* of all leaves, those of unfinished passes too; a refusal has none */
    uint64_t leaves;
    uint8_t sum[TMB_CHAIN_BYTES];
    uint64_t wall_ms, hlc; /* the speaker's clocks, for people and for skew; 0: does not say */
    tmb_refusal refused;
} tmb_frame_scope;

typedef struct tmb_frame_leaves {
    uint64_t session;
    tmb_bytes scope;
    uint32_t turn; /* of the receiver's SCOPE that this pass answers */
    uint32_t n;    /* LEAVES of it that went before */
    tmb_bytes ctx; /* the sender's clock when it looked; its entries are actors 0, 1 ... of data */
    tmb_bytes actors; /* the next ones, 16 bytes each */
    bool is_complete; /* the pass ends: whoever has joined all of it has all of ctx */
    tmb_bytes upto;   /* not complete: how far in the order of dots: varint seq for each of ctx */
    tmb_bytes floor;  /* complete, to one whose clock did not reach it: the sender's, as in SCOPE */
    /* Which actor is the sender's own incarnation, and its chain at its entry of ctx. */
    bool has_self;
    uint32_t self;
    uint8_t chain[TMB_CHAIN_BYTES];
    tmb_codec codec; /* of data: plain or zstd, as the shells please */
    uint32_t raw_bytes;
    tmb_bytes data; /* proto/leaves.h */
} tmb_frame_leaves;

typedef struct tmb_frame_stored {
    uint64_t session;
    tmb_bytes scope;
    uint32_t turn, n; /* as in LEAVES: this one and all before it are on the disk */
} tmb_frame_stored;

typedef struct tmb_frame_ranges {
    uint64_t session;
    tmb_bytes scope;
    uint32_t turn;  /* as in LEAVES, in both directions of the talk */
    uint32_t round; /* even: from whoever reconciles; odd: answers */
    tmb_bytes data; /* syncd/state/ranges.h */
} tmb_frame_ranges;

typedef struct tmb_frame {
    tmb_frame_type type;
    union {
        tmb_frame_hello hello;
        tmb_frame_welcome welcome;
        tmb_frame_batch batch;
        tmb_frame_ack ack;
        tmb_frame_bye bye;
        tmb_frame_credit credit;
        tmb_frame_dictionary dictionary;
        tmb_frame_ask ask;
        tmb_frame_told told;
        tmb_frame_scope scope;
        tmb_frame_leaves leaves;
        tmb_frame_stored stored;
        tmb_frame_ranges ranges;
    } u;
} tmb_frame;

/* tmb_frame_is_state: one of the frames about a scope. tmb_frame_scope_name gives it (empty: another frame),
 * tmb_frame_state_session the session it is of (0: another frame). */
bool tmb_frame_is_state(const tmb_frame *frame);
tmb_bytes tmb_frame_scope_name(const tmb_frame *frame);
uint64_t tmb_frame_state_session(const tmb_frame *frame);

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
const char *tmb_refusal_str(tmb_refusal refusal);

#ifdef __cplusplus
}
#endif
#endif
