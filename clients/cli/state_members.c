// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_members.c - tombolo-state neighbours, retire: asks the node's daemon, by the topics that
 * only who has the node's own certificate may use (syncd/daemon/state_members.h).
 */
#include <stdio.h>
#include <string.h>

#include "clients/cli/journal_root.h"
#include "clients/cli/state_cli.h"
#include "proto/topics.h"

typedef struct asking {
    const state_options *options;
    const char *scope; /* as it was asked for */
    int code;
    bool has_come, is_over, has_rows;
} asking;

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void time_of(const json_t *neighbour, char out[CLI_TIME_BYTES])
{
    long long heard_ms = number_of(neighbour, "heard_ms");
    if (heard_ms > 0)
        cli_time_print((tmb_wall){heard_ms}, out);
    else
        snprintf(out, CLI_TIME_BYTES, "never");
}

static void show_neighbour(asking *a, const json_t *answer, const json_t *it)
{
    char heard[CLI_TIME_BYTES];
    bool is_more = json_is_true(json_object_get(it, "more"));
    bool is_connected = json_is_true(json_object_get(it, "connected"));
    time_of(it, heard);
    a->has_rows = true;
    if (a->options->is_json) {
        state_print(json_pack("{s:s, s:s, s:s, s:b, s:s, s:I, s:b, s:I, s:I, s:I}", "scope",
                              text_of(answer, "scope"), "neighbour", text_of(it, "name"), "state",
                              text_of(it, "state"), "connected", is_connected, "heard", heard,
                              "holds", (json_int_t)number_of(it, "holds"), "more", is_more,
                              "behind", (json_int_t)number_of(it, "behind"), "taken",
                              (json_int_t)number_of(answer, "taken"), "places",
                              (json_int_t)number_of(answer, "places")));
        return;
    }
    printf("%s  %s  %-7s  heard %s  holds %lld%s  behind %lld%s\n", text_of(answer, "scope"),
           text_of(it, "name"), text_of(it, "state"), heard, number_of(it, "holds"),
           is_more ? "+" : "", number_of(it, "behind"), is_connected ? "  connected" : "");
}

static void show_neighbours(asking *a, const json_t *answer)
{
    long long taken = number_of(answer, "taken"), places = number_of(answer, "places");
    size_t i;
    const json_t *it;
    json_array_foreach(json_object_get(answer, "neighbours"), i, it)
    {
        show_neighbour(a, answer, it);
    }
    if (taken * 8 >= places * 7)
        fprintf(stderr,
                "tombolo-state: %s: %lld of %lld places are taken; retire who does not come back, "
                "or share the scope through hubs between\n",
                text_of(answer, "scope"), taken, places);
}

static void show_retired(asking *a, json_t *answer)
{
    bool is_ok = json_is_true(json_object_get(answer, "ok"));
    const char *verdict = text_of(answer, "verdict");
    const char *scope = text_of(answer, "scope"), *neighbour = text_of(answer, "neighbour");
    a->code = is_ok ? a->code : STATE_REFUSED;
    if (a->options->is_json)
        state_print(json_incref(answer));
    else if (!is_ok)
        state_fail(STATE_REFUSED, "%s, %s: refused (%s): %s", scope, neighbour, verdict,
                   text_of(answer, "why"));
    else if (strcmp(verdict, "same") == 0)
        printf("%s  %s  was retired already\n", scope, neighbour);
    else
        printf("%s  %s  retired\n", scope, neighbour);
}

static void on_told(void *arg, const state_message *message)
{
    asking *a = arg;
    json_t *answer = json_loadb((const char *)message->payload.ptr, message->payload.len, 0, NULL);
    bool is_ok = json_is_true(json_object_get(answer, "ok"));
    a->has_come = true;
    a->is_over = a->is_over || json_is_true(json_object_get(answer, "end"));
    if (a->is_over && !is_ok) {
        a->code = STATE_REFUSED;
        if (a->options->is_json)
            state_print(json_incref(answer));
        else
            state_fail(a->code, "%s: refused (%s): %s", a->scope, text_of(answer, "verdict"),
                       text_of(answer, "why"));
    } else if (!a->is_over && json_object_get(answer, "neighbours")) {
        show_neighbours(a, answer);
    } else if (!a->is_over) {
        show_retired(a, answer);
    }
    json_decref(answer);
}

static int not_allowed(int code)
{
    return code != STATE_REFUSED
               ? code
               : state_fail(code,
                            "neighbours and retire are for whoever has the node's own "
                            "certificate: name its configuration (--config FILE, no -h), as a "
                            "user who may read the key in it");
}

static int send_and_hear(asking *a, state_wire *wire, json_t *ask)
{
    char topic[STATE_TOPIC_BYTES];
    json_object_set_new(ask, "id", json_string(state_wire_id(wire)));
    snprintf(topic, sizeof topic, "%s%s", TMB_TOPIC_STATE_TOLD, state_wire_id(wire));
    char *payload = json_dumps(ask, JSON_COMPACT);
    if (!payload)
        return state_fail(STATE_UNREACHABLE, "out of memory");
    int code = not_allowed(state_wire_subscribe(wire, topic));
    if (code == STATE_OK)
        code = state_wire_send(wire, TMB_TOPIC_STATE_ASK, tmb_bytes_str(payload));
    free(payload);
    while (code == STATE_OK && !a->is_over) {
        a->has_come = false;
        code = state_wire_hear(wire, &a->has_come, "no answer; is tombolo-syncd running here");
    }
    return code != STATE_OK ? code : a->code;
}

static int ask_node(const state_options *options, const char *scope, json_t *ask, asking *a)
{
    state_wire *wire = NULL;
    *a = (asking){.options = options, .scope = scope};
    int code = ask ? state_wire_open(options, on_told, a, &wire)
                   : state_fail(STATE_USAGE, "%s is not UTF-8", scope);
    if (code == STATE_OK)
        code = send_and_hear(a, wire, ask);
    state_wire_close(wire);
    json_decref(ask);
    return code;
}

int state_neighbours(const state_options *options, const char *scope)
{
    asking a;
    int code =
        ask_node(options, scope, json_pack("{s:s, s:s}", "do", "neighbours", "scope", scope), &a);
    if (code == STATE_OK && !a.has_rows && !options->is_json)
        puts("none");
    return code;
}

int state_retire(const state_options *options, const char *scope, const char *neighbour)
{
    asking a;
    return ask_node(
        options, scope,
        json_pack("{s:s, s:s, s:s}", "do", "retire", "scope", scope, "neighbour", neighbour), &a);
}
