// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_lane.c - does what a scope's machine says, and tells it what happened.
 *
 *   frame, change, time --event--> tmb_sync --SEND--> peer's queue
 *                                     |-----JOB--> pool: exchange, encode, commit --DONE--> tmb_sync
 *                                     '--REPORT--> log
 *
 * Frames of a job's result lie in memory that the next job uses, so they are encoded in the pool.
 */
#include "syncd/daemon/state_lane.h"

#include <stdlib.h>
#include <zstd.h>

#include "syncd/daemon/log.h"

#define PACK_BYTES_MIN 200u
#define PACK_LEVEL     3

typedef struct encoded {
    uint8_t *bytes;
    size_t len;
} encoded;

typedef struct tmb_lane_job {
    tmb_state_job base;
    tmb_state_lane *lane;
    tmb_job job;
    tmb_job_result result;
    tmb_frame frames[2]; /* of result, so that it can be pointed to; what they point to is gone */
    encoded out[2];
    tmb_state_look look;
    bool has_look, has_learnt;
    tmb_clock clock;
    uint64_t skewed;
    uint64_t asked_ms; /* 0: it is no answer */
    int64_t came_ms;
} lane_job;

static void step(tmb_state_lane *lane, tmb_sync_event *event);

void tmb_state_came_free(tmb_state_came *came)
{
    if (!came)
        return;
    free(came->arena);
    free(came->unpacked);
    free(came);
}

static void free_job(lane_job *job)
{
    if (!job)
        return;
    for (int i = 0; i < 2; i++)
        free(job->out[i].bytes);
    free(job);
}

static tmb_err encode(const tmb_frame *frame, encoded *ret)
{
    size_t cap = tmb_frame_size_max(frame), len = 0;
    uint8_t *bytes = cap > 0 ? malloc(cap) : NULL;
    tmb_err err = cap == 0 ? TMB_EINVAL
                  : bytes  ? tmb_frame_encode(frame, bytes, cap, &len)
                           : TMB_ENOMEM;
    if (err != TMB_OK) {
        free(bytes);
        return err;
    }
    ret->bytes = bytes;
    ret->len = len;
    return TMB_OK;
}

/* Blocking. LEAVES travel packed where that makes them smaller. */
static tmb_err encode_packed(const tmb_frame *frame, encoded *ret)
{
    tmb_frame packed = *frame;
    size_t raw = frame->type == TMB_FRAME_LEAVES ? frame->u.leaves.data.len : 0;
    if (raw < PACK_BYTES_MIN || frame->u.leaves.codec != TMB_CODEC_PLAIN)
        return encode(frame, ret);
    size_t cap = ZSTD_compressBound(raw);
    uint8_t *bytes = malloc(cap);
    size_t len = bytes ? ZSTD_compress(bytes, cap, frame->u.leaves.data.ptr, raw, PACK_LEVEL) : raw;
    if (!ZSTD_isError(len) && len < raw) {
        packed.u.leaves.codec = TMB_CODEC_ZSTD;
        packed.u.leaves.raw_bytes = (uint32_t)raw;
        packed.u.leaves.data = tmb_bytes_of(bytes, len);
    }
    tmb_err err = encode(&packed, ret);
    free(bytes);
    return err;
}

/* Blocking. What a SCOPE says of the time. A parent's is believed, within the rules of clock.h. */
static void hear_clock(lane_job *j, tmb_state *state)
{
    const tmb_frame *frame = j->job.frame;
    if (!frame || frame->type != TMB_FRAME_SCOPE)
        return;
    const tmb_frame_scope *scope = &frame->u.scope;
    tmb_hlc remote = {scope->hlc};
    if (j->lane->peer->options.is_parent && scope->wall_ms > 0 && j->asked_ms > 0)
        j->has_learnt = tmb_clock_learn(&state->clock, (tmb_wall){(int64_t)scope->wall_ms},
                                        (tmb_wall){(int64_t)j->asked_ms}, (tmb_wall){j->came_ms});
    if (remote.u64 != 0)
        j->skewed = !tmb_clock_fold(&state->clock, remote, tmb_state_wall());
}

