// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/uplink.c - does what the session says, and tells it what happened.
 *
 *   lanes (looks, loads), link, timer --events--> session --actions--> link, loads, log, counters
 *
 * One event is told at a time, never from inside doing an action: what an action learns at once (a dial that
 * cannot even begin) is told at the next turn of the loop.
 */
#include "syncd/daemon/uplink_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "syncd/daemon/asks.h"
#include "syncd/daemon/credits.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/pair.h"

#define DIAL_TIMEOUT_MS   10000
#define LOOK_ANYWAY_TICKS 10
#define PROGRESS_MS_MAX   500 /* how often the session hears that what it said is still leaving ... */
#define CUT_MS_MAX        1000
#define LOOK_MS           20 /* ... and while the line is busy, so that it stays so */

static void step(tmb_uplink *u, tmb_session_event *event);

static void arm_timer(tmb_uplink *u);

static void tell_progress(tmb_uplink *u);

static void send_frame(tmb_uplink *u, const tmb_frame *frame);

static void note_gap(tmb_uplink *u, const char *stream, const tmb_frame_batch *batch);

static void decide_pairs(tmb_uplink *u);

static void tell_tail(tmb_uplink *u, const tmb_lane *lane);

static void drop_link(tmb_uplink *u)
{
    if (!u->link)
        return;
    uint64_t out = 0, in = 0;
    tmb_link_bytes(u->link, &out, &in);
    u->bytes_out += out;
    u->bytes_in += in;
    tmb_link_close(u->link);
    tmb_cutter_begin(&u->cutter);
    u->link = NULL;
}

static void on_up(void *arg)
{
    tmb_uplink *u = arg;
    const tmb_config_endpoint *to = tmb_chooser_endpoint(u->chooser);
    LOG(TMB_LOG_NOTICE, "parent.up", tmb_str("host", to->host), tmb_num("port", to->port));
    u->last_why[0] = 0;
    tmb_session_event event = {.type = TMB_SESSION_LINK_UP, .epoch = u->link_epoch};
    step(u, &event);
}

static void tell_down(tmb_uplink *u, const char *why)
{
    if (strncmp(why, u->last_why, sizeof u->last_why - 1) != 0)
        LOG(TMB_LOG_WARNING, "parent.down", tmb_str("why", why));
    (void)snprintf(u->last_why, sizeof u->last_why, "%s", why);
}

static void on_down(void *arg, const char *why)
{
    tmb_uplink *u = arg;
    tell_down(u, why);
    drop_link(u);
    tmb_session_event event = {.type = TMB_SESSION_LINK_DOWN, .epoch = u->link_epoch};
    step(u, &event);
}

static void note_piece(tmb_uplink *u, const tmb_mark *mark)
{
    for (unsigned i = 0; i < u->lanes_count; i++)
        if (tmb_bytes_eq(tmb_bytes_str(u->lanes[i].name), mark->stream))
            tmb_cutter_note(&u->cutter, i, mark);
}

/* Where to go on with what the parent has in part. */
static void note_pieces(tmb_uplink *u, const tmb_frame *frame)
{
    const tmb_frame_welcome *welcome = &frame->u.welcome;
    if (frame->type == TMB_FRAME_WELCOME && welcome->session == u->session.session) {
        for (unsigned i = 0; i < welcome->marks_count; i++)
            note_piece(u, &welcome->marks[i]);
    } else if (frame->type == TMB_FRAME_ACK && frame->u.ack.session == u->session.session &&
               frame->u.ack.resend) {
        note_piece(u, &frame->u.ack.mark);
    }
}

/* Pieces go when the session has left room; if it never does, all the same once in a while. */
static void cut_more(tmb_uplink *u)
{
    tmb_session *s = &u->session;
    while (u->cutter.first && u->link && s->state == TMB_SESSION_STREAMING) {
        tmb_mono now = tmb_daemon_now();
        bool is_patient = !tmb_mono_is_due(tmb_mono_after(u->cut_at, tmb_dur_ms(CUT_MS_MAX)), now);
        if (tmb_pace_paid_at(&s->pace).ns > now.ns || (is_patient && !tmb_session_has_room(s)))
            return;
        tmb_frame frame = {.type = TMB_FRAME_BATCH};
        frame.u.batch = tmb_cutter_next(&u->cutter, tmb_pace_piece_bytes(&s->pace));
        uint32_t bytes = (uint32_t)frame.u.batch.data.len;
        send_frame(u, &frame);
        tmb_session_said(s, bytes, now);
        tmb_cutter_sent(&u->cutter, bytes);
        u->cut_at = now;
    }
}

