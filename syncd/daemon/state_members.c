// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_members.c - see state_members.h.
 *
 * Whether a session is open is the loop's to know and who is retired the store's, so one job looks and
 * another writes. A session that opens between the two makes the neighbour active again, or finds it retired
 * in the middle of a pass, which is as if it had lapsed there: it is met anew.
 */
#include "syncd/daemon/state_members.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/topics.h"
#include "syncd/bus/ask.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/state_peer.h"

/* Of one retirement; what is left goes with the rounds of state.c. */
#define FORGETS 4096u
#define ID_MAX  40u

typedef struct ask {
    struct ask *next;
    char id[ID_MAX + 1];
    bool is_retire;
    bool is_there, is_gone; /* the neighbour has answered, or has not, in an open session */
    tmb_name_pattern scope;
    char neighbour[TMB_NAME_BYTES_MAX + 1]; /* of is_retire */
} ask;

typedef struct row {
    char name[TMB_NAME_BYTES_MAX + 1];
    tmb_member state;
    int64_t heard_ms;
    uint64_t held, behind;
    bool is_more; /* held: and more */
} row;

struct tmb_state_members {
    tmb_state *state;
    ask *first, **last;
    unsigned waiting;
    bool is_busy;
    tmb_state_job job;
    char at[TMB_NAME_BYTES_MAX + 1]; /* of the first ask: the scope that is looked at */
    bool is_over;                    /* there is none behind it */
    unsigned found;                  /* of the ask: scopes that were told of */
    row rows[TMB_NEIGHBOURS_MAX];
    unsigned rows_count, places_taken;
    unsigned forgotten;
    tmb_state_look look;
    unsigned ticks;  /* since the neighbour was asked whether it is there; 0: it is not asked */
    bool is_looking; /* its row is looked at, meanwhile */
    int64_t was_heard_ms; /* before */
};

static void say(tmb_state_members *m, const char *id, json_t *answer)
{
    char topic[sizeof TMB_TOPIC_STATE_TOLD + ID_MAX];
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    (void)snprintf(topic, sizeof topic, "%s%s", TMB_TOPIC_STATE_TOLD, id);
    tmb_link_message message = {
        .topic = topic, .is_utf8 = true, .content_type = TMB_CONTENT_TYPE_JSON};
    if (text) {
        message.payload = tmb_bytes_str(text);
        tmb_state_values_say(m->state->values, &message);
    }
    free(text);
    json_decref(answer);
}

/* The last word to an ask; why NULL: all was well. */
static void say_end(tmb_state_members *m, const char *id, const char *verdict, const char *why)
{
    say(m, id,
        why ? json_pack("{s:b, s:b, s:s, s:s}", "end", 1, "ok", 0, "verdict", verdict, "why", why)
            : json_pack("{s:b, s:b, s:s}", "end", 1, "ok", 1, "verdict", verdict));
}

static const char *state_str(tmb_member state)
{
    static const char *const names[] = {"none", "active", "lapsed", "retired"};
    return names[state];
}

static bool is_pattern(const ask *a)
{
    return strchr(a->scope.text, '*') != NULL;
}

/* Blocking. One row of the scope that is loaded; neighbour points into the room. */
static tmb_err add_row(tmb_state_members *m, tmb_bytes name, const tmb_neighbour *neighbour,
                       uint64_t *left)
{
    row *r = &m->rows[m->rows_count];
    m->places_taken += neighbour->state != TMB_MEMBER_RETIRED;
    if (name.len > TMB_NAME_BYTES_MAX || m->rows_count == TMB_NEIGHBOURS_MAX)
        return TMB_ECORRUPT;
    if (m->first->is_retire && !tmb_bytes_eq(name, tmb_bytes_str(m->first->neighbour)))
        return TMB_OK;
    memset(r, 0, sizeof *r);
    memcpy(r->name, name.ptr, name.len);
    r->state = neighbour->state;
    r->heard_ms = neighbour->heard_ms;
    r->behind = tmb_scope_behind(&m->state->scope, neighbour);
    tmb_err err = tmb_scope_held_back(&m->state->scope, neighbour, *left, &r->held);
    r->is_more = err == TMB_OK && r->held == *left && neighbour->state == TMB_MEMBER_ACTIVE;
    *left -= err == TMB_OK ? r->held : 0;
    m->rows_count += err == TMB_OK;
    return err;
}

