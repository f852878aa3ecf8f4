// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_read.c - tombolo-state get, conflicts, list, watch: retained values, and what follows. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/state_cli.h"

typedef struct reading {
    const state_options *options;
    const char *wanted; /* the one topic that counts; NULL: all values */
    bool is_found, is_watch;
    unsigned shown;
    state_message last; /* of wanted, with copies: it may change while the rest is waited for */
} reading;

static volatile bool is_stopped;

static void on_signal(int signal)
{
    (void)signal;
    is_stopped = true;
}

static json_t *text_of(tmb_bytes bytes)
{
    return json_stringn(bytes.len > 0 ? (const char *)bytes.ptr : "", bytes.len);
}

static void show(reading *r, const tmb_state_topic *topic, const state_message *message)
{
    r->shown++;
    if (r->options->is_json) {
        json_t *value = message->payload.len > 0 ? state_value(message->payload) : json_null();
        json_t *line = json_pack("{s:o, s:o, s:o}", "scope", text_of(topic->scope), "path",
                                 text_of(topic->path), "value", value);
        if (line && topic->kind == TMB_STATE_OUTPUT)
            json_object_set_new(line, "about", json_string(tmb_state_output_str(topic->output)));
        if (line && message->token)
            json_object_set_new(line, "token", json_string(message->token));
        is_stopped = !state_print(line) || is_stopped;
        return;
    }
    if (!r->wanted)
        printf("%.*s%s%.*s%s%s  ", (int)topic->scope.len, (const char *)topic->scope.ptr,
               topic->path.len > 0 ? "/" : "", (int)topic->path.len,
               topic->path.len > 0 ? (const char *)topic->path.ptr : "",
               topic->kind == TMB_STATE_OUTPUT ? "/" : "",
               topic->kind == TMB_STATE_OUTPUT ? tmb_state_output_str(topic->output) : "");
    if (message->payload.len > 0)
        state_print_bytes(message->payload);
    else
        puts(r->is_watch ? "(gone)" : "");
    is_stopped = ferror(stdout) || is_stopped;
}

static void forget(state_message *message)
{
    free((void *)message->topic);
    free((void *)message->payload.ptr);
    free((void *)message->token);
    *message = (state_message){.topic = NULL};
}

static void keep(reading *r, const state_message *message)
{
    uint8_t *payload = malloc(message->payload.len + 1);
    forget(&r->last);
    if (payload && message->payload.len > 0)
        memcpy(payload, message->payload.ptr, message->payload.len);
    r->last = (state_message){.topic = strdup(message->topic),
                              .payload = tmb_bytes_of(payload, payload ? message->payload.len : 0),
                              .token = message->token ? strdup(message->token) : NULL};
    r->is_found = message->payload.len > 0;
}

/* Shows what was kept; false: there is none. */
static bool show_last(reading *r)
{
    bool is_there = r->is_found && r->last.topic && r->last.payload.ptr;
    if (is_there) {
        tmb_state_topic topic =
            tmb_state_topic_parse(r->options->root, tmb_bytes_str(r->last.topic));
        show(r, &topic, &r->last);
    }
    forget(&r->last);
    return is_there;
}

static void on_heard(void *arg, const state_message *message)
{
    reading *r = arg;
    if (r->wanted && strcmp(message->topic, r->wanted) != 0)
        return;
    tmb_state_topic topic = tmb_state_topic_parse(r->options->root, tmb_bytes_str(message->topic));
    bool is_output = topic.kind == TMB_STATE_OUTPUT && topic.output != TMB_STATE_OUTPUT_PB;
    if (topic.kind != TMB_STATE_VALUE && !(is_output && (r->wanted || r->is_watch)))
        return;
    if (r->wanted)
        keep(r, message);
    else if (r->is_watch || (message->is_retained && message->payload.len > 0))
        show(r, &topic, message);
}

/* Subscribes and hears all that is retained there. */
static int hear(reading *r, const char *filter, state_wire **ret)
{
    int code = state_wire_open(r->options, on_heard, r, ret);
    if (code == STATE_OK)
        code = state_wire_subscribe(*ret, filter);
    return code == STATE_OK ? state_wire_settle(*ret) : code;
}

int state_get(const state_options *options, const state_target *target)
{
    char topic[STATE_TOPIC_BYTES];
    state_topic(options, target, "", topic);
    reading r = {.options = options, .wanted = topic};
    state_wire *wire = NULL;
    int code = hear(&r, topic, &wire);
    state_wire_close(wire);
    bool is_there = show_last(&r);
    if (code != STATE_OK || is_there)
        return code;
    if (!options->is_json)
        return state_fail(STATE_REFUSED, "%s/%s: there is no such value here%s", target->scope,
                          target->path,
                          strcmp(target->scope, options->root) == 0
                              ? "; what comes first is the scope, without the root of the topics"
                              : "");
    state_print(
        json_pack("{s:s, s:s, s:n}", "scope", target->scope, "path", target->path, "value"));
    return STATE_REFUSED;
}

int state_conflicts(const state_options *options, const state_target *target)
{
    char topic[STATE_TOPIC_BYTES];
    state_topic(options, target, tmb_state_output_str(TMB_STATE_OUTPUT_CONFLICTS), topic);
    reading r = {.options = options, .wanted = topic};
    state_wire *wire = NULL;
    int code = hear(&r, topic, &wire);
    state_wire_close(wire);
    bool is_there = show_last(&r);
    if (code == STATE_OK && !is_there) {
        if (options->is_json)
            state_print(json_pack("{s:s, s:s, s:[]}", "scope", target->scope, "path", target->path,
                                  "value"));
        else
            puts("none");
    }
    return code;
}

int state_list(const state_options *options, const state_target *target)
{
    char filter[STATE_TOPIC_BYTES];
    state_topic(options, target, "#", filter);
    reading r = {.options = options};
    state_wire *wire = NULL;
    int code = hear(&r, filter, &wire);
    state_wire_close(wire);
    if (code == STATE_OK && r.shown == 0)
        code = state_note(options, "there is no value there");
    return code;
}

int state_watch(const state_options *options, const state_target *target)
{
    char filter[STATE_TOPIC_BYTES];
    state_topic(options, target, "#", filter);
    reading r = {.options = options, .is_watch = true};
    state_wire *wire = NULL;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int code = hear(&r, filter, &wire);
    if (code == STATE_OK)
        code = state_wire_wait(wire, &is_stopped);
    state_wire_close(wire);
    return code;
}
