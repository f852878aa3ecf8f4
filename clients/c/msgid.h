// SPDX-License-Identifier: Apache-2.0
/* clients/c/msgid.h - the mark of a message, user property tombolo-id, read from its text.
 *
 *   tombolo-id: <node>/<stream>/<seq>/<first 8 hex digits of the incarnation>
 *
 * Node and stream are names of [a-z0-9][a-z0-9._-]* (TMB_NAME_BYTES_MAX, TMB_STREAM_NAME_BYTES_MAX), seq is
 * 1 to 2^63 - 1 in digits without leading zeros, the hex digits are small. Whatever differs is no mark: a
 * mark has one spelling, so that two texts are equal exactly when they name one message.
 * Threads: none, values. Cost: one pass over at most TMB_MSGID_BYTES_MAX bytes.
 */
#ifndef TMB_CLIENTS_C_MSGID_H
#define TMB_CLIENTS_C_MSGID_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_MSGID_SEQ_DIGITS  19
#define TMB_MSGID_LIFE_DIGITS 8
/* The longest mark. A longer text is none. */
#define TMB_MSGID_BYTES_MAX                                                                        \
    (TMB_NAME_BYTES_MAX + 1 + TMB_STREAM_NAME_BYTES_MAX + 1 + TMB_MSGID_SEQ_DIGITS + 1 +           \
     TMB_MSGID_LIFE_DIGITS)

/* node, stream: with a NUL after them. life: the first four bytes of the node's incarnation, as a number. */
typedef struct tmb_msgid {
    char node[TMB_NAME_BYTES_MAX + 1];
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    uint64_t seq;
    uint32_t life;
} tmb_msgid;

/* tmb_msgid_parse reads a mark. Errors: TMB_EINVAL (of another form; ret_id is untouched): treat the message
 * as one without a mark. */
TMB_MUST_USE tmb_err tmb_msgid_parse(tmb_bytes text, tmb_msgid *ret_id);

#ifdef __cplusplus
}
#endif
#endif