/* Blocking. */
static tmb_err look_at_rows(tmb_state_members *m)
{
    tmb_scope *scope = &m->state->scope;
    tmb_neighbour *neighbour = &m->state->exchange->neighbour;
    uint64_t left = TMB_STATE_HELD_TOLD_MAX;
    char name[TMB_NAME_BYTES_MAX + 1] = "";
    for (;;) {
        tmb_bytes found = {NULL, 0};
        tmb_err err = tmb_scope_neighbour_next(scope, tmb_bytes_str(name), &found, neighbour);
        if (err != TMB_OK)
            return err == TMB_ENOENT ? TMB_OK : err;
        if (found.len > TMB_NAME_BYTES_MAX)
            return TMB_ECORRUPT;
        memset(name, 0, sizeof name);
        memcpy(name, found.ptr, found.len);
        err = add_row(m, tmb_bytes_str(name), neighbour, &left);
        if (err != TMB_OK)
            return err;
    }
}

/* Blocking. The next scope that is meant and there. */
static tmb_err run_look(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_members *m = job->arg;
    const ask *a = m->first;
    tmb_err err = TMB_OK;
    job->commit = TMB_STATE_DROP;
    m->rows_count = m->places_taken = 0;
    if (m->ticks > 0) {
        err = TMB_OK; /* the same once more */
    } else if (is_pattern(a)) {
        do {
            err = tmb_state_next_scope(kv, m->at);
        } while (err == TMB_OK && !tmb_name_pattern_matches(&a->scope, tmb_bytes_str(m->at)));
    } else {
        err = m->at[0] ? TMB_ENOENT : TMB_OK;
        memcpy(m->at, a->scope.text, sizeof m->at);
    }
    if (err == TMB_OK)
        err = tmb_state_load(m->state, kv, tmb_bytes_str(m->at));
    if (err == TMB_OK && m->state->scope.is_new)
        err = TMB_ENOENT;
    if (err == TMB_OK)
        return look_at_rows(m);
    m->is_over = err == TMB_ENOENT;
    return m->is_over ? TMB_OK : err;
}

/* Blocking. */
static tmb_err run_retire(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_members *m = job->arg;
    tmb_scope *scope = &m->state->scope;
    tmb_err err = tmb_state_load(m->state, kv, tmb_bytes_str(m->at));
    if (err == TMB_OK)
        err = tmb_scope_retire(scope, tmb_bytes_str(m->first->neighbour));
    if (err == TMB_OK)
        err = tmb_scope_forget(scope, FORGETS, &m->forgotten);
    if (err == TMB_OK)
        tmb_state_look_of(scope, &m->look);
    return err == TMB_OK ? tmb_scope_save(scope) : err;
}

static void go_on(tmb_state_members *m);

static void add_job(tmb_state_members *m, tmb_err (*run)(tmb_state_job *, const tmb_kv *),
                    void (*done)(tmb_state_job *))
{
    m->job = (tmb_state_job){.run = run, .done = done, .arg = m, .is_own = true};
    tmb_state_jobs_add(m->state->jobs, &m->job);
}

static void end_ask(tmb_state_members *m, const char *verdict, const char *why)
{
    ask *a = m->first;
    m->ticks = 0;
    if (!m->state->is_stopping)
        say_end(m, a->id, verdict, why);
    m->first = a->next;
    if (!m->first)
        m->last = &m->first;
    m->waiting--;
    free(a);
    m->is_busy = false;
    if (!m->state->is_stopping)
        go_on(m);
}

static void end_well_or_not_found(tmb_state_members *m)
{
    const ask *a = m->first;
    char why[256];
    if (m->found > 0) {
        end_ask(m, "done", NULL);
        return;
    }
    if (a->is_retire && is_pattern(a))
        (void)snprintf(why, sizeof why,
                       "no scope of %s has a neighbour %s; tombolo-state neighbours lists them",
                       a->scope.text, a->neighbour);
    else
        (void)snprintf(why, sizeof why,
                       "there is no scope %s in this node's store; tombolo-state neighbours lists "
                       "those there are",
                       a->scope.text);
    end_ask(m, a->is_retire && is_pattern(a) ? "neighbour" : "scope", why);
}