/* Blocking. */
static tmb_err run(tmb_state_job *base, const tmb_kv *kv)
{
    lane_job *j = base->arg;
    tmb_state *state = j->lane->peer->state;
    tmb_exchange *exchange = state->exchange;
    tmb_incarnation fresh;
    if (uv_random(NULL, NULL, fresh.bytes, sizeof fresh.bytes, 0, NULL) != 0)
        return TMB_EIO;
    hear_clock(j, state);
    tmb_wall now = tmb_state_wall();
    exchange->scope.name[0] = 0;
    tmb_err err = tmb_exchange_run(
        exchange, &j->job, kv, tmb_bytes_str(j->lane->held->name),
        tmb_bytes_str(j->lane->peer->name), fresh, tmb_clock_now(&state->clock, now).ms,
        tmb_clock_stamp(&state->clock, (tmb_hlc){0}, now).u64, &j->result);
    for (unsigned i = 0; i < j->result.frames_count && err == TMB_OK; i++) {
        err = encode_packed(j->result.frames[i], &j->out[i]);
        j->frames[i] = *j->result.frames[i];
        j->result.frames[i] = &j->frames[i];
    }
    j->result.err = err;
    if (err != TMB_OK)
        return err;
    j->has_look = exchange->scope.name[0] != 0;
    if (j->has_look)
        tmb_state_look_of(&exchange->scope, &j->look);
    j->look.has_changed = j->result.is_changed;
    j->look.has_values = j->result.changed_leaves > 0;
    j->look.forks = j->result.forks;
    base->commit = j->result.commit == TMB_COMMIT_SYNC    ? TMB_STATE_SYNC
                   : j->result.commit == TMB_COMMIT_LATER ? TMB_STATE_LATER
                                                          : TMB_STATE_DROP;
    if (base->commit != TMB_STATE_DROP)
        err = tmb_state_keep_clock(state, kv);
    j->clock = state->clock;
    return err;
}

static void queue(tmb_state_lane *lane, const tmb_frame *frame, const encoded *out)
{
    tmb_state_goes *goes = malloc(sizeof *goes + out->len);
    if (!goes)
        return; /* as if lost on the way */
    goes->next = NULL;
    goes->lane = lane;
    goes->len = out->len;
    goes->is_chunk = frame->type == TMB_FRAME_LEAVES || frame->type == TMB_FRAME_RANGES;
    memcpy(goes->bytes, out->bytes, out->len);
    lane->queued += goes->is_chunk;
    if (frame->type == TMB_FRAME_SCOPE)
        lane->asked_ms = (uint64_t)tmb_state_wall().ms;
    tmb_state_peer_queue(lane->peer, goes);
}

static void send_frame(tmb_state_lane *lane, const tmb_frame *frame)
{
    lane_job *j = lane->job;
    encoded made = {NULL, 0};
    for (int i = 0; i < 2 && j; i++) {
        if (frame == &j->frames[i] && j->out[i].bytes) {
            queue(lane, frame, &j->out[i]);
            return;
        }
    }
    tmb_err err = encode(frame, &made);
    if (err == TMB_OK)
        queue(lane, frame, &made);
    else
        LOG(TMB_LOG_ERROR, "state.frame_not_sent", tmb_str("scope", lane->held->name),
            tmb_num("type", (uint64_t)frame->type), tmb_why(err));
    free(made.bytes);
}

static bool is_bad(tmb_sync_report report)
{
    return report == TMB_SYNC_REPORT_REFUSED || report == TMB_SYNC_REPORT_DENIED ||
           report == TMB_SYNC_REPORT_STUCK || report == TMB_SYNC_REPORT_FAILED ||
           report == TMB_SYNC_REPORT_FORKED;
}

static const char *then_refused(tmb_refusal refusal)
{
    if (refusal == TMB_REFUSAL_DENIED)
        return "what is changed here is not taken there, and the two differ: name the scope in "
               "state.read_only here, or share it there with write: true";
    if (refusal == TMB_REFUSAL_LIMIT)
        return "a limit is reached at one of the two, of neighbours, writers or values at once "
               "(docs/state.md, Limits): retire who is gone or del the value there, then restart "
               "tombolo-syncd at one of them";
    return "it does not hold the scope, or does not share it with this node: look at state.scopes "
           "and state.share there";
}

