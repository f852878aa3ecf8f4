// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/ask.h - a message on a topic of state, read as an operation; or the sentence that refuses it.
 *
 *   topic                      payload                           properties (MQTT 5)
 *   state/line-7/parts/inc     3                                 tombolo-token, tombolo-if: a token
 *   state/line-7/parts/inc     {"inc":3,"id":"press-3:17"}       content type application/protobuf: StateOp
 *   state/line-7/open/add      wo-17                             response topic, correlation data
 *   state/line-7/open/add      ["wo-17","wo-18"]
 *
 * The payload is the value itself, or an envelope: a JSON object with a member that is called like the verb,
 * and beside it id, token and if. A verb that needs no value takes an empty payload, true, or an envelope.
 *
 *   register          the bytes as they came; of an envelope a text's characters, or what else stands there
 *   counters          a whole number from 0 on; nothing: 1
 *   elements of sets  a text, or a list of texts; a payload that begins with [ { or " is taken for JSON
 *   raise, lower      a number as JSON writes it, kept as a double; whole ones up to 2^53 either way
 *
 * Who publishes with MQTT 5 numbers by the property tombolo-seq (proto/props.h): the plugin drops repeats,
 * and nothing of it comes here. With 3.1.1 id does the same: what was applied under it once is answered
 * "repeat".
 *
 * Threads: none. Cost: one pass; one allocation a text of an envelope or list, none for a plain payload.
 */
#ifndef TMB_SYNCD_BUS_ASK_H
#define TMB_SYNCD_BUS_ASK_H

#include "base/err.h"
#include "proto/record.h"
#include "syncd/state/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_CONTENT_TYPE_PROTOBUF "application/protobuf"
#define TMB_CONTENT_TYPE_JSON     "application/json"

/* A sentence that refuses, and says what would be right. */
#define TMB_ASK_WHY_BYTES 256u

typedef struct tmb_ask {
    tmb_op op; /* but for stamp, which is the caller's; of a refusal: what was understood */
    tmb_verdict verdict; /* of a refusal */
    char why[TMB_ASK_WHY_BYTES];
    tmb_bytes id;                          /* as it was given, for the answer; empty: none */
    tmb_bytes response_topic, correlation; /* where the answer goes; empty: nowhere */
    bool is_protobuf;
    void *memory; /* what op points into besides the record */
} tmb_ask;

/* tmb_ask_read reads record's message; root is state.root. ret points into record and its own memory, and is
 * to be cleared whatever comes out but TMB_ENOMEM, after which it holds nothing.
 * Errors: TMB_EINVAL (refused: verdict and why; scope and path are empty when the topic has none),
 * TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_ask_read(const char *root, const tmb_record *record, tmb_ask *ret);
void tmb_ask_clear(tmb_ask *ask);

#ifdef __cplusplus
}
#endif
#endif