static void on_message(void *arg, const char *topic, tmb_bytes payload)
{
    tmb_uplink *u = arg;
    if (strcmp(topic, u->down_topic) != 0)
        return;
    tell_progress(u); /* what is answered has been taken */
    tmb_frame frame;
    size_t cap = tmb_frame_arena_size(payload.len);
    void *arena = payload.len <= TMB_FRAME_BYTES_MAX ? malloc(cap) : NULL;
    tmb_err err = arena ? tmb_frame_decode(payload, arena, cap, &frame) : TMB_ELIMIT;
    tmb_session_event event = {.type = err == TMB_OK ? TMB_SESSION_FRAME : TMB_SESSION_FRAME_BAD,
                               .epoch = u->link_epoch};
    event.u.frame = err == TMB_OK ? &frame : NULL;
    if (err == TMB_OK)
        note_pieces(u, &frame);
    tmb_chooser_listen(u->chooser);
    step(u, &event);
    tmb_chooser_heard(u->chooser);
    cut_more(u);
    free(arena);
}

static void dial(tmb_uplink *u, uint64_t epoch)
{
    const tmb_config *c = u->daemon->config;
    const char *filters[] = {u->down_topic};
    tmb_link_options options = {
        .loop = &u->daemon->loop,
        .host = tmb_chooser_endpoint(u->chooser)->host,
        .port = tmb_chooser_endpoint(u->chooser)->port,
        .client_id = u->client_id,
        .ca_file = c->tls_ca_file,
        .cert_file = c->tls_cert_file,
        .key_file = c->tls_key_file,
        .keepalive_s = (unsigned)((c->keepalive_ms + 999) / 1000),
        .subscribe = filters,
        .subscribe_count = 1,
        .connect_timeout_ms = DIAL_TIMEOUT_MS,
        .arg = u,
        .up = on_up,
        .down = on_down,
        .message = on_message,
    };
    char text[512] = "";
    drop_link(u);
    u->dials++;
    u->link_epoch = epoch;
    u->taken_bytes = u->lost_frames = 0;
    tmb_told_begin(&u->told);
    tmb_err err = tmb_link_open(&options, &u->link, text, sizeof text);
    if (err != TMB_OK) {
        tell_down(u, text[0] ? text : tmb_err_str(err));
        u->is_dial_failed = true;
    }
}

static void send_frame(tmb_uplink *u, const tmb_frame *frame)
{
    size_t cap = tmb_frame_size_max(frame), len = 0;
    uint8_t *bytes = malloc(cap);
    tmb_err err = bytes ? tmb_frame_encode(frame, bytes, cap, &len) : TMB_ENOMEM;
    if (err == TMB_OK && u->link)
        err = tmb_link_send(u->link, u->up_topic, tmb_bytes_of(bytes, len));
    if (err != TMB_OK && err != TMB_ECLOSED)
        LOG(TMB_LOG_ERROR, "frame.not_sent", tmb_num("type", (uint64_t)frame->type), tmb_why(err));
    u->lost_frames += err != TMB_OK;
    u->told.given += err == TMB_OK && u->link;
    u->cutter.messages += frame->type != TMB_FRAME_DICTIONARY; /* which the session does not know */
    free(bytes);
}

/* On the same way as the batch that needs it, before it. */
static void send_dictionary(tmb_uplink *u, const tmb_frame_batch *batch, tmb_lane *lane)
{
    tmb_frame frame = tmb_told_frame(batch, u->loaded);
    uint64_t lost = u->lost_frames;
    send_frame(u, &frame);
    if (u->lost_frames == lost)
        tmb_told_sent(&u->told, lane, &frame.u.dictionary);
    u->lost_frames =
        lost; /* when it was lost, the batch behind it is refused, and both come again */
}