/* What follows by itself, or what is to be done, for who reads the log. */
static const char *then_of(const tmb_sync_action *action)
{
    switch (action->report) {
    case TMB_SYNC_REPORT_REBORN:
        return "this node was restored or copied: it goes on under a new incarnation, and the "
               "neighbour tells what is missing";
    case TMB_SYNC_REPORT_BELOW:
        return "one of the two was away for long, or retired: what both have of the scope is "
               "compared, and nothing needs to be done";
    case TMB_SYNC_REPORT_REFUSED:
        return then_refused(action->refusal);
    case TMB_SYNC_REPORT_DENIED:
        return "it may only read, and what it changed is not taken: name the scope in "
               "state.read_only there, or share it here with write: true";
    case TMB_SYNC_REPORT_FORKED:
        return "it has other changes under numbers of one incarnation, as after a copied disk: see "
               "docs/state-format.md, Copied or put back";
    case TMB_SYNC_REPORT_STUCK:
        return "it is tried again, at longer intervals or with the next session: look at the log "
               "of the neighbour";
    case TMB_SYNC_REPORT_FAILED:
        return "the store here failed, and is tried again: look at the disk of data_dir";
    case TMB_SYNC_REPORT_NONE:
    case TMB_SYNC_REPORT_MET:
    case TMB_SYNC_REPORT_EQUAL:
    case TMB_SYNC_REPORT_SCRUB:
    case TMB_SYNC_REPORT_RANGED:
        break;
    }
    return "both say that they have the same, and have not, as after damage to a store: what both "
           "have of the scope is compared";
}

static void report(tmb_state_lane *lane, const tmb_sync_action *action)
{
    bool is_loud = is_bad(action->report) || action->report == TMB_SYNC_REPORT_REBORN ||
                   action->report == TMB_SYNC_REPORT_BELOW ||
                   action->report == TMB_SYNC_REPORT_SCRUB;
    if (action->report == TMB_SYNC_REPORT_EQUAL) {
        lane->equal_ms = tmb_state_wall().ms;
        lane->report = TMB_SYNC_REPORT_EQUAL;
        return;
    }
    bool is_known = is_bad(action->report) && lane->report == (uint8_t)action->report;
    lane->report = (uint8_t)action->report;
    lane->refusal = (uint8_t)action->refusal;
    if (!is_loud || is_known)
        return;
    tmb_field fields[7] = {tmb_str("report", tmb_sync_report_str(action->report)),
                           tmb_str("scope", lane->held->name),
                           tmb_str("neighbour", lane->peer->name)};
    size_t n = 3;
    if (action->refusal != TMB_REFUSAL_NONE)
        fields[n++] = tmb_str("refusal", tmb_refusal_str(action->refusal));
    if (action->err != TMB_OK)
        fields[n++] = tmb_why(action->err);
    fields[n] = tmb_str("then", then_of(action));
    tmb_log(is_bad(action->report) ? TMB_LOG_ERROR : TMB_LOG_WARNING, "state.sync", fields);
}

static void done(tmb_state_job *base)
{
    lane_job *j = base->arg;
    tmb_state_lane *lane = j->lane;
    tmb_state *state = lane->peer->state;
    if (state->is_stopping) {
        lane->job = NULL;
        free_job(j);
        return;
    }
    j->result.kind = j->job.kind;
    if (base->err != TMB_OK) {
        j->result = (tmb_job_result){.kind = j->job.kind, .err = base->err};
    } else {
        state->skewed += j->skewed;
        if (base->commit != TMB_STATE_DROP)
            state->shown_clock = j->clock;
        if (j->has_learnt)
            LOG(TMB_LOG_NOTICE, "state.time_learnt", tmb_str("from", lane->peer->name));
        if (j->skewed)
            LOG(TMB_LOG_WARNING, "state.clock_ahead", tmb_str("neighbour", lane->peer->name),
                tmb_str("then", "its data is taken, its time is not followed"));
    }
    tmb_sync_event event = {.type = TMB_SYNC_DONE, .result = &j->result};
    step(lane, &event); /* which may begin the next one, so lane->job is another's behind it */
    if (base->err == TMB_OK && j->has_look && base->commit != TMB_STATE_DROP)
        tmb_state_changed(state, &j->look, lane->peer);
    free_job(j);
}

/* To our last SCOPE: what else the neighbour says tells nothing of how long that was on its way. */
static bool is_answer(const tmb_state_lane *lane, const tmb_frame *frame)
{
    return frame && frame->type == TMB_FRAME_SCOPE && frame->u.scope.answers != 0 &&
           frame->u.scope.answers == lane->sync.turn;
}

static void start_job(tmb_state_lane *lane, const tmb_job *job)
{
    lane_job *j = calloc(1, sizeof *j);
    TMB_ASSERT(j); /* some kilobytes: without them nothing goes on */
    tmb_state_peer *peer = lane->peer;
    uint32_t chunk = peer->options.chunk_bytes(peer->options.arg);
    j->lane = lane;
    j->job = *job;
    if (j->job.bytes_max > chunk)
        j->job.bytes_max = chunk;
    j->asked_ms = is_answer(lane, job->frame) ? lane->asked_ms : 0;
    j->came_ms = tmb_state_wall().ms;
    j->base = (tmb_state_job){.run = run, .done = done, .arg = j};
    lane->job = j;
    tmb_state_jobs_add(peer->state->jobs, &j->base);
}

