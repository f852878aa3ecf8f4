// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/ask_inside.h - what the readers of payloads share inside this folder.
 *
 *   ask.c: topic, properties --> ask_json.c: plain payloads and envelopes
 *                            '-> ask_proto.c: StateOp
 *
 * Each gives TMB_OK, TMB_EINVAL after tmb_ask_refuse, or TMB_ENOMEM.
 */
#ifndef TMB_SYNCD_BUS_ASK_INSIDE_H
#define TMB_SYNCD_BUS_ASK_INSIDE_H

#include <jansson.h>

#include "syncd/bus/answer.h"
#include "syncd/bus/ask.h"

/* What op points into besides the record. */
typedef struct tmb_ask_memory {
    json_t *json; /* the payload */
    void *proto;  /* a StateOp */
    tmb_bytes *values;
    tmb_bytes one; /* values, when there is one */
    uint8_t number[TMB_NUMBER_BYTES];
    uint8_t *token;
} tmb_ask_memory;

/* tmb_ask_refuse writes the sentence and gives TMB_EINVAL. */
tmb_err tmb_ask_refuse(tmb_ask *ask, tmb_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Values, checked against their limits. */
TMB_MUST_USE tmb_err tmb_ask_put_bytes(tmb_ask *ask, tmb_bytes bytes);
TMB_MUST_USE tmb_err tmb_ask_put_number(tmb_ask *ask, double number);
TMB_MUST_USE tmb_err tmb_ask_put_elements(tmb_ask *ask, const tmb_bytes *elements, size_t count);

/* id, and tokens: raw, or as text. only_if: the operation is refused unless unchanged since. */
TMB_MUST_USE tmb_err tmb_ask_put_id(tmb_ask *ask, tmb_bytes id);
TMB_MUST_USE tmb_err tmb_ask_put_token(tmb_ask *ask, tmb_bytes bytes, bool only_if);
TMB_MUST_USE tmb_err tmb_ask_put_token_text(tmb_ask *ask, tmb_bytes text, bool only_if);

TMB_MUST_USE tmb_err tmb_ask_read_text(tmb_ask *ask, tmb_bytes payload, bool must_be_json);
TMB_MUST_USE tmb_err tmb_ask_read_proto(tmb_ask *ask, tmb_bytes payload);
void tmb_ask_free_proto(void *proto);

#endif
