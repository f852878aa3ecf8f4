// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/feed.c - the uplink's lanes: from a look or a load at the log to the session's events.
 *
 *   look --> TAIL: what the log holds now     LOAD --> lane --> LOADED, or LOAD_FAILED
 */
#include "syncd/daemon/uplink_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "syncd/daemon/log.h"
#include "syncd/daemon/pair.h"

void tmb_uplink_load(tmb_uplink *u, const tmb_session_action *action)
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
    if (tmb_cutter_has(&u->cutter, action->stream))
        load->dictionary_bytes =
            0; /* a new one would overtake the pieces that need the one before */
    tmb_lane_load(&u->lanes[action->stream], load);
}

void tmb_uplink_watch(tmb_uplink *u)
{
    for (unsigned i = 0; i < u->lanes_count; i++)
        tmb_lane_watch(&u->lanes[i]);
}

void tmb_uplink_tell_tail(tmb_uplink *u, const tmb_lane *lane)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.stream = lane->index;
    event.u.tail.incarnation = lane->incarnation;
    tmb_pair_range(lane, &u->session, &event.u.tail.first_seq, &event.u.tail.last_seq);
    tmb_uplink_step(u, &event);
}

/* Once a link: where more comes than a WELCOME takes, another HELLO would not be the last. */
void tmb_uplink_tell_backlog(tmb_uplink *u, tmb_lane *lane)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.stream = lane->index;
    event.u.tail.incarnation = lane->incarnation;
    tmb_pair_range(lane, &u->session, &event.u.tail.first_seq, &event.u.tail.last_seq);
    event.u.tail.is_backlog = true;
    if (lane->retold_epoch == u->link_epoch ||
        !tmb_pair_is_untold(lane, &u->session, event.u.tail.last_seq))
        return;
    lane->retold_epoch = u->link_epoch;
    tmb_uplink_step(u, &event);
}

/* A WELCOME came: before anything is loaded it is decided what goes ahead. */
void tmb_uplink_decide_pairs(tmb_uplink *u)
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
        tmb_uplink_tell_tail(u, lane);
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
    tmb_uplink_step(u, &event);
    u->loaded = NULL;
    if (!u->is_load_kept)
        tmb_load_free(load);
    u->is_load_kept = false;
    tmb_uplink_send_pieces(u);
}

tmb_err tmb_uplink_add_lane(tmb_uplink *u, unsigned stream, bool is_live)
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
