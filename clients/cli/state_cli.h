// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_cli.h - tombolo-state: read and change state at a node's own broker, and look back.
 *
 *   state_main.c   the command line           state_wire.c   one MQTT 5 connection, waited for
 *   state_read.c   get, conflicts, list, watch               state_write.c   every verb of crdt/type.h
 *   state_history.c   the journal's stream "state"           state_print.c   how it is shown
 *   state_members.c   neighbours, retire
 *
 * Threads: one.
 */
#ifndef TMB_CLI_STATE_CLI_H
#define TMB_CLI_STATE_CLI_H

#include <jansson.h>

#include "base/time.h"
#include "policy/state_topic.h"

/* Exit codes. */
enum {
    STATE_OK = 0,
    STATE_REFUSED = 1, /* the operation was refused, or there is no such value */
    STATE_USAGE = 2,
    STATE_UNREACHABLE = 3 /* no broker, no answer, a file that cannot be read */
};

typedef struct state_options {
    const char *config, *host, *user, *password, *ca_file, *cert_file, *key_file;
    const char *root;    /* first level of the topics */
    const char *journal; /* data_dir, for history */
    const char *token, *condition, *id;
    unsigned port, timeout_s;
    bool is_json, has_since, is_below;
    tmb_wall since;
} state_options;

/* What is meant by SCOPE/PATH; path may be empty where a command says so. */
typedef struct state_target {
    char scope[TMB_NAME_BYTES_MAX + 1];
    char path[TMB_STATE_PATH_BYTES_MAX + 1];
} state_target;

/* Each runs a command and gives an exit code. words: what stands behind SCOPE/PATH. */
int state_get(const state_options *options, const state_target *target);
int state_conflicts(const state_options *options, const state_target *target);
int state_list(const state_options *options, const state_target *target);
int state_watch(const state_options *options, const state_target *target);
int state_write(const state_options *options, const state_target *target, tmb_verb verb,
                char *const *words, int words_count);
int state_history(const state_options *options, const state_target *target);

/* scope is a name, or the beginning of names and a "*". */
int state_neighbours(const state_options *options, const char *scope);
int state_retire(const state_options *options, const char *scope, const char *neighbour);

/* state_fail tells stderr, in the way of printf, and gives code. */
int state_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* state_note tells people, and not programs, why nothing is shown; gives STATE_OK. */
int state_note(const state_options *options, const char *what);

/* state_topic writes root/scope[/path][/level]. */
#define STATE_TOPIC_BYTES (TMB_STATE_TOPIC_BYTES_MAX + 64u)
void state_topic(const state_options *options, const state_target *target, const char *level,
                 char out[STATE_TOPIC_BYTES]);

/* A connection. Messages come in while one of these waits. */
typedef struct state_wire state_wire;

typedef struct state_message {
    const char *topic;
    tmb_bytes payload;
    bool is_retained;
    const char *token; /* user property tombolo-token; NULL: none */
} state_message;

typedef void (*state_heard)(void *arg, const state_message *message);

/* state_wire_open connects. Gives STATE_OK, or an exit code after telling stderr why and what to do. */
int state_wire_open(const state_options *options, state_heard heard, void *arg, state_wire **ret);
void state_wire_close(state_wire *wire);

/* state_wire_subscribe returns when the broker has said yes. */
int state_wire_subscribe(state_wire *wire, const char *filter);

/* state_wire_settle returns when all that was retained has been heard: a message to ourselves has come back
 * behind it. */
int state_wire_settle(state_wire *wire);

/* state_wire_ask publishes an operation and waits for its answer; *ret_answer is to be dropped. That of a
 * broker which refuses the message, without the node: verdict "broker". */
int state_wire_ask(state_wire *wire, const char *topic, tmb_bytes payload, json_t **ret_answer);

/* What nobody else is called: [a-z0-9-]. */
const char *state_wire_id(const state_wire *wire);

/* state_wire_send publishes. state_wire_hear goes on hearing until *has_come, at most the timeout. */
int state_wire_send(state_wire *wire, const char *topic, tmb_bytes payload);
int state_wire_hear(state_wire *wire, const bool *has_come, const char *what);

/* state_wire_wait goes on hearing until stopped says so, or the connection ends. */
int state_wire_wait(state_wire *wire, const volatile bool *is_stopped);

/* Printing. state_value: what a payload says, as JSON; a text where it is none. */
json_t *state_value(tmb_bytes payload);
/* state_print writes value as one line and drops it; false when stdout is gone. */
bool state_print(json_t *value);
void state_print_bytes(tmb_bytes bytes);

#endif
