// SPDX-License-Identifier: Apache-2.0
/* proto/props.h - read and write MQTT 5 properties as bytes (MQTT 5, section 2.2.2), without a broker.
 *
 * Only those that a PUBLISH may carry end to end: payload format indicator (1), message expiry interval
 * (2), content type (3), response topic (8), correlation data (9), user property (38). Big-endian, as on
 * the wire. Threads: none. Cost: one pass, no allocation.
 */
#ifndef TMB_PROTO_PROPS_H
#define TMB_PROTO_PROPS_H

#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tmb_prop_id {
    TMB_PROP_PAYLOAD_FORMAT = 1,
    TMB_PROP_EXPIRY = 2,
    TMB_PROP_CONTENT_TYPE = 3,
    TMB_PROP_RESPONSE_TOPIC = 8,
    TMB_PROP_CORRELATION = 9,
    TMB_PROP_USER = 38
};

typedef struct tmb_prop {
    uint8_t id;
    uint32_t number; /* payload format, expiry in seconds */
    tmb_bytes name;  /* user property only */
    tmb_bytes value; /* strings, binary data, user property */
} tmb_prop;

/* tmb_props_next reads the next property. Slices borrow from the reader's bytes.
 * Errors: TMB_EAGAIN (no more), TMB_ECORRUPT (unknown id, short, not UTF-8, or a payload format other than
 * 0 and 1; the reader is bad). */
TMB_MUST_USE tmb_err tmb_props_next(tmb_reader *reader, tmb_prop *ret_prop);

/* tmb_props_put appends one property; the writer turns bad when it does not fit or tmb_props_next would
 * refuse it. */
void tmb_props_put(tmb_writer *writer, const tmb_prop *prop);

/* tmb_props_put_size gives the bytes tmb_props_put will write; 0 for an unknown id. */
size_t tmb_props_put_size(const tmb_prop *prop);

/* tmb_props_are_valid says whether every property of props can be read. */
bool tmb_props_are_valid(tmb_bytes props);

/* tmb_props_find_user gives the value of the first user property called name.
 * Errors: TMB_ENOENT (none, or props are not valid). */
TMB_MUST_USE tmb_err tmb_props_find_user(tmb_bytes props, const char *name, tmb_bytes *ret_value);

/* The user property by which a publisher numbers its messages: "17" or "run-a:17". Numbers of one client
 * id, run and stream must rise; a run is a name for one unbroken count (1 to TMB_RUN_BYTES_MAX bytes). The
 * number is what follows the last colon, decimal digits alone. */
#define TMB_PROP_SEQ_NAME "tombolo-seq"

/* tmb_props_number reads a value of TMB_PROP_SEQ_NAME; run is empty when none is named.
 * Errors: TMB_EINVAL (not of that form, number 0, or above 2^63 - 1). */
TMB_MUST_USE tmb_err tmb_props_number(tmb_bytes value, tmb_bytes *ret_run, uint64_t *ret_number);

/* User properties that the node adds to what it delivers of a stream with `mark: true`, so that a subscriber
 * can tell a message from a repeat of it: "<node>/<stream>/<seq>/<first 8 hex digits of the incarnation>", of
 * the node that delivers and its own log; and "1" on what is delivered again after a restart. They say where
 * a message stands in one node's log: taken off what clients and children send, never kept in a record. */
#define TMB_PROP_ID_NAME     "tombolo-id"
#define TMB_PROP_REPLAY_NAME "tombolo-replay"

/* The user property by which a publisher asks for a receipt (broker-plugin/receipts.h), and the node's answer
 * says which it is. */
#define TMB_PROP_RECEIPT_NAME "tombolo-receipt"

/* User properties of state that merges: what was seen when a value was published, and of an operation what
 * its author had read; and refused unless unchanged since. */
#define TMB_PROP_TOKEN_NAME "tombolo-token"
#define TMB_PROP_IF_NAME    "tombolo-if"

/* User properties that a parent adds to records of a live_first stream that come after newer ones: "1", and
 * when the record was written where it was born, as 2026-11-21T22:15:00.123Z. Taken off what clients send. */
#define TMB_PROP_LATE_NAME "tombolo-late"
#define TMB_PROP_TIME_NAME "tombolo-time"

/* tmb_props_is_late says whether a user property has one of these two names. */
bool tmb_props_is_late(tmb_bytes name);

/* tmb_props_is_mark says whether a user property has one of the two names of marks. */
bool tmb_props_is_mark(tmb_bytes name);

#ifdef __cplusplus
}
#endif
#endif