static void tell_rows(tmb_state_members *m)
{
    const tmb_held *held = tmb_state_find(m->state, tmb_bytes_str(m->at));
    json_t *rows = json_array();
    for (unsigned i = 0; i < m->rows_count; i++) {
        const row *r = &m->rows[i];
        (void)json_array_append_new(rows,
                                    json_pack("{s:s, s:s, s:b, s:I, s:I, s:b, s:I}", "name",
                                              r->name, "state", state_str(r->state), "connected",
                                              tmb_state_peers_is_open(held, r->name), "heard_ms",
                                              (json_int_t)r->heard_ms, "holds", (json_int_t)r->held,
                                              "more", r->is_more, "behind", (json_int_t)r->behind));
    }
    say(m, m->first->id,
        json_pack("{s:s, s:b, s:i, s:i, s:o}", "scope", m->at, "ok", 1, "taken",
                  (int)m->places_taken, "places", (int)TMB_NEIGHBOURS_MAX, "neighbours", rows));
}

static void tell_refusal(tmb_state_members *m, const char *verdict, const char *why)
{
    say(m, m->first->id,
        json_pack("{s:s, s:s, s:b, s:s, s:s}", "scope", m->at, "neighbour", m->first->neighbour,
                  "ok", 0, "verdict", verdict, "why", why));
}

static void done_retire(tmb_state_job *job)
{
    tmb_state_members *m = job->arg;
    if (job->err != TMB_OK || m->state->is_stopping) {
        end_ask(m, "failed", tmb_err_str(job->err));
        return;
    }
    LOG(TMB_LOG_NOTICE, "state.neighbour_retired", tmb_str("scope", m->at),
        tmb_str("neighbour", m->first->neighbour), tmb_num("forgotten", m->forgotten),
        tmb_str("then", "nothing waits for it, and its place is free; should it come back, ranges "
                        "are compared"));
    tmb_state_peers_close(tmb_state_find(m->state, tmb_bytes_str(m->at)), m->first->neighbour);
    tmb_state_changed(m->state, &m->look, NULL);
    say(m, m->first->id,
        json_pack("{s:s, s:s, s:b, s:s, s:i, s:I}", "scope", m->at, "neighbour",
                  m->first->neighbour, "ok", 1, "verdict", "retired", "forgotten",
                  (int)m->forgotten, "removals", (json_int_t)m->look.removals));
    go_on(m);
}

/* Of a neighbour with an open session: true when it is not known yet whether it is there. */
static bool is_waited_for(tmb_state_members *m, const tmb_held *held)
{
    ask *a = m->first;
    if (a->is_there || a->is_gone || !tmb_state_peers_is_open(held, a->neighbour))
        return false;
    if (m->ticks == 0) {
        m->was_heard_ms = m->rows[0].heard_ms;
        m->ticks = 1;
        tmb_state_peers_ask(held, a->neighbour);
        return true;
    }
    a->is_there = m->rows[0].heard_ms != m->was_heard_ms;
    a->is_gone = !a->is_there && m->ticks > TMB_STATE_ALIVE_TICKS;
    return !a->is_there && !a->is_gone;
}

/* What a retirement finds at the scope that was looked at. */
static void judge(tmb_state_members *m)
{
    const ask *a = m->first;
    const tmb_held *held = tmb_state_find(m->state, tmb_bytes_str(m->at));
    if (m->rows_count == 0 && is_pattern(a)) {
        go_on(m);
        return;
    }
    if (m->rows_count > 0 && m->rows[0].state != TMB_MEMBER_RETIRED && is_waited_for(m, held))
        return;
    m->ticks = 0;
    m->found++;
    if (m->rows_count == 0)
        tell_refusal(m, "neighbour",
                     "no such neighbour of this scope; tombolo-state neighbours lists them");
    else if (!a->is_gone && tmb_state_peers_is_open(held, a->neighbour))
        tell_refusal(m, "connected",
                     "it is connected: take the scope from it (state.share here, state.scopes "
                     "there), or stop its tombolo-syncd, and ask again");
    else if (m->rows[0].state == TMB_MEMBER_RETIRED)
        say(m, a->id,
            json_pack("{s:s, s:s, s:b, s:s}", "scope", m->at, "neighbour", a->neighbour, "ok", 1,
                      "verdict", "same"));
    else {
        add_job(m, run_retire, done_retire);
        return;
    }
    go_on(m);
}

