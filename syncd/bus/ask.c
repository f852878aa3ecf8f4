// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/ask.c - topic and properties of an operation, and the limits of its values.
 *
 * What is not understood is refused with a sentence: in it where the mistake is, and what would be right.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/state_policy.h"
#include "policy/state_topic.h"
#include "proto/props.h"
#include "syncd/bus/ask_inside.h"
#include "syncd/state/scope.h"

static_assert(TMB_PATH_BYTES_MAX == TMB_STATE_PATH_BYTES_MAX &&
                  TMB_PATH_LEVELS_MAX == TMB_STATE_PATH_LEVELS_MAX &&
                  TMB_OP_VALUES_MAX == TMB_STATE_ELEMENTS_MAX,
              "what a topic may name, and a client say, a scope may hold");

/* An envelope with the most and longest elements, each byte escaped. More: refused. */
#define PAYLOAD_BYTES_MAX (8u << 20)

tmb_err tmb_ask_refuse(tmb_ask *ask, tmb_verdict verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ask->why, sizeof ask->why, format, args);
    va_end(args);
    ask->verdict = verdict;
    return TMB_EINVAL;
}

static void put_one(tmb_ask *ask, tmb_bytes value)
{
    tmb_ask_memory *memory = ask->memory;
    memory->one = value;
    ask->op.values = &memory->one;
    ask->op.values_count = 1;
}

tmb_err tmb_ask_put_bytes(tmb_ask *ask, tmb_bytes bytes)
{
    if (bytes.len > TMB_REGISTER_BYTES_MAX)
        return tmb_ask_refuse(ask, TMB_VERDICT_LIMIT,
                              "a register has at most %u bytes; keep what is larger elsewhere, and "
                              "its name here",
                              TMB_REGISTER_BYTES_MAX);
    put_one(ask, bytes);
    return TMB_OK;
}

tmb_err tmb_ask_put_number(tmb_ask *ask, double number)
{
    tmb_ask_memory *memory = ask->memory;
    tmb_number_order(number, memory->number);
    put_one(ask, tmb_bytes_of(memory->number, sizeof memory->number));
    return TMB_OK;
}

tmb_err tmb_ask_put_elements(tmb_ask *ask, const tmb_bytes *elements, size_t count)
{
    if (count == 0)
        return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED,
                              "%s takes a text or a list of texts, such as [\"wo-17\"]; found none",
                              tmb_verb_str(ask->op.verb));
    if (count > TMB_OP_VALUES_MAX)
        return tmb_ask_refuse(ask, TMB_VERDICT_LIMIT,
                              "%zu elements; at most %u in one operation, make several of it",
                              count, TMB_OP_VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (elements[i].len == 0 || !tmb_utf8_is_valid(elements[i]))
            return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED,
                                  "an element is a text in UTF-8, without NUL, of at least one "
                                  "letter; element %zu is not",
                                  i + 1);
        if (elements[i].len > TMB_ELEMENT_BYTES_MAX)
            return tmb_ask_refuse(ask, TMB_VERDICT_LIMIT,
                                  "an element has at most %u bytes; element %zu has %zu",
                                  TMB_ELEMENT_BYTES_MAX, i + 1, elements[i].len);
    }
    ask->op.values = elements;
    ask->op.values_count = (unsigned)count;
    return TMB_OK;
}

tmb_err tmb_ask_put_id(tmb_ask *ask, tmb_bytes id)
{
    tmb_bytes run = {0};
    uint64_t number = 0;
    if (tmb_props_number(id, &run, &number) != TMB_OK || run.len == 0 || !tmb_utf8_is_valid(run))
        return tmb_ask_refuse(
            ask, TMB_VERDICT_MALFORMED,
            "id: write run:number, such as press-3:17; numbers of a run rise, from 1, "
            "and a run has 1 to %d bytes",
            TMB_RUN_BYTES_MAX);
    ask->id = id;
    ask->op.run = run;
    ask->op.number = number;
    return TMB_OK;
}

tmb_err tmb_ask_put_token(tmb_ask *ask, tmb_bytes bytes, bool only_if)
{
    if (ask->op.token.len > 0)
        return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED, "two tokens; give token or if, and once");
    if (bytes.len == 0 || bytes.len > TMB_TOKEN_BYTES_MAX)
        return tmb_ask_refuse(ask, TMB_VERDICT_TOKEN,
                              "no token of this node; take the one that came with the value");
    ask->op.token = bytes;
    ask->op.is_unchanged = only_if;
    return TMB_OK;
}