/* What is in flight follows the machine's own account: a new turn begins with none. */
static void count_flight(tmb_state_lane *lane)
{
    const tmb_sync *sync = &lane->sync;
    uint32_t owed = sync->next_out > sync->acked_out ? sync->next_out - sync->acked_out : 0;
    unsigned before = lane->flight;
    if (lane->flight > owed)
        lane->flight = owed;
    lane->peer->flight -= before - lane->flight;
    if (before == lane->flight)
        return;
    int64_t ms = (tmb_daemon_now().ns - lane->chunk_at.ns) / 1000000;
    if (ms <= TMB_STATE_QUICK_MS && lane->peer->window < TMB_STATE_WINDOW_MAX)
        lane->peer->window++;
    else if (ms > TMB_STATE_SLOW_MS)
        lane->peer->window = 1;
    lane->chunk_at = tmb_daemon_now();
}

/* Lanes with a deadline are in a list of the service's, looked through once a second. */
static void note_deadline(tmb_state_lane *lane)
{
    tmb_state *state = lane->peer->state;
    bool is_awake = tmb_sync_deadline(&lane->sync).ns != INT64_MAX;
    if (is_awake == (lane->place_awake != NULL))
        return;
    if (is_awake) {
        lane->next_awake = state->awake;
        lane->place_awake = &state->awake;
        if (lane->next_awake)
            lane->next_awake->place_awake = &lane->next_awake;
        state->awake = lane;
    } else {
        *lane->place_awake = lane->next_awake;
        if (lane->next_awake)
            lane->next_awake->place_awake = lane->place_awake;
        lane->place_awake = NULL;
    }
}

static bool make_room(tmb_state_lane *lane)
{
    if (!lane->sync.room)
        lane->sync.room = calloc(1, sizeof *lane->sync.room);
    return lane->sync.room;
}

/* One event; then what it left to do. */
static void step_once(tmb_state_lane *lane, tmb_sync_event *event)
{
    tmb_sync_actions actions;
    lane_job *job = lane->job;
    if (!make_room(lane)) {
        LOG(TMB_LOG_ERROR, "state.no_memory", tmb_str("scope", lane->held->name));
        TMB_ASSERT(event->type != TMB_SYNC_DONE);
        return;
    }
    actions.n = 0;
    event->now = tmb_daemon_now();
    tmb_err err = tmb_sync_step(&lane->sync, event, &actions);
    if (err != TMB_OK)
        LOG(TMB_LOG_ERROR, "state.refused_event", tmb_str("scope", lane->held->name),
            tmb_num("type", (uint64_t)event->type), tmb_why(err));
    const tmb_job *next = NULL;
    for (unsigned i = 0; i < actions.n; i++) {
        if (actions.v[i].type == TMB_SYNC_SEND)
            send_frame(lane, actions.v[i].frame);
        else if (actions.v[i].type == TMB_SYNC_REPORT)
            report(lane, &actions.v[i]);
        else
            next = &actions.v[i].job;
    }
    if (event->type == TMB_SYNC_DONE && lane->job == job)
        lane->job = NULL;
    if (next)
        start_job(lane, next);
    count_flight(lane);
}

static void take_frame(tmb_state_lane *lane)
{
    tmb_state_came *came = lane->came;
    lane->came = came->next;
    lane->came_count--;
    lane->current = came;
    tmb_sync_event event = {.type = TMB_SYNC_FRAME, .frame = &came->frame};
    if (tmb_frame_state_session(&came->frame) == lane->sync.session)
        step_once(lane, &event);
    if (!tmb_sync_is_busy(&lane->sync)) {
        tmb_state_came_free(lane->current);
        lane->current = NULL;
    }
}

static void forget_came(tmb_state_lane *lane)
{
    while (lane->came) {
        tmb_state_came *came = lane->came;
        lane->came = came->next;
        tmb_state_came_free(came);
    }
    lane->came_count = 0;
}

static void open_now(tmb_state_lane *lane)
{
    tmb_sync_event event = {
        .type = TMB_SYNC_OPEN, .session = lane->peer->session, .speaks = lane->speaks};
    lane->must_open = false;
    if (lane->peer->session != 0)
        step_once(lane, &event);
}