static void done_look(tmb_state_job *job)
{
    tmb_state_members *m = job->arg;
    m->is_looking = false;
    if (job->err != TMB_OK || m->state->is_stopping) {
        end_ask(m, "failed", tmb_err_str(job->err));
        return;
    }
    if (m->is_over) {
        end_well_or_not_found(m);
        return;
    }
    if (m->first->is_retire) {
        judge(m);
        return;
    }
    m->found++;
    tell_rows(m);
    go_on(m);
}

static void go_on(tmb_state_members *m)
{
    if (!m->first)
        return;
    if (!m->is_busy) {
        m->is_busy = true;
        m->at[0] = 0;
        m->is_over = false;
        m->found = 0;
        m->ticks = 0;
    }
    add_job(m, run_look, done_look);
}

void tmb_state_members_tick(tmb_state_members *m)
{
    if (m->ticks == 0 || m->is_looking)
        return;
    m->ticks++;
    m->is_looking = true;
    add_job(m, run_look, done_look);
}

/* NULL, or what is wrong with it. */
static const char *read_ask(const json_t *object, ask *a)
{
    const char *what = json_string_value(json_object_get(object, "do"));
    const char *scope = json_string_value(json_object_get(object, "scope"));
    const char *neighbour = json_string_value(json_object_get(object, "neighbour"));
    a->is_retire = what && strcmp(what, "retire") == 0;
    if (!what || (!a->is_retire && strcmp(what, "neighbours") != 0))
        return "do is neighbours or retire";
    if (!scope || !tmb_name_pattern_is_valid(tmb_bytes_str(scope)))
        return "scope is a name, or the beginning of names and a *";
    if (a->is_retire && (!neighbour || !tmb_name_is_word(tmb_bytes_str(neighbour))))
        return "neighbour is the name of a node";
    (void)snprintf(a->scope.text, sizeof a->scope.text, "%s", scope);
    if (a->is_retire)
        (void)snprintf(a->neighbour, sizeof a->neighbour, "%s", neighbour);
    return NULL;
}

void tmb_state_members_ask(tmb_state_members *m, tmb_bytes payload)
{
    json_t *object = json_loadb((const char *)payload.ptr, payload.len, 0, NULL);
    const char *id = json_string_value(json_object_get(object, "id"));
    ask *a = calloc(1, sizeof *a);
    if (!a || !id || strlen(id) > ID_MAX || !tmb_name_is_word(tmb_bytes_str(id)) ||
        m->state->is_stopping) {
        json_decref(object);
        free(a);
        return; /* nobody to answer to */
    }
    (void)snprintf(a->id, sizeof a->id, "%s", id);
    const char *why = read_ask(object, a);
    json_decref(object);
    bool is_busy = !m->state->is_begun || m->waiting == TMB_STATE_ASKS_MAX;
    if (why || is_busy) {
        say_end(m, a->id, why ? "malformed" : "busy",
                why                  ? why
                : m->state->is_begun ? "too many ask at once: ask again"
                                     : "the store of state is not open yet: ask again");
        free(a);
        return;
    }
    *m->last = a;
    m->last = &a->next;
    m->waiting++;
    if (!m->is_busy)
        go_on(m);
}

tmb_err tmb_state_members_new(tmb_state *state, tmb_state_members **ret_members)
{
    tmb_state_members *m = calloc(1, sizeof *m);
    if (!m)
        return TMB_ENOMEM;
    m->state = state;
    m->last = &m->first;
    *ret_members = m;
    return TMB_OK;
}

void tmb_state_members_free(tmb_state_members *m)
{
    if (!m)
        return;
    while (m->first) {
        ask *a = m->first;
        m->first = a->next;
        free(a);
    }
    free(m);
}
