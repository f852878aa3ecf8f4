// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/uplink.c - does what the session says, and tells it what happened.
 *
 *   lanes (feed.c), link (dial.c), timer --events--> session --actions--> link (outbox.c), loads (feed.c),
 *                                                                        marks (notes.c), log, counters
 *
 * One event is told at a time, never from inside doing an action: what an action learns at once (a dial that
 * cannot even begin) is told at the next turn of the loop.
 */
#include "syncd/daemon/uplink_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "syncd/daemon/asks.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/state_uplink.h"

#define LOOK_ANYWAY_TICKS 10
#define PROGRESS_MS_MAX   500 /* how often the session hears that what it said is still leaving ... */
#define LOOK_MS           10 /* ... and while the line is busy, so that it stays so */

static void arm_timer(tmb_uplink *u);

static const char *stream_name(const tmb_uplink *u, unsigned stream)
{
    return stream < u->lanes_count ? u->lanes[stream].name : "";
}

static void report(tmb_uplink *u, const tmb_session_action *action)
{
    switch (action->report) {
    case TMB_SESSION_REPORT_STATE:
        if (action->number == TMB_SESSION_STREAMING || action->number == TMB_SESSION_FENCED)
            LOG(action->number == TMB_SESSION_FENCED ? TMB_LOG_ERROR : TMB_LOG_NOTICE,
                "session.state",
                tmb_str("state", tmb_session_state_str((tmb_session_state)action->number)));
        if (action->number == TMB_SESSION_STREAMING) {
            tmb_uplink_decide_pairs(u);
            tmb_uplink_watch(u);
        }
        return;
    case TMB_SESSION_REPORT_BYE:
        if (action->number == TMB_BYE_TWIN)
            tmb_fence_note(&u->fence, "twin", "", 0, u->daemon->config->data_dir);
        u->refusals += action->number == TMB_BYE_BUSY;
        LOG(TMB_LOG_NOTICE, "session.bye",
            tmb_str("reason", tmb_bye_reason_str((tmb_bye_reason)action->number)));
        return;
    case TMB_SESSION_REPORT_MALFORMED:
        LOG(TMB_LOG_ERROR, "session.malformed",
            tmb_str("from", tmb_chooser_endpoint(u->chooser)->host));
        return;
    case TMB_SESSION_REPORT_AHEAD:
    case TMB_SESSION_REPORT_FORKED:
        tmb_fence_note(&u->fence, action->report == TMB_SESSION_REPORT_FORKED ? "forked" : "ahead",
                       stream_name(u, action->stream), action->number, u->daemon->config->data_dir);
        memset(&u->marks, 0, sizeof u->marks); /* of another past than this log's */
        tmb_keeper_tell(u->keeper, NULL);
        return;
    case TMB_SESSION_REPORT_RESEND:
        u->resends++;
        u->lanes[action->stream].is_dictionary_lost = true; /* until it is sent again */
        LOG(TMB_LOG_INFO, "session.resend", tmb_str("stream", stream_name(u, action->stream)),
            tmb_num("mark", action->number));
        return;
    case TMB_SESSION_REPORT_TIMEOUT:
        u->timeouts++;
        LOG(TMB_LOG_NOTICE, "session.timeout",
            tmb_str("state", tmb_session_state_str(u->session.state)),
            tmb_str("why", "the parent's broker is there, its tombolo-syncd does not answer"));
        return;
    }
}

static void on_proved(void *arg, uint64_t ticket, tmb_proof proof)
{
    tmb_uplink *u = arg;
    tmb_session_event event = {.type = TMB_SESSION_PROVED};
    event.u.proved.ticket = ticket;
    event.u.proved.proof = proof;
    if (!u->is_stopping)
        tmb_uplink_step(u, &event);
}

