// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/ask_json.c - payloads that are plain values, and envelopes in JSON.
 *
 *   {"set": 21.50, "if": "AQ..."}     a register gets the bytes 21.50 as they stand in the envelope, so that
 *                                     what is read is what was written
 *
 * A payload for a register that is JSON and has no member "set" is the value itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "syncd/bus/ask_inside.h"

#define EXACT_MAX ((json_int_t)1 << 53)

static const char *example_of(tmb_verb verb)
{
    switch (tmb_verb_takes(verb)) {
    case TMB_TAKES_NOTHING:
        return "nothing: publish no payload, or true";
    case TMB_TAKES_BYTES:
        return "bytes, and with the content type application/json JSON";
    case TMB_TAKES_AMOUNT:
        return "a whole number from 0 to 9223372036854775807, such as 3";
    case TMB_TAKES_ELEMENTS:
        return "a text or a list of texts, such as wo-17 or [\"wo-17\",\"wo-18\"]";
    case TMB_TAKES_NUMBER:
        return "a number, such as 21.5; whole ones up to 9007199254740992 (2^53) either way";
    }
    return "a value";
}

static tmb_err refuse_value(tmb_ask *ask)
{
    return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED, "%s takes %s", tmb_verb_str(ask->op.verb),
                          example_of(ask->op.verb));
}

static tmb_bytes text_of(const json_t *json)
{
    return tmb_bytes_of(json_string_value(json), json_string_length(json));
}

static tmb_err put_amount(tmb_ask *ask, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return refuse_value(ask);
    ask->op.amount = (uint64_t)json_integer_value(value);
    return TMB_OK;
}

static tmb_err put_number(tmb_ask *ask, const json_t *value)
{
    json_int_t whole = json_integer_value(value);
    if (!json_is_number(value) ||
        (json_is_integer(value) && (whole > EXACT_MAX || whole < -EXACT_MAX)))
        return refuse_value(ask);
    return tmb_ask_put_number(ask, json_number_value(value));
}

static tmb_err put_elements(tmb_ask *ask, const json_t *value)
{
    tmb_ask_memory *memory = ask->memory;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count > TMB_OP_VALUES_MAX || (json_is_array(value) && count == 0))
        return tmb_ask_put_elements(ask, NULL, count); /* refused */
    memory->values = calloc(count, sizeof *memory->values);
    if (!memory->values)
        return TMB_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_string(one))
            return refuse_value(ask);
        memory->values[i] = text_of(one);
    }
    return tmb_ask_put_elements(ask, memory->values, count);
}

static tmb_err put_nothing(tmb_ask *ask, const json_t *value)
{
    return json_is_true(value) || json_is_null(value) ? TMB_OK : refuse_value(ask);
}

/* The end of the JSON value that begins at; text is known to be JSON. */
static const uint8_t *end_of_value(const uint8_t *at, const uint8_t *end)
{
    unsigned depth = 0;
    bool is_in_text = false;
    for (; at < end; at++) {
        if (is_in_text && *at == '\\') {
            at++; /* and what it escapes */
        } else if (is_in_text) {
            is_in_text = *at != '"';
        } else if (*at == '"') {
            is_in_text = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (depth == 0 && (*at == ',' || *at == '}' || *at == ']')) {
            break;
        } else if (*at == '}' || *at == ']') {
            depth--;
        }
    }
    return at < end ? at : end;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static tmb_bytes trimmed(tmb_bytes text)
{
    while (text.len > 0 && is_space(text.ptr[0]))
        text = tmb_bytes_of(text.ptr + 1, text.len - 1);
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* The bytes of the member called name, as they stand in an object; empty: its name is written otherwise. */
static tmb_bytes member_bytes(tmb_bytes object, const char *name)
{
    const uint8_t *at = object.ptr + 1, *end = object.ptr + object.len;
    size_t len = strlen(name);
    while (at < end) {
        tmb_bytes rest = trimmed(tmb_bytes_of(at, (size_t)(end - at)));
        const uint8_t *value = rest.ptr + 1;
        while (value < end && *value != '"') /* the end of the name */
            value += *value == '\\' ? 2 : 1;
        bool is_it = value < end && (size_t)(value - rest.ptr) == len + 1 &&
                     memcmp(rest.ptr + 1, name, len) == 0;
        while (value < end && *value != ':')
            value++;
        if (value >= end)
            break;
        at = end_of_value(value + 1, end);
        if (is_it)
            return trimmed(tmb_bytes_of(value + 1, (size_t)(at - value - 1)));
        at++;
    }
    return tmb_bytes_of(NULL, 0);
}

static tmb_err put_json_bytes(tmb_ask *ask, const json_t *value, tmb_bytes object)
{
    if (json_is_string(value))
        return tmb_ask_put_bytes(ask, text_of(value));
    tmb_bytes bytes = member_bytes(object, tmb_verb_str(ask->op.verb));
    return bytes.len > 0 ? tmb_ask_put_bytes(ask, bytes) : refuse_value(ask);
}

static tmb_err put_value(tmb_ask *ask, const json_t *value, tmb_bytes object)
{
    switch (tmb_verb_takes(ask->op.verb)) {
    case TMB_TAKES_NOTHING:
        return put_nothing(ask, value);
    case TMB_TAKES_BYTES:
        return put_json_bytes(ask, value, object);
    case TMB_TAKES_AMOUNT:
        return put_amount(ask, value);
    case TMB_TAKES_ELEMENTS:
        return put_elements(ask, value);
    case TMB_TAKES_NUMBER:
        return put_number(ask, value);
    }
    return TMB_EINVAL;
}

static tmb_err read_member(tmb_ask *ask, const char *name, const json_t *value, tmb_bytes object)
{
    if (strcmp(name, tmb_verb_str(ask->op.verb)) == 0)
        return put_value(ask, value, object);
    bool is_id = strcmp(name, "id") == 0, is_if = strcmp(name, "if") == 0;
    if (!is_id && !is_if && strcmp(name, "token") != 0)
        return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED,
                              "an envelope has the members %s, id, token and if; another one is in "
                              "it. Put a value that is an object itself inside: {\"%s\": {...}}",
                              tmb_verb_str(ask->op.verb), tmb_verb_str(ask->op.verb));
    if (!json_is_string(value))
        return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED, "%s: a text in quotes, please", name);
    return is_id ? tmb_ask_put_id(ask, text_of(value))
                 : tmb_ask_put_token_text(ask, text_of(value), is_if);
}

static tmb_err read_envelope(tmb_ask *ask, json_t *envelope, tmb_bytes payload)
{
    const char *name;
    json_t *value;
    json_object_foreach(envelope, name, value)
    {
        tmb_err err = read_member(ask, name, value, payload);
        if (err != TMB_OK)
            return err;
    }
    return TMB_OK;
}

/* Of one word there is no place in it to tell. */
static tmb_err refuse_json(tmb_ask *ask, tmb_bytes text, const json_error_t *error)
{
    if (text.ptr[0] != '{' && text.ptr[0] != '[')
        return refuse_value(ask);
    return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED, "line %d, column %d: no JSON; %s takes %s",
                          error->line, error->column, tmb_verb_str(ask->op.verb),
                          example_of(ask->op.verb));
}

