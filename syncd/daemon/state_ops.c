// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_ops.c - operations of this node's clients, from its journal to its scopes, each once.
 *
 *   log changed --> job: records behind the cursor --ask--> op --apply--> scope, clock, cursor: one commit
 *                                                               '--> answers and errors, behind the commit
 *
 * A record is durable before it is applied (the tail is synced), and the cursor is written with its effect.
 * So what a kill cuts off is applied once, whenever it comes. Answers are not promised: who gets none asks
 * again under the same id.
 *
 * A gap in the log (retention, damage) is counted and told; the loss ledger has it (broker-plugin/loss.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "journal/renewed.h"
#include "journal/tail.h"
#include "policy/state_topic.h"
#include "syncd/bus/answer.h"
#include "syncd/bus/ask.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/state_inside.h"
#include "syncd/daemon/state_rows.h"

/* Of one transaction. */
#define RECORDS_MAX 256u
#define BYTES_MAX   (1024u * 1024)
#define LOOK_TICKS  10 /* at the log, although nothing was said of it */
#define VERDICTS    ((unsigned)TMB_VERDICT_SATURATED + 1u)
#define TOPIC_MAX   (TMB_TOPIC_BYTES_MAX + 1u)

/* A message that goes out behind the commit. */
typedef struct word {
    char *topic, *text;
    uint8_t *correlation;
    size_t correlation_len;
} word;

struct tmb_state_ops {
    tmb_state *state;
    tmb_tail *tail;
    uv_poll_t poll;
    bool has_poll, is_polling, is_stopping;
    tmb_state_job job;
    bool is_busy, has_news;
    unsigned ticks;
    tmb_err last_err;

    /* Of the job that runs, and the loop's when it is done. */
    tmb_cursor_row cursor;
    tmb_cursor_row known; /* the cursor of the last commit */
    uint64_t next_seq;    /* what the tail gives next; 0: seek */
    bool is_at_end, went_back;
    bool has_moved; /* to another log: kept, although nothing of it was applied yet */
    unsigned records;
    size_t bytes;
    bool has_scope; /* state->scope is loaded */
    tmb_state_look looks[RECORDS_MAX];
    unsigned looks_count;
    word words[2 * RECORDS_MAX];
    unsigned words_count;
    uint64_t verdicts[VERDICTS]; /* of this job */
    uint64_t gaps;               /* numbers */
    tmb_clock clock;             /* as of this job */

    uint64_t told[VERDICTS], told_gaps, applied;
};

static void clear_words(tmb_state_ops *ops)
{
    for (unsigned i = 0; i < ops->words_count; i++) {
        free(ops->words[i].topic);
        free(ops->words[i].text);
        free(ops->words[i].correlation);
    }
    ops->words_count = 0;
}

/* A word that there is no memory for is not said. */
static void add_word(tmb_state_ops *ops, const char *topic, const char *text, tmb_bytes correlation)
{
    word w = {strdup(topic), strdup(text), malloc(correlation.len + 1), correlation.len};
    if (!w.topic || !w.text || !w.correlation || ops->words_count == 2 * RECORDS_MAX) {
        free(w.topic);
        free(w.text);
        free(w.correlation);
        return;
    }
    if (correlation.len > 0)
        memcpy(w.correlation, correlation.ptr, correlation.len);
    ops->words[ops->words_count++] = w;
}

/* Whoever asks names the topic of the answer, and we may publish anywhere: so not where only we may speak. */
static bool is_response_allowed(const tmb_state_ops *ops, tmb_bytes topic)
{
    return topic.len > 0 && topic.ptr[0] != '$' && !memchr(topic.ptr, '+', topic.len) &&
           !memchr(topic.ptr, '#', topic.len) &&
           !tmb_state_topic_is_below(ops->state->daemon->config->state.root, topic) &&
           tmb_utf8_is_valid(topic);
}

/* Blocking. What was loaded is written back. */
static tmb_err leave_scope(tmb_state_ops *ops)
{
    if (!ops->has_scope)
        return TMB_OK;
    ops->has_scope = false;
    tmb_state_look_of(&ops->state->scope, &ops->looks[ops->looks_count++]);
    return tmb_scope_save(&ops->state->scope);
}

static tmb_err enter_scope(tmb_state_ops *ops, const tmb_kv *kv, tmb_bytes name)
{
    if (ops->has_scope && tmb_bytes_eq(tmb_bytes_str(ops->state->scope.name), name))
        return TMB_OK;
    tmb_err err = leave_scope(ops);
    if (err == TMB_OK)
        err = tmb_state_load(ops->state, kv, name);
    ops->has_scope = err == TMB_OK;
    return err;
}

static tmb_err apply(tmb_state_ops *ops, const tmb_kv *kv, const tmb_record *record, tmb_ask *ask,
                     const char **ret_why)
{
    tmb_state *state = ops->state;
    const tmb_config *config = state->daemon->config;
    if (!tmb_state_holds(&config->state, ask->op.scope)) {
        ask->verdict = TMB_VERDICT_SCOPE;
        *ret_why = "this node does not hold the scope; it holds those of state.scopes";
        return TMB_OK;
    }
    if (!tmb_state_writes(&config->state, ask->op.scope)) {
        ask->verdict = TMB_VERDICT_SCOPE;
        *ret_why = "this node only reads the scope (state.read_only); publish where it is written";
        return TMB_OK;
    }
    tmb_err err = enter_scope(ops, kv, ask->op.scope);
    if (err != TMB_OK)
        return err;
    ask->op.stamp = tmb_clock_stamp(&state->clock, record->stamp, tmb_state_wall());
    bool is_owner = tmb_bytes_eq(ask->op.scope, tmb_bytes_str(config->node));
    return tmb_scope_apply(&state->scope, &ask->op, is_owner, &ask->verdict, ret_why);
}

/* is_read: the op was understood, so the scope that is loaded is the one it is about. */
static tmb_err answer(tmb_state_ops *ops, const tmb_ask *ask, bool is_read, const char *why)
{
    const tmb_config *config = ops->state->daemon->config;
    uint8_t token[TMB_TOKEN_BYTES_MAX];
    size_t len = 0;
    char topic[TMB_STATE_TOPIC_BYTES_MAX + 1], *text = NULL;
    bool is_ok = tmb_verdict_is_ok(ask->verdict);
    bool is_asked = is_response_allowed(ops, ask->response_topic);
    tmb_err err = TMB_OK;
    if ((is_ok && !is_asked) || (ask->op.scope.len == 0 && !is_asked))
        return TMB_OK;
    if (is_asked && is_read && ask->verdict != TMB_VERDICT_SCOPE)
        err = tmb_scope_token(&ops->state->scope, ask->op.path, token, sizeof token, &len);
    if (err == TMB_OK)
        err = tmb_answer_json(ask, ask->verdict, why, tmb_bytes_of(token, len), &text);
    if (err != TMB_OK)
        return err;
    if (!is_ok && ask->op.scope.len > 0) {
        (void)tmb_state_topic_write(config->state.root, ask->op.scope, ask->op.path,
                                    TMB_STATE_OUTPUT_ERROR, topic, sizeof topic);
        add_word(ops, topic, text, ask->correlation);
    }
    char *response =
        is_asked ? strndup((const char *)ask->response_topic.ptr, ask->response_topic.len) : NULL;
    if (response)
        add_word(ops, response, text, ask->correlation);
    free(response);
    free(text);
    return TMB_OK;
}

/* The root under which it was published: when it has waited, perhaps not the one of now. */
static void root_of(const tmb_state_ops *ops, tmb_bytes topic, char out[TMB_NAME_BYTES_MAX + 1])
{
    const char *now = ops->state->daemon->config->state.root;
    const uint8_t *slash = topic.len > 0 ? memchr(topic.ptr, '/', topic.len) : NULL;
    size_t len = slash ? (size_t)(slash - topic.ptr) : 0;
    bool is_other = len > 0 && len <= TMB_NAME_BYTES_MAX;
    (void)snprintf(out, TMB_NAME_BYTES_MAX + 1, "%.*s", is_other ? (int)len : TMB_NAME_BYTES_MAX,
                   is_other ? (const char *)topic.ptr : now);
}

static tmb_err take_record(tmb_state_ops *ops, const tmb_kv *kv, const tmb_record *record)
{
    const char *why = NULL;
    char root[TMB_NAME_BYTES_MAX + 1];
    tmb_ask ask;
    root_of(ops, record->topic, root);
    tmb_err err = tmb_ask_read(root, record, &ask);
    bool is_read = err == TMB_OK;
    if (err == TMB_ENOMEM)
        return err;
    if (is_read)
        err = apply(ops, kv, record, &ask, &why);
    else
        err = TMB_OK; /* a refusal: verdict and why are said */
    if (err == TMB_OK) {
        ops->verdicts[ask.verdict]++;
        err = answer(ops, &ask, is_read, why ? why : ask.why[0] ? ask.why : NULL);
    }
    tmb_ask_clear(&ask);
    return err;
}

static void note_gap(tmb_state_ops *ops, const tmb_tail_gap *gap)
{
    LOG(TMB_LOG_ERROR, "state.operations_missing",
        tmb_str("reason", tmb_gap_reason_str(gap->reason)), tmb_num("first_seq", gap->first_seq),
        tmb_num("last_seq", gap->last_seq), tmb_num("bytes", gap->bytes));
    if (gap->reason == TMB_GAP_DAMAGED) {
        tmb_err err = tmb_tail_quarantine(ops->tail, gap);
        (void)err; /* the plugin keeps them, too, when it opens the log */
    }
    if (gap->last_seq == 0)
        return;
    if (gap->reason != TMB_GAP_TORN) /* what was torn was never acknowledged */
        ops->gaps += gap->last_seq - gap->first_seq + 1;
    ops->cursor.seq = gap->last_seq;
    ops->next_seq = gap->last_seq + 1;
}

/* The cursor is also kept in the store of marks, behind each commit and before anything of it can leave: if
 * the store of state is lost, what was not applied is applied, and what a neighbour may have is not applied
 * twice. Without the copy: at the log's end. Likewise when an older store is put back. */
static uint64_t find_copy(const tmb_state_ops *ops, const tmb_incarnation *log, uint64_t last,
                          uint64_t otherwise)
{
    tmb_store *store = ops->state->daemon->store;
    uint64_t seq = 0;
    bool is_known =
        store &&
        tmb_store_cursor_get(store, log, tmb_bytes_str(TMB_STATE_STREAM), &seq) == TMB_OK &&
        seq > 0 && seq <= last;
    return is_known ? seq : otherwise;
}

/* Blocking. */
static void keep_copy(tmb_state_job *job)
{
    const tmb_state_ops *ops = job->arg;
    tmb_store *store = ops->state->daemon->store;
    if (!store || (ops->records == 0 && !ops->has_moved))
        return;
    tmb_err err = tmb_store_cursor_put(store, &ops->cursor.incarnation,
                                       tmb_bytes_str(TMB_STATE_STREAM), ops->cursor.seq);
    if (err != TMB_OK)
        LOG(TMB_LOG_WARNING, "state.cursor_copy_failed", tmb_why(err));
}

/* Somebody else may have what was applied here; else it is applied again when it is lost, and counts once. */
static bool has_neighbours(const tmb_state_ops *ops)
{
    const tmb_config *config = ops->state->daemon->config;
    return config->parent.host || config->children_accept;
}

/* Of a store that has applied nothing: there may have been another before it, of which the copy tells. */
static void find_gone(tmb_state_ops *ops, const tmb_incarnation *log, const tmb_renewed *renewed,
                      uint64_t first, uint64_t last)
{
    uint64_t seq = has_neighbours(ops) ? find_copy(ops, log, last, 0) : 0;
    if (seq == 0 && renewed && has_neighbours(ops))
        seq = find_copy(ops, &renewed->from, UINT64_MAX, 0);
    else
        renewed = NULL;
    ops->went_back = seq > 0;
    ops->cursor.seq = seq == 0 ? first - 1 : renewed ? tmb_renewed_seq(renewed, seq) : seq;
}

/* Of another log than the cursor's: what of it was applied before. A log that was renewed says which number
 * became which. Renewed from one that is unknown here, or when that cannot be read, all that was carried over
 * counts as applied, or all that is there: twice is worse. */
static tmb_err find_renewed(tmb_state_ops *ops, const tmb_incarnation *log, uint64_t first,
                            uint64_t last)
{
    tmb_renewed renewed;
    bool is_known = ops->cursor.seq > 0; /* else nothing was ever applied */
    tmb_err err = tmb_renewed_read(NULL, ops->state->daemon->journal_root, &renewed);
    bool is_damaged = err == TMB_ECORRUPT || err == TMB_EVERSION;
    if (err != TMB_OK && err != TMB_ENOENT && !is_damaged)
        return err;
    if (is_known && is_damaged) {
        ops->cursor.seq = last;
        ops->went_back = true;
    } else if (err == TMB_OK && is_known &&
               tmb_incarnation_eq(renewed.from, ops->cursor.incarnation)) {
        ops->cursor.seq = tmb_renewed_seq(&renewed, ops->cursor.seq);
    } else if (err == TMB_OK && is_known) {
        ops->cursor.seq = tmb_renewed_last(&renewed);
        ops->went_back = true;
    } else {
        find_gone(ops, log, err == TMB_OK ? &renewed : NULL, first, last);
    }
    ops->has_moved = is_known;
    return TMB_OK;
}

/* Where to go on. The log may be another than the one of the cursor, or have been restored to less. */
static tmb_err find_place(tmb_state_ops *ops, const tmb_kv *kv)
{
    uint64_t first = 0, last = 0;
    tmb_incarnation log;
    tmb_err err = tmb_cursor_row_get(kv, &ops->cursor);
    if (err == TMB_OK && ops->cursor.seq == 0 && ops->known.seq > 0)
        ops->cursor =
            ops->known; /* the store was lost under us: what it had applied stays applied */
    if (err == TMB_OK)
        err = tmb_tail_range(ops->tail, &first, &last, &log);
    if (err != TMB_OK)
        return err == TMB_ENOENT ? TMB_EAGAIN : err;
    if (strcmp(tmb_tail_node(ops->tail), ops->state->daemon->config->node) != 0)
        return TMB_EDENIED;
    if (ops->cursor.seq == TMB_CURSOR_END) { /* of a store that was lost before this start */
        ops->cursor = (tmb_cursor_row){log, find_copy(ops, &log, last, last)};
        ops->went_back = true;
        ops->next_seq = 0;
    } else if (!tmb_incarnation_eq(log, ops->cursor.incarnation)) {
        err = find_renewed(ops, &log, first, last);
        if (err != TMB_OK)
            return err;
        ops->cursor.incarnation = log;
        ops->next_seq = 0;
    } else if (ops->cursor.seq > last) {
        ops->went_back = true;
        ops->cursor.seq = last;
        ops->next_seq = 0;
    }
    if (ops->next_seq == ops->cursor.seq + 1)
        return TMB_OK;
    err = tmb_tail_seek(ops->tail, ops->cursor.seq + 1);
    if (err == TMB_OK)
        ops->next_seq = ops->cursor.seq + 1;
    return err;
}

tmb_err tmb_state_ops_skip(tmb_state_ops *ops, const tmb_kv *kv)
{
    uint64_t first, last = 0;
    tmb_incarnation log;
    if (!has_neighbours(ops))
        return TMB_OK;
    tmb_err err = find_place(ops, kv);
    if (err == TMB_OK)
        err = tmb_tail_range(ops->tail, &first, &last, &log);
    if (err != TMB_OK)
        return err == TMB_EIO || err == TMB_ENOMEM ? err : TMB_OK; /* there is no such log */
    uint64_t from = ops->cursor.seq;
    uint64_t to = find_copy(ops, &log, last, from);
    ops->next_seq = 0;
    if (to <= from)
        return TMB_OK;
    LOG(TMB_LOG_WARNING, "state.operations_skipped", tmb_num("first_seq", from + 1),
        tmb_num("last_seq", to),
        tmb_str("then", "they were applied before: neighbours tell what they have of them, the "
                        "rest is in the journal alone"));
    ops->cursor.seq = to;
    return tmb_cursor_row_put(kv, &ops->cursor);
}

static tmb_err take_records(tmb_state_ops *ops, const tmb_kv *kv)
{
    while (ops->records < RECORDS_MAX && ops->bytes < BYTES_MAX) {
        tmb_record record;
        tmb_tail_gap gap;
        tmb_err err = tmb_tail_next(ops->tail, &record, &gap);
        if (err == TMB_EAGAIN) {
            ops->is_at_end = true;
            return TMB_OK;
        }
        if (err == TMB_EGAP) {
            note_gap(ops, &gap);
            continue;
        }
        if (err == TMB_OK && record.seq > ops->cursor.seq)
            err = take_record(ops, kv, &record);
        if (err != TMB_OK)
            return err;
        ops->cursor.seq = record.seq > ops->cursor.seq ? record.seq : ops->cursor.seq;
        ops->next_seq = ops->cursor.seq + 1;
        ops->records++;
        ops->bytes += record.payload.len + record.topic.len;
    }
    return TMB_OK;
}

/* Blocking. */
static tmb_err run(tmb_state_job *job, const tmb_kv *kv)
{
    tmb_state_ops *ops = job->arg;
    clear_words(ops);
    ops->records = ops->looks_count = 0;
    ops->bytes = 0;
    ops->gaps = 0;
    ops->is_at_end = ops->went_back = ops->has_moved = ops->has_scope = false;
    memset(ops->verdicts, 0, sizeof ops->verdicts);
    tmb_tail_watch_clear(ops->tail);
    tmb_err err = find_place(ops, kv);
    uint64_t from = ops->cursor.seq;
    if (err == TMB_OK)
        err = take_records(ops, kv);
    if (err == TMB_OK && ops->records > 0)
        err = tmb_tail_sync(ops->tail);
    if (err == TMB_OK)
        err = leave_scope(ops);
    bool is_changed = ops->cursor.seq != from || ops->went_back || ops->has_moved;
    if (err == TMB_OK && (is_changed || ops->records > 0))
        err = tmb_cursor_row_put(kv, &ops->cursor);
    if (err == TMB_OK)
        err = tmb_state_keep_clock(ops->state, kv);
    ops->clock = ops->state->clock;
    if (err == TMB_EAGAIN) { /* no log yet */
        ops->is_at_end = true;
        err = TMB_OK;
    }
    if (err != TMB_OK)
        ops->next_seq = 0;
    return err;
}

static void watch(tmb_state_ops *ops);

static void begin(tmb_state_ops *ops)
{
    if (ops->is_stopping || ops->is_busy || !ops->state->is_begun)
        return;
    if (ops->is_polling)
        (void)uv_poll_stop(&ops->poll);
    ops->is_polling = false;
    ops->is_busy = true;
    ops->ticks = 0;
    tmb_state_jobs_add(ops->state->jobs, &ops->job);
}

static void speak(tmb_state_ops *ops)
{
    for (unsigned i = 0; i < ops->words_count; i++) {
        const word *w = &ops->words[i];
        tmb_link_message message = {.topic = w->topic,
                                    .payload = tmb_bytes_str(w->text),
                                    .is_utf8 = true,
                                    .content_type = TMB_CONTENT_TYPE_JSON,
                                    .correlation =
                                        tmb_bytes_of(w->correlation, w->correlation_len)};
        tmb_state_values_say(ops->state->values, &message);
    }
}

static void done(tmb_state_job *job)
{
    tmb_state_ops *ops = job->arg;
    ops->is_busy = false;
    if (job->err != TMB_OK) {
        ops->next_seq = 0; /* the commit may be what failed */
        if (job->err != ops->last_err && job->err != TMB_ECLOSED)
            LOG(TMB_LOG_ERROR, "state.operations_wait", tmb_why(job->err),
                tmb_str("then", "they stay in the journal; tried again each second"));
        ops->last_err = job->err;
        return; /* tick tries again */
    }
    ops->last_err = TMB_OK;
    ops->known = ops->cursor;
    ops->state->shown_clock = ops->clock;
    if (ops->went_back)
        LOG(TMB_LOG_ERROR, "state.journal_went_back", tmb_num("last_seq", ops->cursor.seq),
            tmb_str("then",
                    "operations that were applied before stay so; what comes now is applied"));
    for (unsigned i = 0; i < VERDICTS; i++)
        ops->told[i] += ops->verdicts[i];
    ops->told_gaps += ops->gaps;
    ops->applied += ops->records;
    if (!ops->is_stopping) {
        speak(ops);
        for (unsigned i = 0; i < ops->looks_count; i++)
            tmb_state_changed(ops->state, &ops->looks[i], NULL);
    }
    clear_words(ops);
    if (ops->is_at_end)
        watch(ops);
    else
        begin(ops);
}

static void on_log_changed(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    begin(poll->data);
}

static void watch(tmb_state_ops *ops)
{
    if (!ops->is_stopping && ops->has_poll && !ops->is_polling)
        ops->is_polling = uv_poll_start(&ops->poll, UV_READABLE, on_log_changed) == 0;
}

void tmb_state_ops_tick(tmb_state_ops *ops)
{
    if (++ops->ticks >= LOOK_TICKS || ops->last_err != TMB_OK || !ops->has_poll || !ops->is_polling)
        begin(ops);
}

tmb_err tmb_state_ops_new(tmb_state *state, tmb_state_ops **ret_ops)
{
    tmb_state_ops *ops = calloc(1, sizeof *ops);
    if (!ops)
        return TMB_ENOMEM;
    ops->state = state;
    ops->job = (tmb_state_job){
        .run = run, .committed = keep_copy, .done = done, .arg = ops, .is_own = true};
    tmb_err err = tmb_tail_open(state->daemon->journal_root, TMB_STATE_STREAM, NULL, &ops->tail);
    if (err != TMB_OK) {
        free(ops);
        return err;
    }
    int fd = tmb_tail_watch_fd(ops->tail);
    ops->has_poll = fd >= 0 && uv_poll_init(&state->daemon->loop, &ops->poll, fd) == 0;
    ops->poll.data = ops;
    *ret_ops = ops;
    return TMB_OK;
}

void tmb_state_ops_stop(tmb_state_ops *ops)
{
    ops->is_stopping = true;
    if (ops->has_poll)
        uv_close((uv_handle_t *)&ops->poll, NULL);
    ops->has_poll = ops->is_polling = false;
}

void tmb_state_ops_free(tmb_state_ops *ops)
{
    if (!ops)
        return;
    clear_words(ops);
    tmb_tail_close(ops->tail);
    free(ops);
}

void tmb_state_ops_stats(const tmb_state_ops *ops, json_t *object)
{
    json_t *verdicts = json_object();
    for (unsigned i = 0; i < VERDICTS; i++)
        (void)json_object_set_new(verdicts, tmb_verdict_str((tmb_verdict)i),
                                  json_integer((json_int_t)ops->told[i]));
    (void)json_object_set_new(object, "operations",
                              json_pack("{s:I, s:I, s:I, s:o}", "taken", (json_int_t)ops->applied,
                                        "cursor", (json_int_t)ops->known.seq, "missing",
                                        (json_int_t)ops->told_gaps, "verdicts", verdicts));
}