static void act(tmb_uplink *u, const tmb_session_action *action)
{
    switch (action->type) {
    case TMB_SESSION_DIAL:
        tmb_uplink_dial(u, action->epoch);
        return;
    case TMB_SESSION_HANGUP:
        if (action->epoch == u->link_epoch)
            tmb_uplink_hang_up(u);
        return;
    case TMB_SESSION_SEND:
        if (action->epoch != u->link_epoch)
            return;
        if (action->frame->type == TMB_FRAME_HELLO)
            tmb_cutter_clear(&u->cutter);
        u->cutter.frames++;
        tmb_uplink_send(u, action->frame);
        return;
    case TMB_SESSION_SEND_BATCH:
        if (action->epoch != u->link_epoch)
            return;
        u->cutter.frames++;
        tmb_uplink_send_batch(u, action);
        return;
    case TMB_SESSION_DROP_BATCH:
        return; /* freed behind the step */
    case TMB_SESSION_LOAD:
        tmb_uplink_load(u, action);
        return;
    case TMB_SESSION_PROVE:
        tmb_prove(u->daemon, u->lanes[action->stream].stream, action, on_proved, u);
        return;
    case TMB_SESSION_PERSIST:
        tmb_uplink_note_mark(u, action);
        return;
    case TMB_SESSION_TOLD:
        tmb_asks_told(u->daemon->asks, &action->frame->u.told);
        return;
    case TMB_SESSION_REPORT:
        tmb_chooser_report(u->chooser, action);
        report(u, action);
        return;
    }
}

void tmb_uplink_step(tmb_uplink *u, tmb_session_event *event)
{
    tmb_session_actions actions = {.n = 0};
    TMB_ASSERT(!u->is_stepping);
    event->now = tmb_daemon_now();
    u->is_stepping = true;
    tmb_err err = tmb_session_step(&u->session, event, &actions);
    if (err != TMB_OK)
        LOG(TMB_LOG_ERROR, "session.refused_event", tmb_num("type", (uint64_t)event->type),
            tmb_why(err));
    for (unsigned i = 0; i < actions.n; i++)
        act(u, &actions.v[i]);
    if (u->are_marks_news)
        tmb_uplink_note_aheads(u);
    if (u->are_marks_news)
        tmb_keeper_tell(u->keeper, &u->marks);
    u->are_marks_news = false;
    u->is_stepping = false;
    if (u->session.back.window.ns > 0 && tmb_chooser_is_preferred(u->chooser))
        tmb_window_tell(&u->window, (uint32_t)(u->session.back.window.ns / 1000000));
    tmb_state_uplink_look(u);
    bool are_tails_due = u->are_tails_due && !u->is_stopping;
    u->are_tails_due = false;
    for (unsigned i = 0; i < u->lanes_count && are_tails_due; i++)
        if (u->lanes[i].ahead && u->lanes[i].is_known)
            tmb_uplink_tell_tail(u, &u->lanes[i]);
    for (unsigned i = 0; i < u->lanes_count && are_tails_due; i++)
        if (u->lanes[i].ahead && u->lanes[i].is_known) /* of all lanes by one HELLO */
            tmb_uplink_tell_backlog(u, &u->lanes[i]);
    arm_timer(u);
}

static void on_progress(uv_timer_t *timer)
{
    tmb_uplink *u = timer->data;
    tmb_uplink_tell_progress(u);
    tmb_uplink_send_pieces(u);
    tmb_state_uplink_pump(u);
    arm_timer(u);
}

void tmb_uplink_look_soon(tmb_uplink *u)
{
    if (!u->is_stopping &&
        (!uv_is_active((uv_handle_t *)&u->progress) || uv_timer_get_due_in(&u->progress) > LOOK_MS))
        (void)uv_timer_start(&u->progress, on_progress, LOOK_MS, 0);
}

/* A small part of ack_timeout: from when a frame has left its time runs, give or take this. */
static uint64_t progress_ms(const tmb_uplink *u)
{
    uint64_t ms = (uint64_t)u->daemon->config->ack_timeout_ms / 8;
    if (tmb_pace_outstanding(&u->session.pace) > 0 || u->cutter.first)
        return LOOK_MS;
    return ms < PROGRESS_MS_MAX ? ms : PROGRESS_MS_MAX;
}