/* A payload without a value: one part counted, and verbs that need none. */
static tmb_err read_empty(tmb_ask *ask)
{
    switch (tmb_verb_takes(ask->op.verb)) {
    case TMB_TAKES_NOTHING:
        return TMB_OK;
    case TMB_TAKES_BYTES:
        return tmb_ask_put_bytes(ask, tmb_bytes_of(NULL, 0));
    case TMB_TAKES_AMOUNT:
        ask->op.amount = 1;
        return TMB_OK;
    case TMB_TAKES_ELEMENTS:
    case TMB_TAKES_NUMBER:
        break;
    }
    return refuse_value(ask);
}

static tmb_err read_json(tmb_ask *ask, tmb_bytes payload, tmb_bytes text, bool must_be_json)
{
    tmb_ask_memory *memory = ask->memory;
    json_error_t error;
    tmb_takes takes = tmb_verb_takes(ask->op.verb);
    memory->json = json_loadb((const char *)text.ptr, text.len,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!memory->json && json_error_code(&error) == json_error_out_of_memory)
        return TMB_ENOMEM;
    bool has_verb = json_object_get(memory->json, tmb_verb_str(ask->op.verb)) != NULL;
    if (has_verb || (takes == TMB_TAKES_NOTHING && json_is_object(memory->json)))
        return read_envelope(ask, memory->json, text);
    if (takes == TMB_TAKES_BYTES && (memory->json || !must_be_json))
        return tmb_ask_put_bytes(ask, payload);
    if (!memory->json)
        return refuse_json(ask, text, &error);
    if (json_is_object(memory->json))
        return tmb_ask_refuse(ask, TMB_VERDICT_MALFORMED,
                              "the envelope lacks \"%s\"; write {\"%s\": ...}, which takes %s",
                              tmb_verb_str(ask->op.verb), tmb_verb_str(ask->op.verb),
                              example_of(ask->op.verb));
    return put_value(ask, memory->json, text);
}

tmb_err tmb_ask_read_text(tmb_ask *ask, tmb_bytes payload, bool must_be_json)
{
    tmb_bytes text = trimmed(payload);
    tmb_ask_memory *memory = ask->memory;
    tmb_takes takes = tmb_verb_takes(ask->op.verb);
    bool looks_like_json =
        text.len > 0 && strchr("{[\"", text.ptr[0]) != NULL && text.ptr[0] != '\0';
    if (payload.len == 0 || (text.len == 0 && takes != TMB_TAKES_BYTES))
        return read_empty(ask);
    if (takes == TMB_TAKES_BYTES && !must_be_json && (text.len == 0 || text.ptr[0] != '{'))
        return tmb_ask_put_bytes(ask, payload);
    if (takes == TMB_TAKES_ELEMENTS && !looks_like_json && !must_be_json) {
        memory->one = text;
        return tmb_ask_put_elements(ask, &memory->one, 1);
    }
    return read_json(ask, payload, text, must_be_json);
}