/* The machine's batch is what LOADED has just told of. */
static void send_batch(tmb_uplink *u, const tmb_session_action *action)
{
    tmb_load *load = u->loaded;
    TMB_ASSERT(load && load->ticket == action->ticket);
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    frame.u.batch = load->batch;
    frame.u.batch.session = action->session;
    tmb_lane *lane = &u->lanes[action->stream];
    frame.u.batch.stream = tmb_bytes_str(lane->name);
    frame.u.batch.pool = action->pool;
    frame.u.batch.spent = action->spent;
    frame.u.batch.is_late = tmb_pair_is_late(lane, load->batch.last_seq);
    lane->sent_last =
        lane->sent_last > load->batch.last_seq ? lane->sent_last : load->batch.last_seq;
    if (load->batch.gap_first != 0 && load->batch.gap_reason <= TMB_GAP_MISSING)
        note_gap(u, lane->name, &load->batch);
    else if (load->batch.gap_first != 0 && u->session.version < 2)
        frame.u.batch.gap_reason = TMB_GAP_TORN; /* it knows no other that is no loss */
    if (load->dictionary)
        send_dictionary(u, &frame.u.batch, lane);
    bool is_cut = action->is_cut || tmb_cutter_has(&u->cutter, action->stream);
    if (is_cut && tmb_cutter_add(&u->cutter, action->stream, load, &frame.u.batch) == TMB_OK)
        u->is_load_kept = true;
    else
        send_frame(u, &frame);
    u->batches++;
    u->records += load->batch.last_seq - load->batch.first_seq + 1;
    u->told.batches += load->batch.dictionary != 0;
    u->raw_bytes += load->batch.raw_bytes;
    u->packed_bytes += load->batch.data.len;
    tmb_line_count(&u->line, u->session.options.classes[action->stream], load->batch.data.len);
    if (load->batch.gap_first != 0 && (unsigned)load->batch.gap_reason <= TMB_GAP_MISSING)
        u->gaps[load->batch.gap_reason] += load->batch.first_seq - load->batch.gap_first;
}

static void load_batch(tmb_uplink *u, const tmb_session_action *action)
{
    tmb_load *load = calloc(1, sizeof *load);
    TMB_ASSERT(load); /* a few hundred bytes: without them nothing goes on */
    load->ticket = action->ticket;
    load->seq = action->seq;
    load->incarnation = action->incarnation;
    load->bytes_max = action->bytes_max;
    load->chain = u->session.lanes[action->stream].told;
    load->is_folded = u->session.version >= 2;
    tmb_told_ask(&u->told, &u->session, &u->lanes[action->stream], load);
    tmb_lane_load(&u->lanes[action->stream], load);
}

static const char *stream_name(const tmb_uplink *u, unsigned stream)
{
    return stream < u->lanes_count ? u->lanes[stream].name : "";
}

