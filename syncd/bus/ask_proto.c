// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/ask_proto.c - an operation as a StateOp (proto/state.proto). */
#include <math.h>
#include <stdlib.h>

#include "state.pb-c.h"
#include "syncd/bus/ask_inside.h"

void tmb_ask_free_proto(void *proto)
{
    if (proto)
        tombolo__state__v1__state_op__free_unpacked(proto, NULL);
}

static tmb_err refuse_value(tmb_ask *ask, const char *field)
{
    return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED, "%s takes %s of StateOp",
                          tmb_verb_str(ask->op.verb), field);
}

static tmb_err put_elements(tmb_ask *ask, const Tombolo__State__V1__Elements *elements)
{
    tmb_ask_memory *memory = ask->memory;
    size_t count = elements->n_texts;
    if (count == 0 || count > TMB_OP_VALUES_MAX)
        return tmb_ask_put_elements(ask, NULL, count); /* refused */
    memory->values = calloc(count, sizeof *memory->values);
    if (!memory->values)
        return TMB_ENOMEM;
    for (size_t i = 0; i < count; i++)
        memory->values[i] = tmb_bytes_str(elements->texts[i]);
    return tmb_ask_put_elements(ask, memory->values, count);
}

static tmb_err put_amount(tmb_ask *ask, uint64_t amount)
{
    if (amount > INT64_MAX)
        return refuse_value(ask, "an amount up to 9223372036854775807");
    ask->op.amount = amount;
    return TMB_OK;
}

static tmb_err put_number(tmb_ask *ask, double number)
{
    return isfinite(number) ? tmb_ask_put_number(ask, number)
                            : refuse_value(ask, "a finite number");
}

static tmb_err put_value(tmb_ask *ask, const Tombolo__State__V1__StateOp *op)
{
    int given = (int)op->value_case;
    switch (tmb_verb_takes(ask->op.verb)) {
    case TMB_TAKES_NOTHING:
        return given == TOMBOLO__STATE__V1__STATE_OP__VALUE__NOT_SET
                   ? TMB_OK
                   : refuse_value(ask, "no value");
    case TMB_TAKES_BYTES:
        return given == TOMBOLO__STATE__V1__STATE_OP__VALUE_BYTES
                   ? tmb_ask_put_bytes(ask, tmb_bytes_of(op->bytes.data, op->bytes.len))
                   : refuse_value(ask, "bytes");
    case TMB_TAKES_AMOUNT:
        return given == TOMBOLO__STATE__V1__STATE_OP__VALUE_AMOUNT ? put_amount(ask, op->amount)
                                                                   : refuse_value(ask, "amount");
    case TMB_TAKES_ELEMENTS:
        return given == TOMBOLO__STATE__V1__STATE_OP__VALUE_ELEMENTS
                   ? put_elements(ask, op->elements)
                   : refuse_value(ask, "elements");
    case TMB_TAKES_NUMBER:
        return given == TOMBOLO__STATE__V1__STATE_OP__VALUE_NUMBER ? put_number(ask, op->number)
                                                                   : refuse_value(ask, "number");
    }
    return TMB_EINVAL;
}

/* Tells bytes that are no message from a box without memory. */
static void *note_malloc(void *has_failed, size_t size)
{
    void *ptr = malloc(size);
    *(bool *)has_failed |= ptr == NULL;
    return ptr;
}

static void note_free(void *has_failed, void *ptr)
{
    (void)has_failed;
    free(ptr);
}

tmb_err tmb_ask_read_proto(tmb_ask *ask, tmb_bytes payload)
{
    tmb_ask_memory *memory = ask->memory;
    bool has_failed = false;
    ProtobufCAllocator heap = {note_malloc, note_free, &has_failed};
    Tombolo__State__V1__StateOp *op =
        tombolo__state__v1__state_op__unpack(&heap, payload.len, payload.ptr);
    if (!op && has_failed)
        return TMB_ENOMEM;
    if (!op)
        return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED,
                              "no StateOp of proto/state.proto, as the content type "
                              "application/protobuf says; leave it out for plain values and JSON");
    memory->proto = op;
    if (op->version != 1)
        return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED,
                              "version %u of StateOp; this node knows 1", op->version);
    tmb_err err = put_value(ask, op);
    if (err == TMB_OK && op->id && op->id[0] != '\0')
        err = tmb_ask_put_id(ask, tmb_bytes_str(op->id));
    if (err == TMB_OK && op->token.len > 0)
        err = tmb_ask_put_token(ask, tmb_bytes_of(op->token.data, op->token.len), false);
    if (err == TMB_OK && op->only_if.len > 0)
        err = tmb_ask_put_token(ask, tmb_bytes_of(op->only_if.data, op->only_if.len), true);
    return err;
}