static void step(tmb_state_lane *lane, tmb_sync_event *event)
{
    TMB_ASSERT(!lane->is_stepping);
    lane->is_stepping = true;
    step_once(lane, event);
    for (;;) {
        bool is_busy = tmb_sync_is_busy(&lane->sync);
        if (!is_busy && lane->current) {
            tmb_state_came_free(lane->current);
            lane->current = NULL;
        }
        if (!is_busy && lane->must_open) {
            open_now(lane);
        } else if (!is_busy && lane->came) {
            take_frame(lane);
        } else if (lane->is_changed) {
            tmb_sync_event changed = {.type = TMB_SYNC_CHANGED};
            lane->is_changed = false;
            step_once(lane, &changed);
        } else {
            break;
        }
    }
    lane->is_stepping = false;
    note_deadline(lane);
    if (tmb_sync_is_quiet(&lane->sync)) {
        free(lane->sync.room);
        lane->sync.room = NULL;
    }
    tmb_state_peer_pump(lane->peer);
}

void tmb_state_lane_open(tmb_state_lane *lane, bool speaks)
{
    lane->speaks = speaks;
    lane->must_open = true;
    if (lane->is_stepping || tmb_sync_is_busy(&lane->sync))
        return; /* behind it */
    lane->must_open = false;
    tmb_sync_event event = {
        .type = TMB_SYNC_OPEN, .session = lane->peer->session, .speaks = speaks};
    step(lane, &event);
}

void tmb_state_lane_close(tmb_state_lane *lane)
{
    tmb_sync_event event = {.type = TMB_SYNC_CLOSE};
    forget_came(lane);
    lane->must_open = false;
    step(lane, &event);
    lane->peer->flight -= lane->flight;
    lane->flight = 0;
}

void tmb_state_lane_frame(tmb_state_lane *lane, tmb_state_came *came)
{
    if (lane->came_count >= TMB_SYNC_QUEUE_MAX) {
        lane->peer->dropped++;
        tmb_state_came_free(came);
        return;
    }
    tmb_state_came **place = &lane->came;
    while (*place)
        place = &(*place)->next;
    came->next = NULL;
    *place = came;
    lane->came_count++;
    if (lane->is_stepping || tmb_sync_is_busy(&lane->sync))
        return;
    lane->is_stepping = true;
    take_frame(lane);
    lane->is_stepping = false;
    tmb_sync_event event = {.type = TMB_SYNC_TIMEOUT}; /* and what else is to be done */
    step(lane, &event);
}

void tmb_state_lane_changed(tmb_state_lane *lane)
{
    tmb_sync_event event = {.type = TMB_SYNC_CHANGED};
    if (lane->is_stepping)
        lane->is_changed = true;
    else if (lane->sync.state != TMB_SYNC_CLOSED)
        step(lane, &event);
}

static void give(tmb_state_lane *lane, tmb_sync_event_type type)
{
    tmb_sync_event event = {.type = type};
    if (!lane->is_stepping && lane->sync.state != TMB_SYNC_CLOSED)
        step(lane, &event);
}

void tmb_state_lane_ask(tmb_state_lane *lane)
{
    give(lane, TMB_SYNC_ASK);
}

void tmb_state_lane_compare(tmb_state_lane *lane)
{
    give(lane, TMB_SYNC_COMPARE); /* or with the next round */
}

void tmb_state_lane_sent(tmb_state_lane *lane, bool is_chunk)
{
    tmb_sync_event event = {.type = TMB_SYNC_SENT};
    if (is_chunk) {
        lane->queued--;
        if (lane->flight++ == 0)
            lane->chunk_at = tmb_daemon_now();
        lane->peer->flight++;
    }
    if (lane->sync.state != TMB_SYNC_CLOSED)
        step(lane, &event);
}

void tmb_state_lane_timeout(tmb_state_lane *lane)
{
    tmb_sync_event event = {.type = TMB_SYNC_TIMEOUT};
    step(lane, &event);
}

tmb_err tmb_state_lane_new(tmb_state_peer *peer, tmb_held *held, bool may_write,
                           tmb_state_lane **ret_lane)
{
    tmb_state_lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return TMB_ENOMEM;
    tmb_sync_options options = {
        .may_write = may_write,
        .answer_ms = 2 * (uint32_t)peer->state->daemon->config->ack_timeout_ms,
    };
    tmb_sync_init(&lane->sync, held->name, &options);
    lane->peer = peer;
    lane->held = held;
    lane->next_of_peer = peer->lanes;
    peer->lanes = lane;
    peer->lanes_count++;
    lane->next_of_held = held->lanes;
    held->lanes = lane;
    *ret_lane = lane;
    return TMB_OK;
}

void tmb_state_lane_free(tmb_state_lane *lane)
{
    forget_came(lane);
    tmb_state_came_free(lane->current);
    free(lane->sync.room);
    free_job(lane->job);
    free(lane);
}
