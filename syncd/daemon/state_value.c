// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_value.c - see state_value.h; what a payload looks like is said in syncd/bus/value.h. */
#include "syncd/daemon/state_value.h"

#include <stdlib.h>

#include "policy/state_topic.h"
#include "syncd/bus/answer.h"
#include "syncd/bus/value.h"
#include "syncd/daemon/state_twins.h"

tmb_err tmb_said_add(tmb_said_list *list, unsigned item, const char *topic, tmb_bytes payload,
                     const char *token, bool is_json, bool is_pb)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 64 : 2 * list->cap;
        tmb_said *v = realloc(list->v, cap * sizeof *v);
        if (!v)
            return TMB_ENOMEM;
        list->v = v;
        list->cap = cap;
    }
    tmb_said said = {.topic = strdup(topic),
                     .payload = malloc(payload.len + 1),
                     .len = payload.len,
                     .token = token ? strdup(token) : NULL,
                     .is_json = is_json,
                     .is_pb = is_pb,
                     .item = item};
    if (!said.topic || !said.payload || (token && !said.token)) {
        free(said.topic);
        free(said.payload);
        free(said.token);
        return TMB_ENOMEM;
    }
    if (payload.len > 0)
        memcpy(said.payload, payload.ptr, payload.len);
    list->v[list->count++] = said;
    list->bytes += payload.len;
    return TMB_OK;
}

void tmb_said_clear(tmb_said_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->v[i].topic);
        free(list->v[i].payload);
        free(list->v[i].token);
    }
    list->count = list->bytes = 0;
}

/* The leaves of path itself come before those below it. */
static tmb_err gather(tmb_scope *scope, tmb_bytes path, tmb_value *value, tmb_leaf *leaf)
{
    tmb_leaf_key key = {.path = path};
    tmb_err err = tmb_scope_next(scope, path, NULL, &key, leaf);
    while (err == TMB_OK && tmb_bytes_eq(key.path, path)) {
        err = tmb_value_add(value, &key, leaf);
        if (err == TMB_OK)
            err = tmb_scope_next(scope, path, &key, &key, leaf);
    }
    return err == TMB_ENOENT || err == TMB_ELIMIT ? TMB_OK : err;
}

/* Whose an incarnation is: our own, or a neighbour's as it said last. */
typedef struct names {
    const tmb_config *config;
    tmb_scope *scope;
    tmb_neighbour *neighbour;
    char name[TMB_NAME_BYTES_MAX + 1];
} names;

static const char *name_of(void *arg, const tmb_incarnation *by)
{
    names *n = arg;
    tmb_bytes name = {NULL, 0};
    if (tmb_incarnation_eq(n->scope->self, *by))
        return n->config->node;
    n->name[0] = '\0';
    while (tmb_scope_neighbour_next(n->scope, tmb_bytes_str(n->name), &name, n->neighbour) ==
               TMB_OK &&
           name.len < sizeof n->name) {
        memcpy(n->name, name.ptr, name.len);
        n->name[name.len] = '\0';
        if (tmb_incarnation_eq(n->neighbour->self, *by))
            return n->name;
    }
    return NULL;
}

/* Who wrote them is looked up when there are some, which is seldom. */
static tmb_err conflicts(tmb_value *value, const tmb_config *config, tmb_scope *scope,
                         tmb_bytes *ret)
{
    names n = {.config = config, .scope = scope};
    tmb_err err = tmb_value_conflicts(value, ret);
    if (err != TMB_OK || ret->len == 0)
        return err;
    n.neighbour = malloc(sizeof *n.neighbour);
    if (!n.neighbour)
        return TMB_ENOMEM;
    tmb_neighbour_init(n.neighbour);
    tmb_value_name(value, name_of, &n);
    err = tmb_value_conflicts(value, ret);
    tmb_value_name(value, NULL, NULL);
    free(n.neighbour);
    return err;
}

typedef struct making {
    const tmb_config *config;
    tmb_scope *scope;
    tmb_bytes path;
    unsigned item, had, has;
    tmb_said_list *list;
    char *token_text;
    tmb_bytes token;
} making;

/* An output that is not there, and was not, is not spoken of. */
static tmb_err add(making *m, tmb_state_output output, tmb_bytes payload, bool is_json, bool is_pb)
{
    char topic[TMB_STATE_TOPIC_BYTES_MAX + 1];
    unsigned bit = 1u << output;
    if (payload.len > 0)
        m->has |= bit;
    else if (output != TMB_STATE_OUTPUT_NONE && (m->had & bit) == 0)
        return TMB_OK;
    (void)tmb_state_topic_write(m->config->state.root, tmb_bytes_str(m->scope->name), m->path,
                                output, topic, sizeof topic);
    return tmb_said_add(m->list, m->item, topic, payload, payload.len > 0 ? m->token_text : NULL,
                        is_json, is_pb);
}

static tmb_err add_all(making *m, tmb_value *value)
{
    tmb_bytes payload = {NULL, 0};
    bool is_json = false;
    tmb_err err = tmb_value_payload(value, &payload, &is_json);
    if (err == TMB_OK)
        err = add(m, TMB_STATE_OUTPUT_NONE, payload, is_json, false);
    if (err == TMB_OK)
        err = conflicts(value, m->config, m->scope, &payload);
    if (err == TMB_OK)
        err = add(m, TMB_STATE_OUTPUT_CONFLICTS, payload, true, false);
    payload = tmb_bytes_of(NULL, 0);
    if (err == TMB_OK && m->config->state.protobuf)
        err = tmb_value_protobuf(value, m->token, &payload);
    return err == TMB_OK ? add(m, TMB_STATE_OUTPUT_PB, payload, false, true) : err;
}

tmb_err tmb_state_value_make(const tmb_config *config, struct tmb_state_twins *twins,
                             tmb_scope *scope, tmb_bytes path, unsigned item, unsigned had,
                             tmb_said_list *list, unsigned *ret_has)
{
    tmb_value *value = NULL;
    tmb_leaf *leaf = malloc(sizeof *leaf);
    uint8_t *token = malloc(TMB_TOKEN_BYTES_MAX);
    char *text = malloc(TMB_TOKEN_TEXT_BYTES(TMB_TOKEN_BYTES_MAX));
    size_t len = 0;
    tmb_err err =
        leaf && token && text ? tmb_value_new(config->state.value_max, &value) : TMB_ENOMEM;
    if (err == TMB_OK)
        err = gather(scope, path, value, leaf);
    if (err == TMB_OK)
        err = tmb_scope_token(scope, path, token, TMB_TOKEN_BYTES_MAX, &len);
    making m = {config, scope, path, item, had, 0, list, text, tmb_bytes_of(token, len)};
    if (err == TMB_OK) {
        (void)tmb_token_text(m.token, text, TMB_TOKEN_TEXT_BYTES(TMB_TOKEN_BYTES_MAX));
        err = add_all(&m, value);
    }
    if (err == TMB_OK)
        err = tmb_state_twins_say(twins, scope, path, item, list);
    tmb_value_free(value);
    free(leaf);
    free(token);
    free(text);
    if (err == TMB_OK)
        *ret_has = m.has & ~(1u << TMB_STATE_OUTPUT_NONE);
    return err;
}