static void on_timer(uv_timer_t *timer)
{
    tmb_uplink *u = timer->data;
    tmb_session_event event = {.type = TMB_SESSION_TIMEOUT};
    if (!u->is_dial_failed)
        tmb_uplink_tell_progress(u); /* first: what it says may be that it is not late */
    if (u->is_dial_failed) {
        u->is_dial_failed = false;
        event.type = TMB_SESSION_LINK_DOWN;
        event.epoch = u->link_epoch;
    }
    tmb_uplink_step(u, &event);
}

static void arm_timer(tmb_uplink *u)
{
    if (u->is_stopping)
        return;
    tmb_mono deadline = tmb_session_deadline(&u->session);
    bool is_looking = uv_is_active((uv_handle_t *)&u->progress);
    if (tmb_session_is_waiting(&u->session) &&
        (!is_looking || uv_timer_get_due_in(&u->progress) > progress_ms(u)))
        (void)uv_timer_start(&u->progress, on_progress, progress_ms(u), 0);
    if (u->is_dial_failed) {
        (void)uv_timer_start(&u->timer, on_timer, 0, 0);
    } else if (deadline.ns == INT64_MAX) {
        (void)uv_timer_stop(&u->timer);
    } else {
        uv_update_time(&u->daemon->loop);
        (void)uv_timer_start(&u->timer, on_timer, tmb_ms_until(deadline, tmb_daemon_now()), 0);
    }
}

static void keep_cap(tmb_uplink *u)
{
    uint64_t cap = tmb_line_cap(u->daemon->config);
    if (cap == u->session.pace.cap)
        return;
    LOG(TMB_LOG_NOTICE, "line.cap", tmb_num("bytes_per_s", cap));
    tmb_session_set_cap(&u->session, cap);
    arm_timer(u);
}

void tmb_uplink_tick(tmb_uplink *u)
{
    if (!u || u->is_stopping)
        return;
    u->ticks++;
    keep_cap(u);
    for (unsigned i = 0; i < u->lanes_count; i++) {
        tmb_lane *lane = &u->lanes[i];
        uint64_t waiting = tmb_uplink_first_waiting(u, lane);
        bool wants_stamp = waiting != 0 && tmb_lane_oldest(lane, waiting).u64 == 0;
        tmb_lane_keep_cursor(lane);
        if (wants_stamp || !lane->has_poll || u->ticks % LOOK_ANYWAY_TICKS == 0)
            tmb_lane_look(lane, wants_stamp ? waiting : 0);
        else
            tmb_lane_watch(lane);
    }
}

static void on_moved(void *arg, uint32_t window_ms)
{
    tmb_uplink *u = arg;
    tmb_session_event event = {.type = TMB_SESSION_MOVE, .u.window_ms = window_ms};
    u->last_why[0] = 0; /* of the other one */
    tmb_uplink_step(u, &event);
}

bool tmb_uplink_can_ask(const tmb_uplink *u)
{
    return u && !u->is_stopping && u->session.state == TMB_SESSION_STREAMING &&
           u->session.version >= 2;
}

bool tmb_uplink_ask(tmb_uplink *u, const tmb_frame *ask)
{
    if (!tmb_uplink_can_ask(u) || u->is_stepping)
        return false;
    tmb_session_event event = {.type = TMB_SESSION_ASK};
    event.u.frame = ask;
    tmb_uplink_step(u, &event);
    return true;
}

static void set_session(tmb_uplink *u)
{
    const tmb_config *c = u->daemon->config;
    uint64_t box = 0;
    while (box == 0 && uv_random(NULL, NULL, &box, sizeof box, 0, NULL) == 0) {
    }
    tmb_session_options options = {
        .node = c->node,
        .streams_count = u->lanes_count,
        .seed = tmb_daemon_seed(u->daemon, 1) ^ box, /* a clone has the same counter of starts */
        .box = box,
        .dial_timeout =
            tmb_dur_ms(TMB_DIAL_TIMEOUT_MS + 1000), /* the link's own comes first, with words */
        .hello_timeout = tmb_dur_ms(c->ack_timeout_ms / 2 + 1), /* nothing to be stored before it */
        .ack_timeout = tmb_dur_ms(c->ack_timeout_ms),
        .backoff_base = tmb_dur_ms(c->backoff_base_ms),
        .backoff_cap = tmb_dur_ms(c->backoff_cap_ms),
        .window = tmb_dur_ms(u->window.ms),
        .dial_gap = tmb_dur_ms(c->backoff_base_ms < TMB_DIAL_GAP_MS / 2 ? 2 * c->backoff_base_ms
                                                                        : TMB_DIAL_GAP_MS),
        .batch_bytes = (uint32_t)c->batch_bytes,
        .is_paced = true,
        .cap = tmb_line_cap(c),
    };
    for (unsigned i = 0; i < u->lanes_count; i++) {
        const tmb_lane *lane = &u->lanes[i];
        options.streams[i] = lane->name;
        options.classes[i] = c->policy.streams[lane->own].class_;
        options.is_live[i] = lane->is_live;
    }
    tmb_session_init(&u->session, &options, tmb_daemon_now());
}

