// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_write.c - tombolo-state VERB SCOPE/PATH [VALUE...]: one operation, and its answer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/state_cli.h"

/* A register's bytes from stdin. More: refused; the node takes less. */
#define STDIN_BYTES_MAX (1024u * 1024u)

/* How many words stand behind a verb. */
static int words_of(tmb_verb verb, int *ret_max)
{
    tmb_takes takes = tmb_verb_takes(verb);
    *ret_max = takes == TMB_TAKES_NOTHING    ? 0
               : takes == TMB_TAKES_ELEMENTS ? (int)TMB_STATE_ELEMENTS_MAX
                                             : 1;
    return takes == TMB_TAKES_NOTHING || takes == TMB_TAKES_AMOUNT ? 0 : 1;
}

/* What a counter, or raise and lower, takes; NULL: told. */
static json_t *number_of(tmb_verb verb, const char *word)
{
    bool is_amount = tmb_verb_takes(verb) == TMB_TAKES_AMOUNT;
    json_t *value = json_loads(word, JSON_DECODE_ANY, NULL);
    if (is_amount ? json_is_integer(value) && json_integer_value(value) >= 0
                  : json_is_number(value))
        return value;
    json_decref(value);
    state_fail(STATE_USAGE, "%s takes a %s, not \"%s\"%s", tmb_verb_str(verb),
               is_amount ? "whole number from 0 to 9223372036854775807, such as 3"
                         : "number as JSON has them, such as 21.5",
               word, verb == TMB_VERB_INC && word[0] == '-' ? "; dec counts down" : "");
    return NULL;
}

static json_t *elements_of(char *const *words, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        if (json_array_append_new(list, json_string(words[i])) == 0)
            continue;
        state_fail(STATE_USAGE, "an element has to be UTF-8: word %d", i + 1);
        json_decref(list);
        return NULL;
    }
    return list;
}

/* What stands behind the verb, as JSON; NULL: told. */
static json_t *value_of(tmb_verb verb, char *const *words, int count)
{
    json_t *value = NULL;
    switch (tmb_verb_takes(verb)) {
    case TMB_TAKES_NOTHING:
        return json_true();
    case TMB_TAKES_ELEMENTS:
        return elements_of(words, count);
    case TMB_TAKES_BYTES:
        value = json_string(words[0]);
        if (!value)
            state_fail(STATE_USAGE, "with --id a value has to be UTF-8; give the bytes without it");
        return value;
    case TMB_TAKES_AMOUNT:
    case TMB_TAKES_NUMBER:
        return count == 0 ? json_integer(1) : number_of(verb, words[0]);
    }
    return NULL;
}

/* The payload of at most cap bytes, to be freed. */
static int read_all(size_t cap, char **ret_payload, size_t *ret_len)
{
    char *room = malloc(cap + 1);
    *ret_payload = room;
    if (!room)
        return state_fail(STATE_UNREACHABLE, "out of memory");
    *ret_len = fread(room, 1, cap + 1, stdin);
    if (ferror(stdin))
        return state_fail(STATE_UNREACHABLE, "standard input: %s", strerror(errno));
    if (*ret_len > cap)
        return state_fail(STATE_USAGE, "standard input: at most %zu bytes", cap);
    return STATE_OK;
}

/* A register's own bytes go as they are, unless they could be taken for an envelope, which is UTF-8 without
 * NUL. */
static bool is_plain(tmb_bytes value)
{
    size_t at = 0;
    while (at < value.len && memchr(" \t\r\n", value.ptr[at], 4))
        at++;
    return at == value.len || value.ptr[at] != '{' || !tmb_utf8_is_valid(value);
}

/* The payload, to be freed. Takes value. */
static int envelope_of(const state_options *options, tmb_verb verb, json_t *value,
                       char **ret_payload, size_t *ret_len)
{
    json_t *envelope = json_pack("{s:o}", tmb_verb_str(verb), value);
    if (envelope && options->id)
        json_object_set_new(envelope, "id", json_string(options->id));
    *ret_payload = envelope ? json_dumps(envelope, JSON_COMPACT) : NULL;
    json_decref(envelope);
    if (!*ret_payload)
        return state_fail(STATE_UNREACHABLE, "out of memory");
    *ret_len = strlen(*ret_payload);
    return STATE_OK;
}

