// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_wire.c - one MQTT 5 connection over libmosquitto, whose calls wait for what they are for.
 *
 * A lost connection ends the command: a verb that has no answer says so, and the same --id asks again safely.
 */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients/cli/state_cli.h"
#include "proto/props.h"

#define KEEPALIVE_S 30
#define STEP_MS     200

struct state_wire {
    struct mosquitto *mosq;
    const state_options *options;
    state_heard heard;
    void *arg;
    char id[40], answer_topic[STATE_TOPIC_BYTES];
    bool is_up, is_down, is_told_why, is_subscribed, is_settled, is_refused, is_listening;
    bool is_asking; /* what was published is an operation */
    char why[256];
    json_t *answer;
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_connect(struct mosquitto *mosq, void *arg, int code, int flags,
                       const mosquitto_property *properties)
{
    state_wire *wire = arg;
    (void)mosq, (void)flags, (void)properties;
    wire->is_up = code == 0;
    wire->is_down = wire->is_told_why = code != 0;
    if (code != 0)
        snprintf(wire->why, sizeof wire->why, "the broker refused the connection: %s",
                 mosquitto_reason_string(code));
}

static void on_disconnect(struct mosquitto *mosq, void *arg, int code,
                          const mosquitto_property *properties)
{
    state_wire *wire = arg;
    (void)mosq, (void)properties;
    wire->is_down = true;
    if (wire->why[0] == '\0')
        snprintf(wire->why, sizeof wire->why, "the broker closed the connection: %s",
                 code >= 0x80 ? mosquitto_reason_string(code) : mosquitto_strerror(code));
}

static void on_subscribe(struct mosquitto *mosq, void *arg, int id, int count, const int *granted,
                         const mosquitto_property *properties)
{
    state_wire *wire = arg;
    (void)mosq, (void)id, (void)properties;
    wire->is_subscribed = true;
    if (count > 0 && granted[0] >= 0x80) {
        wire->is_refused = true;
        snprintf(wire->why, sizeof wire->why, "the broker refused to subscribe: %s",
                 mosquitto_reason_string(granted[0]));
    }
}

static void on_publish(struct mosquitto *mosq, void *arg, int id, int code,
                       const mosquitto_property *properties)
{
    state_wire *wire = arg;
    (void)mosq, (void)id, (void)properties;
    if (code < 0x80)
        return;
    wire->is_refused = true;
    snprintf(wire->why, sizeof wire->why, "the broker says \"%s\"%s", mosquitto_reason_string(code),
             wire->is_asking ? ": does the node hold the scope and write it (its broker's log says "
                               "so if not), and does an acl_file let us?"
                             : "");
}

/* The user property called name, to be freed; NULL: none. */
static char *user_property(const mosquitto_property *properties, const char *wanted)
{
    char *name = NULL, *value = NULL;
    bool is_again = false;
    while ((properties = mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY,
                                                             &name, &value, is_again))) {
        bool is_it = strcmp(name, wanted) == 0;
        free(name);
        if (is_it)
            return value;
        free(value);
        name = value = NULL;
        is_again = true;
    }
    return NULL;
}

static void on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    state_wire *wire = arg;
    (void)mosq;
    size_t len = message->payloadlen > 0 ? (size_t)message->payloadlen : 0;
    if (strcmp(message->topic, wire->answer_topic) == 0) {
        if (len == 0)
            wire->is_settled = true;
        else if (!wire->answer)
            wire->answer = json_loadb(message->payload, len, 0, NULL);
        return;
    }
    char *token = user_property(properties, TMB_PROP_TOKEN_NAME);
    state_message heard = {message->topic, tmb_bytes_of(message->payload, len), message->retain,
                           token};
    if (wire->heard)
        wire->heard(wire->arg, &heard);
    free(token);
}

static const char *late_text;

/* Connecting blocks in the C library and the kernel: nothing else ends it. */
static void on_alarm(int signal)
{
    (void)signal;
    ssize_t written = write(STDERR_FILENO, late_text, strlen(late_text));
    (void)written;
    _exit(STATE_UNREACHABLE);
}

/* Of a connection that never was: what its options may lack. */
static const char *hint(const state_wire *wire)
{
    if (wire->is_up)
        return "";
    if (!wire->options->ca_file)
        return " (is it a port with TLS, which wants --cafile, or is it full?)";
    return " (is it a port with TLS, is --cafile the authority of its certificate, is that for "
           "this name, and does it want --cert?)";
}