static void watch_all(tmb_uplink *u)
{
    for (unsigned i = 0; i < u->lanes_count; i++)
        tmb_lane_watch(&u->lanes[i]);
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
            decide_pairs(u);
            watch_all(u);
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

static bool is_same_journal(const tmb_incarnation *a, const tmb_incarnation *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Notes of another journal are worth nothing. What was lost here is lost whoever the parent is; how far it
 * is, the new one's WELCOME says for each stream, and the marks go there, down too. */
static void begin_notes(tmb_uplink *u, const tmb_incarnation *incarnation)
{
    tmb_marks *marks = &u->marks;
    if (marks->streams_count == 0 || !is_same_journal(&marks->incarnation, incarnation)) {
        memset(marks, 0, sizeof *marks);
        (void)snprintf(marks->node, sizeof marks->node, "%s", u->daemon->config->node);
        marks->incarnation = *incarnation;
    }
    if (strcmp(marks->parent, u->session.parent) != 0) {
        for (unsigned i = 0; i < marks->streams_count; i++) {
            marks->streams[i].seq =
                0; /* and the gaps stay, unlike those of a mark that goes back */
            marks->streams[i].has_chain = false;
        }
        (void)snprintf(marks->parent, sizeof marks->parent, "%s", u->session.parent);
    }
    marks->is_parent_top = u->session.is_parent_top;
}

static bool has_notes(const tmb_uplink *u, const char *stream)
{
    for (unsigned i = 0; i < u->marks.streams_count; i++)
        if (strcmp(u->marks.streams[i].stream, stream) == 0)
            return true;
    return false;
}

static void note_mark(tmb_uplink *u, const tmb_session_action *action)
{
    tmb_lane *lane = &u->lanes[action->stream];
    lane->cursor_due = action->seq;
    begin_notes(u, &action->incarnation);
    if (!has_notes(u, lane->name) && action->seq > 0) /* carried up when nobody took notes */
        tmb_marks_add_gap(&u->marks, lane->name, 1, action->seq, TMB_GAP_NONE);
    u->are_marks_news = tmb_marks_move(&u->marks, lane->name, action->seq);
    const tmb_chain *told = &u->session.lanes[lane->index].told;
    tmb_chain chain =
        told->is_known && told->seq == action->seq ? *told : tmb_lane_chain(lane, action->seq);
    if (chain.is_known)
        tmb_marks_set_chain(&u->marks, lane->name, chain.value);
}

static void note_aheads(tmb_uplink *u)
{
    tmb_live live;
    tmb_ahead_copy(u->ahead, &live);
    u->marks.aheads_count = live.ranges_count;
    memcpy(u->marks.aheads, live.ranges, sizeof live.ranges);
}

/* Before it is told: should this process end right behind it, its notes must know. */
static void note_gap(tmb_uplink *u, const char *stream, const tmb_frame_batch *batch)
{
    begin_notes(u, &batch->incarnation);
    note_aheads(u);
    tmb_marks_add_gap(&u->marks, stream, batch->gap_first, batch->first_seq - 1, batch->gap_reason);
    tmb_keeper_save_gap(u->keeper, &u->marks);
}

static void on_proved(void *arg, uint64_t ticket, tmb_proof proof)
{
    tmb_uplink *u = arg;
    tmb_session_event event = {.type = TMB_SESSION_PROVED};
    event.u.proved.ticket = ticket;
    event.u.proved.proof = proof;
    if (!u->is_stopping)
        step(u, &event);
}

static void act(tmb_uplink *u, const tmb_session_action *action)
{
    switch (action->type) {
    case TMB_SESSION_DIAL:
        dial(u, action->epoch);
        return;
    case TMB_SESSION_HANGUP:
        if (action->epoch == u->link_epoch)
            drop_link(u);
        return;
    case TMB_SESSION_SEND:
        if (action->epoch != u->link_epoch)
            return;
        if (action->frame->type == TMB_FRAME_HELLO)
            tmb_cutter_clear(&u->cutter);
        u->cutter.frames++;
        send_frame(u, action->frame);
        return;
    case TMB_SESSION_SEND_BATCH:
        if (action->epoch != u->link_epoch)
            return;
        u->cutter.frames++;
        send_batch(u, action);
        return;
    case TMB_SESSION_DROP_BATCH:
        return; /* freed behind the step */
    case TMB_SESSION_LOAD:
        load_batch(u, action);
        return;
    case TMB_SESSION_PROVE:
        tmb_prove(u->daemon, u->lanes[action->stream].stream, action, on_proved, u);
        return;
    case TMB_SESSION_PERSIST:
        note_mark(u, action);
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

static void step(tmb_uplink *u, tmb_session_event *event)
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
        note_aheads(u);
    if (u->are_marks_news)
        tmb_keeper_tell(u->keeper, &u->marks);
    u->are_marks_news = false;
    u->is_stepping = false;
    if (u->session.back.window.ns > 0 && tmb_chooser_is_preferred(u->chooser))
        tmb_window_tell(&u->window, (uint32_t)(u->session.back.window.ns / 1000000));
    bool are_tails_due = u->are_tails_due && !u->is_stopping;
    u->are_tails_due = false;
    for (unsigned i = 0; i < u->lanes_count && are_tails_due; i++)
        if (u->lanes[i].ahead && u->lanes[i].is_known)
            tell_tail(u, &u->lanes[i]);
    arm_timer(u);
}

/* While an answer is waited for: is what we said still leaving? Every byte counts, for what stands behind it
 * has come nearer. */
static void tell_progress(tmb_uplink *u)
{
    uint64_t bytes = 0, messages = 0;
    if (!u->link || !tmb_session_is_waiting(&u->session))
        return;
    tmb_link_taken(u->link, &bytes, &messages);
    uint64_t said = tmb_link_said(u->link), out = 0, in = 0;
    if (bytes == 0 || (bytes <= u->taken_bytes && said == u->session.pace.said))
        return;
    tmb_link_bytes(u->link, &out, &in);
    u->taken_bytes = bytes;
    messages = tmb_told_ours(&u->told, messages) + u->lost_frames;
    messages = tmb_cutter_taken(&u->cutter, messages);
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = u->link_epoch};
    event.bytes.said = said;
    event.bytes.taken = bytes;
    event.bytes.all = said + in;
    event.u.taken = messages < u->session.sent ? messages : u->session.sent;
    step(u, &event);
}

static void on_progress(uv_timer_t *timer)
{
    tmb_uplink *u = timer->data;
    tell_progress(u);
    cut_more(u);
    arm_timer(u);
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
        tell_progress(u); /* first: what it says may be that it is not late */
    if (u->is_dial_failed) {
        u->is_dial_failed = false;
        event.type = TMB_SESSION_LINK_DOWN;
        event.epoch = u->link_epoch;
    }
    step(u, &event);
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

static void tell_tail(tmb_uplink *u, const tmb_lane *lane)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.stream = lane->index;
    event.u.tail.incarnation = lane->incarnation;
    tmb_pair_range(lane, &u->session, &event.u.tail.first_seq, &event.u.tail.last_seq);
    step(u, &event);
}

/* A WELCOME came: before anything is loaded it is decided what goes ahead. */
static void decide_pairs(tmb_uplink *u)
{
    for (unsigned i = 0; i < u->lanes_count; i++) {
        if (u->lanes[i].is_live)
            tmb_pair_decide(&u->lanes[u->lanes[i].own], &u->lanes[i], &u->session);
        u->are_tails_due = u->are_tails_due || u->lanes[i].is_live;
    }
}

static void on_looked(tmb_lane *lane)
{
    tmb_uplink *u = lane->arg;
    if (lane->look.err == TMB_OK)
        tell_tail(u, lane);
    if (u->is_stopping)
        return;
    if (lane->has_news)
        tmb_lane_look(lane, 0);
    else if (u->session.state == TMB_SESSION_STREAMING)
        tmb_lane_watch_later(lane);
}

static void on_loaded(tmb_lane *lane, tmb_load *load)
{
    tmb_uplink *u = lane->arg;
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    if (load->err == TMB_OK) {
        event.u.loaded.ticket = load->ticket;
        event.u.loaded.first_seq = load->batch.first_seq;
        event.u.loaded.last_seq = load->batch.last_seq;
        event.u.loaded.gap_first = load->batch.gap_first;
        event.u.loaded.gap_reason = load->batch.gap_reason;
        event.u.loaded.bytes = (uint32_t)load->batch.data.len;
        event.u.loaded.raw_bytes = load->batch.raw_bytes;
    } else {
        event.type = TMB_SESSION_LOAD_FAILED;
        event.u.ticket = load->ticket;
        if (load->err != lane->load_err)
            LOG(TMB_LOG_ERROR, "journal.load_failed", tmb_str("stream", lane->name),
                tmb_num("seq", load->seq), tmb_why(load->err));
    }
    lane->load_err = load->err;
    u->loaded = load;
    step(u, &event);
    u->loaded = NULL;
    if (!u->is_load_kept)
        tmb_load_free(load);
    u->is_load_kept = false;
    cut_more(u);
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
    step(u, &event);
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
    step(u, &event);
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
            tmb_dur_ms(DIAL_TIMEOUT_MS + 1000), /* the link's own comes first, with words */
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

static tmb_err add_lane(tmb_uplink *u, unsigned stream, bool is_live)
{
    const tmb_stream_policy *policy = &u->daemon->config->policy.streams[stream];
    TMB_ASSERT(u->lanes_count < TMB_STREAMS_MAX); /* the configuration counted them */
    tmb_lane *lane = &u->lanes[u->lanes_count];
    lane->daemon = u->daemon;
    lane->stream = policy->name;
    (void)snprintf(lane->name, sizeof lane->name, "%s%s", policy->name,
                   is_live ? TMB_LIVE_SUFFIX : "");
    lane->is_live = is_live;
    lane->ahead = policy->live_first ? u->ahead : NULL;
    lane->own = stream;
    lane->index = u->lanes_count++;
    lane->arg = u;
    lane->looked = on_looked;
    lane->loaded = on_loaded;
    lane->linger_ms = (uint64_t)tmb_policy_linger_ms(policy);
    return tmb_lane_open(lane);
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
        err = add_lane(u, i, false);
    for (unsigned i = 0; i < d->config->policy.streams_count && err == TMB_OK; i++)
        if (d->config->policy.streams[i].live_first)
            err = add_lane(u, i, true);
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
    step(u, &event);
    return TMB_OK;
}

void tmb_uplink_stop(tmb_uplink *u)
{
    if (!u || u->is_stopping)
        return;
    tmb_session_event event = {.type = TMB_SESSION_CLOSE};
    step(u, &event);
    u->is_stopping = true;
    drop_link(u);
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
    tmb_keeper_free(u->keeper);
    tmb_chooser_free(u->chooser);
    tmb_ahead_free(u->ahead);
    free(u);
}