tmb_err tmb_ask_put_token_text(tmb_ask *ask, tmb_bytes text, bool only_if)
{
    tmb_ask_memory *memory = ask->memory;
    size_t len = 0;
    if (ask->op.token.len == 0 && !memory->token)
        memory->token = malloc(TMB_TOKEN_BYTES_MAX);
    if (!memory->token)
        return ask->op.token.len > 0 ? tmb_ask_put_token(ask, text, only_if) : TMB_ENOMEM;
    if (ask->op.token.len == 0 &&
        tmb_token_bytes(text, memory->token, TMB_TOKEN_BYTES_MAX, &len) != TMB_OK)
        len = 0;
    return tmb_ask_put_token(ask, tmb_bytes_of(memory->token, len), only_if);
}

static tmb_err read_prop(tmb_ask *ask, const tmb_prop *prop, tmb_bytes *content_type)
{
    if (prop->id == TMB_PROP_CONTENT_TYPE)
        *content_type = prop->value;
    else if (prop->id == TMB_PROP_RESPONSE_TOPIC)
        ask->response_topic = prop->value;
    else if (prop->id == TMB_PROP_CORRELATION)
        ask->correlation = prop->value;
    else if (prop->id == TMB_PROP_USER &&
             tmb_bytes_eq(prop->name, tmb_bytes_str(TMB_PROP_TOKEN_NAME)))
        return tmb_ask_put_token_text(ask, prop->value, false);
    else if (prop->id == TMB_PROP_USER && tmb_bytes_eq(prop->name, tmb_bytes_str(TMB_PROP_IF_NAME)))
        return tmb_ask_put_token_text(ask, prop->value, true);
    return TMB_OK;
}

/* All of them, also behind a mistake: the answer needs to know where to go. */
static tmb_err read_props(tmb_ask *ask, tmb_bytes props, tmb_bytes *content_type)
{
    tmb_reader reader = tmb_reader_of(props);
    tmb_prop prop;
    tmb_err err = TMB_OK;
    while (tmb_props_next(&reader, &prop) == TMB_OK) {
        tmb_err one = read_prop(ask, &prop, content_type);
        if (err == TMB_OK || one == TMB_ENOMEM)
            err = one;
    }
    return err;
}

static tmb_err read_topic(tmb_ask *ask, const char *root, tmb_bytes topic)
{
    tmb_state_topic t = tmb_state_topic_parse(root, topic);
    ask->op.scope = t.scope;
    ask->op.path = t.path;
    ask->op.verb = t.verb;
    if (t.kind == TMB_STATE_OP)
        return TMB_OK;
    ask->op.verb = TMB_VERB_NONE;
    if (tmb_state_path_check(t.path) != NULL)
        ask->op.path = tmb_bytes_of(NULL, 0);
    if (!tmb_name_is_word(t.scope))
        ask->op.scope = ask->op.path = tmb_bytes_of(NULL, 0);
    return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED, "%s",
                          t.why ? t.why
                                : "no verb; write <root>/<scope>/<path>/<verb>, as in "
                                  "state/line-7/parts/inc");
}

static tmb_err read_payload(tmb_ask *ask, tmb_bytes payload, tmb_bytes content_type)
{
    if (payload.len > PAYLOAD_BYTES_MAX)
        return tmb_ask_refuse(ask, TMB_VERDICT_LIMIT,
                              "a payload of %zu bytes; at most %u, make several operations of it",
                              payload.len, PAYLOAD_BYTES_MAX);
    ask->is_protobuf = tmb_bytes_eq(content_type, tmb_bytes_str(TMB_CONTENT_TYPE_PROTOBUF));
    if (ask->is_protobuf)
        return tmb_ask_read_proto(ask, payload);
    return tmb_ask_read_text(ask, payload,
                             tmb_bytes_eq(content_type, tmb_bytes_str(TMB_CONTENT_TYPE_JSON)));
}

tmb_err tmb_ask_read(const char *root, const tmb_record *record, tmb_ask *ret)
{
    tmb_bytes content_type = {0};
    memset(ret, 0, sizeof *ret);
    ret->memory = calloc(1, sizeof(tmb_ask_memory));
    tmb_err err = TMB_ENOMEM;
    if (ret->memory) {
        err = read_props(ret, record->props, &content_type);
        tmb_err topic_err = err == TMB_ENOMEM ? err : read_topic(ret, root, record->topic);
        err = topic_err != TMB_OK ? topic_err : err;
    }
    if (err == TMB_OK)
        err = read_payload(ret, record->payload, content_type);
    if (err == TMB_ENOMEM)
        tmb_ask_clear(ret);
    return err;
}

void tmb_ask_clear(tmb_ask *ask)
{
    tmb_ask_memory *memory = ask->memory;
    if (memory) {
        json_decref(memory->json);
        tmb_ask_free_proto(memory->proto);
        free(memory->values);
        free(memory->token);
        free(memory);
    }
    memset(ask, 0, sizeof *ask);
}