/* Waits until *is_done, at most the timeout; is_done NULL: until the next step. */
static int wait_for(state_wire *wire, const bool *is_done, const char *what)
{
    int64_t deadline = now_ms() + (int64_t)wire->options->timeout_s * 1000;
    while (!*is_done && !wire->is_refused) {
        int code = mosquitto_loop(wire->mosq, STEP_MS, 1);
        if (wire->is_down || (code != MOSQ_ERR_SUCCESS && !*is_done)) {
            if (wire->why[0] == '\0')
                snprintf(wire->why, sizeof wire->why, "%s", mosquitto_strerror(code));
            return state_fail(STATE_UNREACHABLE, "%s: %s%s", what, wire->why,
                              wire->is_told_why ? "" : hint(wire));
        }
        if (!*is_done && now_ms() >= deadline)
            return state_fail(STATE_UNREACHABLE, "%s: nothing came within %u s (--timeout)%s", what,
                              wire->options->timeout_s, hint(wire));
    }
    return wire->is_refused ? state_fail(STATE_REFUSED, "%s: %s", what, wire->why) : STATE_OK;
}

static int set_up(state_wire *wire)
{
    const state_options *o = wire->options;
    mosquitto_int_option(wire->mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_connect_v5_callback_set(wire->mosq, on_connect);
    mosquitto_disconnect_v5_callback_set(wire->mosq, on_disconnect);
    mosquitto_subscribe_v5_callback_set(wire->mosq, on_subscribe);
    mosquitto_publish_v5_callback_set(wire->mosq, on_publish);
    mosquitto_message_v5_callback_set(wire->mosq, on_message);
    if (o->user && mosquitto_username_pw_set(wire->mosq, o->user, o->password))
        return state_fail(STATE_USAGE, "-u and -P: these cannot be a name and a password");
    if (!o->ca_file)
        return STATE_OK;
    int code = mosquitto_tls_set(wire->mosq, o->ca_file, NULL, o->cert_file, o->key_file, NULL);
    if (code != MOSQ_ERR_SUCCESS)
        return state_fail(STATE_UNREACHABLE,
                          "TLS: %s: can %s%s%s%s%s be read, and do --cert and --key come together?",
                          mosquitto_strerror(code), o->ca_file, o->cert_file ? ", " : "",
                          o->cert_file ? o->cert_file : "", o->key_file ? ", " : "",
                          o->key_file ? o->key_file : "");
    return STATE_OK;
}

static int dial(state_wire *wire)
{
    const state_options *o = wire->options;
    static char late[512];
    snprintf(late, sizeof late, "tombolo-state: %s:%u: no connection within %u s (--timeout)\n",
             o->host, o->port, o->timeout_s);
    late_text = late;
    signal(SIGALRM, on_alarm);
    alarm(o->timeout_s);
    int code =
        mosquitto_connect_bind_v5(wire->mosq, o->host, (int)o->port, KEEPALIVE_S, NULL, NULL);
    alarm(0);
    if (code != MOSQ_ERR_SUCCESS)
        return state_fail(
            STATE_UNREACHABLE, "%s:%u: %s; is the broker running, and does it %s TLS?", o->host,
            o->port, mosquitto_strerror(code), o->ca_file ? "speak" : "take connections without");
    char what[300];
    snprintf(what, sizeof what, "%s:%u", o->host, o->port);
    return wait_for(wire, &wire->is_up, what);
}

/* A name that nobody else has: for the connection, and for where answers go. */
static void choose_id(state_wire *wire)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t mix = (uint64_t)ts.tv_nsec ^ (uint64_t)ts.tv_sec << 20 ^ (uint64_t)getpid() << 40;
    snprintf(wire->id, sizeof wire->id, "tombolo-cli-%016llx", (unsigned long long)mix);
    snprintf(wire->answer_topic, sizeof wire->answer_topic, "tombolo-cli/%s",
             wire->id + sizeof "tombolo-cli-" - 1);
}

int state_wire_open(const state_options *options, state_heard heard, void *arg, state_wire **ret)
{
    state_wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        return state_fail(STATE_UNREACHABLE, "out of memory");
    wire->options = options;
    wire->heard = heard;
    wire->arg = arg;
    choose_id(wire);
    mosquitto_lib_init();
    wire->mosq = mosquitto_new(wire->id, true, wire);
    int code = wire->mosq ? set_up(wire) : state_fail(STATE_UNREACHABLE, "out of memory");
    if (code == STATE_OK)
        code = dial(wire);
    if (code != STATE_OK) {
        state_wire_close(wire);
        return code;
    }
    *ret = wire;
    return STATE_OK;
}

void state_wire_close(state_wire *wire)
{
    if (!wire)
        return;
    if (wire->mosq) {
        if (wire->is_up && !wire->is_down)
            mosquitto_disconnect_v5(wire->mosq, 0, NULL);
        mosquitto_destroy(wire->mosq);
    }
    mosquitto_lib_cleanup();
    json_decref(wire->answer);
    free(wire);
}