/* Of a register without --id. */
static int register_of(const state_options *options, const char *word, char **ret_payload,
                       size_t *ret_len)
{
    int code = STATE_OK;
    if (strcmp(word, "-") == 0) {
        code = read_all(STDIN_BYTES_MAX, ret_payload, ret_len);
    } else {
        *ret_payload = strdup(word);
        *ret_len = strlen(word);
    }
    if (code != STATE_OK || !*ret_payload)
        return code != STATE_OK ? code : state_fail(STATE_UNREACHABLE, "out of memory");
    if (is_plain(tmb_bytes_of((const uint8_t *)*ret_payload, *ret_len)))
        return STATE_OK;
    json_t *value = json_stringn(*ret_payload, *ret_len);
    free(*ret_payload);
    return envelope_of(options, TMB_VERB_SET, value, ret_payload, ret_len);
}

/* The payload, to be freed. */
static int payload_of(const state_options *options, tmb_verb verb, char *const *words, int count,
                      char **ret_payload, size_t *ret_len)
{
    if (verb == TMB_VERB_SET && !options->id)
        return register_of(options, words[0], ret_payload, ret_len);
    if (verb == TMB_VERB_SET && strcmp(words[0], "-") == 0)
        return state_fail(STATE_USAGE, "--id does not go with a value from standard input");
    json_t *value = value_of(verb, words, count);
    return value ? envelope_of(options, verb, value, ret_payload, ret_len) : STATE_USAGE;
}

static int tell(const state_options *options, const state_target *target, json_t *answer)
{
    bool is_ok = json_is_true(json_object_get(answer, "ok"));
    const char *verdict = json_string_value(json_object_get(answer, "verdict"));
    const char *why = json_string_value(json_object_get(answer, "why"));
    if (options->is_json)
        state_print(json_incref(answer));
    else if (is_ok)
        printf("%s\n", verdict ? verdict : "done");
    if (is_ok)
        return STATE_OK;
    if (options->is_json)
        return STATE_REFUSED;
    return state_fail(STATE_REFUSED, "%s/%s: refused (%s)%s%s", target->scope, target->path,
                      verdict ? verdict : "?", why ? ": " : "", why ? why : "");
}

int state_write(const state_options *options, const state_target *target, tmb_verb verb,
                char *const *words, int words_count)
{
    int words_max, words_min = words_of(verb, &words_max);
    const char *name = tmb_verb_str(verb);
    if (words_count < words_min)
        return state_fail(STATE_USAGE, "%s SCOPE/PATH VALUE: the value is missing", name);
    if (words_count > 0 && words_max == 0)
        return state_fail(STATE_USAGE, "%s takes no value, only SCOPE/PATH", name);
    if (words_count > words_max)
        return state_fail(STATE_USAGE, "%s takes at most %d value%s; put one with spaces in quotes",
                          name, words_max, words_max == 1 ? "" : "s");
    char topic[STATE_TOPIC_BYTES], *payload = NULL;
    size_t len = 0;
    state_topic(options, target, name, topic);
    int code = payload_of(options, verb, words, words_count, &payload, &len);
    state_wire *wire = NULL;
    if (code == STATE_OK)
        code = state_wire_open(options, NULL, NULL, &wire);
    json_t *answer = NULL;
    if (code == STATE_OK)
        code = state_wire_ask(wire, topic, tmb_bytes_of(payload, len), &answer);
    if (code == STATE_OK && !json_object_get(answer, "op")) /* the broker's, and not the node's */
        json_object_update_new(answer, json_pack("{s:s, s:s}", "op", name, "path", target->path));
    if (code == STATE_OK)
        code = tell(options, target, answer);
    json_decref(answer);
    state_wire_close(wire);
    free(payload);
    return code;
}