tmb_err tmb_uplink_start(tmb_daemon *d, tmb_uplink **ret_uplink)
{
    tmb_uplink *u = calloc(1, sizeof *u);
    if (!u)
        return TMB_ENOMEM;
    u->daemon = d;
    (void)snprintf(u->up_topic, sizeof u->up_topic, "%s%s", TMB_TOPIC_UP, d->config->node);
    (void)snprintf(u->down_topic, sizeof u->down_topic, "%s%s", TMB_TOPIC_DOWN, d->config->node);
    (void)snprintf(u->client_id, sizeof u->client_id, "tombolo-%s", d->config->node);
    tmb_chooser_options chooser = {
        .daemon = d, .session = &u->session, .arg = u, .moved = on_moved};
    tmb_err err = tmb_keeper_new(d, &u->keeper);
    if (err == TMB_OK)
        err = tmb_chooser_new(&chooser, &u->chooser);
    if (err == TMB_OK)
        err = tmb_ahead_new(d, &u->ahead);
    for (unsigned i = 0; i < d->config->policy.streams_count && err == TMB_OK; i++)
        if (!d->config->policy.streams[i].is_state) /* its operations are for this node alone */
            err = tmb_uplink_add_lane(u, i, false);
    for (unsigned i = 0; i < d->config->policy.streams_count && err == TMB_OK; i++)
        if (d->config->policy.streams[i].live_first)
            err = tmb_uplink_add_lane(u, i, true);
    if (err != TMB_OK) {
        tmb_uplink_free(u);
        return err;
    }
    tmb_window_load(&u->window, d);
    set_session(u);
    if (tmb_marks_read(NULL, d->config->data_dir, &u->marks) != TMB_OK ||
        strcmp(u->marks.node, d->config->node) != 0)
        memset(&u->marks, 0, sizeof u->marks); /* none: they begin with the next WELCOME */
    (void)uv_timer_init(&d->loop, &u->timer);
    (void)uv_timer_init(&d->loop, &u->progress);
    u->timer.data = u->progress.data = u;
    for (unsigned i = 0; i < u->lanes_count; i++)
        tmb_lane_look(&u->lanes[i], 0);
    *ret_uplink = u;
    tmb_session_event event = {.type = TMB_SESSION_START};
    tmb_uplink_step(u, &event);
    return TMB_OK;
}

void tmb_uplink_stop(tmb_uplink *u)
{
    if (!u || u->is_stopping)
        return;
    tmb_session_event event = {.type = TMB_SESSION_CLOSE};
    tmb_uplink_step(u, &event);
    u->is_stopping = true;
    tmb_uplink_hang_up(u);
    tmb_keeper_stop(u->keeper);
    tmb_chooser_stop(u->chooser);
    for (unsigned i = 0; i < u->lanes_count; i++)
        tmb_lane_stop(&u->lanes[i]);
    uv_close((uv_handle_t *)&u->timer, NULL);
    uv_close((uv_handle_t *)&u->progress, NULL);
}

void tmb_uplink_free(tmb_uplink *u)
{
    if (!u)
        return;
    for (unsigned i = 0; i < u->lanes_count; i++)
        tmb_lane_close(&u->lanes[i]);
    tmb_told_free(&u->told);
    tmb_keeper_free(u->keeper);
    tmb_chooser_free(u->chooser);
    tmb_ahead_free(u->ahead);
    free(u);
}