int state_wire_subscribe(state_wire *wire, const char *filter)
{
    wire->is_subscribed = false;
    int code = mosquitto_subscribe_v5(wire->mosq, NULL, filter, 1, 0, NULL);
    if (code != MOSQ_ERR_SUCCESS)
        return state_fail(STATE_USAGE, "%s: %s", filter, mosquitto_strerror(code));
    return wait_for(wire, &wire->is_subscribed, filter);
}

static int listen_for_answers(state_wire *wire)
{
    int code = wire->is_listening ? STATE_OK : state_wire_subscribe(wire, wire->answer_topic);
    wire->is_listening = wire->is_listening || code == STATE_OK;
    return code;
}

int state_wire_settle(state_wire *wire)
{
    int code = listen_for_answers(wire);
    if (code != STATE_OK)
        return code;
    wire->is_settled = false;
    int sent = mosquitto_publish_v5(wire->mosq, NULL, wire->answer_topic, 0, NULL, 1, false, NULL);
    if (sent != MOSQ_ERR_SUCCESS)
        return state_fail(STATE_UNREACHABLE, "%s: %s", wire->answer_topic,
                          mosquitto_strerror(sent));
    return wait_for(wire, &wire->is_settled,
                    "the end of the values (a message of our own on tombolo-cli/#, which an "
                    "acl_file has to let us write and read)");
}

static int add_properties(state_wire *wire, mosquitto_property **properties)
{
    const state_options *o = wire->options;
    int code =
        mosquitto_property_add_string(properties, MQTT_PROP_RESPONSE_TOPIC, wire->answer_topic);
    if (!code && o->token)
        code = mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY,
                                                  TMB_PROP_TOKEN_NAME, o->token);
    if (!code && o->condition)
        code = mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY,
                                                  TMB_PROP_IF_NAME, o->condition);
    return code;
}

int state_wire_ask(state_wire *wire, const char *topic, tmb_bytes payload, json_t **ret_answer)
{
    int code = listen_for_answers(wire);
    if (code != STATE_OK)
        return code;
    wire->is_asking = true;
    mosquitto_property *properties = NULL;
    int sent = add_properties(wire, &properties);
    if (!sent)
        sent = mosquitto_publish_v5(wire->mosq, NULL, topic, (int)payload.len, payload.ptr, 1,
                                    false, properties);
    mosquitto_property_free_all(&properties);
    if (sent != MOSQ_ERR_SUCCESS)
        return state_fail(STATE_USAGE, "%s: %s", topic, mosquitto_strerror(sent));
    bool is_answered = false;
    int64_t deadline = now_ms() + (int64_t)wire->options->timeout_s * 1000;
    while (!is_answered && !wire->is_refused && !wire->is_down && now_ms() < deadline) {
        if (mosquitto_loop(wire->mosq, STEP_MS, 1) != MOSQ_ERR_SUCCESS)
            wire->is_down = true;
        is_answered = wire->answer != NULL;
    }
    if (is_answered) {
        *ret_answer = wire->answer;
        wire->answer = NULL;
        return STATE_OK;
    }
    if (wire->is_refused) {
        *ret_answer = json_pack("{s:b, s:s, s:s}", "ok", 0, "verdict", "broker", "why", wire->why);
        return STATE_OK;
    }
    return state_fail(
        STATE_UNREACHABLE,
        "%s: no answer%s%s; it may have been done, or be done later: is tombolo-syncd "
        "running here, is %s the node's state.root, and may we read tombolo-cli/# of an acl_file?",
        topic, wire->why[0] ? ": " : " within --timeout", wire->why, wire->options->root);
}

const char *state_wire_id(const state_wire *wire)
{
    return wire->id;
}

int state_wire_send(state_wire *wire, const char *topic, tmb_bytes payload)
{
    int code = mosquitto_publish_v5(wire->mosq, NULL, topic, (int)payload.len, payload.ptr, 1,
                                    false, NULL);
    return code == MOSQ_ERR_SUCCESS
               ? STATE_OK
               : state_fail(STATE_UNREACHABLE, "%s: %s", topic, mosquitto_strerror(code));
}

int state_wire_hear(state_wire *wire, const bool *has_come, const char *what)
{
    return wait_for(wire, has_come, what);
}

int state_wire_wait(state_wire *wire, const volatile bool *is_stopped)
{
    while (!*is_stopped) {
        int code = mosquitto_loop(wire->mosq, STEP_MS, 1);
        if (code != MOSQ_ERR_SUCCESS && !*is_stopped)
            return state_fail(STATE_UNREACHABLE, "%s",
                              wire->why[0] ? wire->why : mosquitto_strerror(code));
    }
    return STATE_OK;
}
