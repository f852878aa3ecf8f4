// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/uplink_inside.h - what the uplink is made of. Private to uplink.c, uplink_stats.c, dial.c,
 * feed.c, notes.c and outbox.c.
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_UPLINK_INSIDE_H
#define TMB_SYNCD_DAEMON_UPLINK_INSIDE_H

#include "proto/topics.h"
#include "syncd/daemon/ahead.h"
#include "syncd/daemon/chooser.h"
#include "syncd/daemon/cutter.h"
#include "syncd/daemon/fence.h"
#include "syncd/daemon/keeper.h"
#include "syncd/daemon/lane.h"
#include "syncd/daemon/line.h"
#include "syncd/daemon/told.h"
#include "syncd/daemon/uplink.h"
#include "syncd/daemon/window.h"
#include "syncd/link/link.h"
#include "syncd/session/session.h"

#define TMB_DIAL_TIMEOUT_MS 10000 /* for TCP, TLS and CONNECT together */

struct tmb_uplink {
    tmb_daemon *daemon;
    tmb_session session;
    tmb_lane lanes[TMB_STREAMS_MAX];
    unsigned lanes_count;
    tmb_line line;
    tmb_cutter cutter;
    tmb_mono cut_at;   /* when the last piece went */
    bool is_load_kept; /* by the cutter */
    tmb_link *link;
    uint64_t link_epoch;
    tmb_keeper *keeper;
    tmb_chooser *chooser;
    tmb_ahead *ahead;   /* of live_first streams */
    bool are_tails_due; /* of live_first streams, behind this step */
    tmb_fence fence;
    tmb_window window;
    tmb_marks marks;     /* what the parent has, and what it only heard of */
    bool are_marks_news; /* a step has moved one */
    bool is_dial_failed; /* to be told at the next turn */
    bool is_stopping, is_stepping;
    bool is_state_missed; /* a parent too old for state: said, until one is not */
    uv_timer_t timer, progress;
    uint64_t taken_bytes; /* by the peer's host, as told to the session; of this link */
    uint64_t lost_frames; /* of this link: the session sent them, the link did not take them */
    tmb_told told;
    /* These three, and is_state_missed: state_uplink.c. NULL: no session of state yet. */
    struct tmb_state_peer *state_peer;
    tmb_mono state_at; /* when the last frame of state went */
    char state_parent[TMB_NAME_BYTES_MAX + 1];
    tmb_load *loaded; /* the batch that LOADED is about, during its step */
    unsigned ticks;
    char up_topic[sizeof TMB_TOPIC_UP + TMB_NAME_BYTES_MAX];
    char down_topic[sizeof TMB_TOPIC_DOWN + TMB_NAME_BYTES_MAX];
    char client_id[16 + TMB_NAME_BYTES_MAX];
    char last_why[256]; /* of the last `down`, so that a line is logged once a change */
    uint64_t dials, batches, records, raw_bytes, packed_bytes, resends, timeouts, refusals;
    uint64_t bytes_out, bytes_in; /* of links that are gone */
    uint64_t gaps[TMB_GAP_MISSING + 1];
};

/* tmb_uplink_first_waiting gives the number whose record is the oldest that waits; 0: none. */
uint64_t tmb_uplink_first_waiting(const tmb_uplink *u, const tmb_lane *lane);

/* tmb_uplink_step tells the session what happened (`now` is filled in) and does what it orders. Never from
 * inside doing an action. */
void tmb_uplink_step(tmb_uplink *u, tmb_session_event *event);

/* tmb_uplink_look_soon: there is something to go that waits for room. */
void tmb_uplink_look_soon(tmb_uplink *u);

/* dial.c: dial takes the place of a link that is there; one that cannot begin sets is_dial_failed. hang_up
 * may find none. tell_progress tells what the peer has taken, if it is news and an answer is waited for. */
void tmb_uplink_dial(tmb_uplink *u, uint64_t epoch);
void tmb_uplink_hang_up(tmb_uplink *u);
void tmb_uplink_tell_progress(tmb_uplink *u);

/* outbox.c: a frame that cannot be sent is counted and logged. send_batch is for what LOADED has just told
 * of; send_pieces goes on with what is too large for one frame, when the session has left room (if it never
 * does, all the same once in a while); note_pieces reads from a frame where to go on. */
void tmb_uplink_send(tmb_uplink *u, const tmb_frame *frame);
void tmb_uplink_send_batch(tmb_uplink *u, const tmb_session_action *action);
void tmb_uplink_send_pieces(tmb_uplink *u);
void tmb_uplink_note_pieces(tmb_uplink *u, const tmb_frame *frame);

/* notes.c: note_gap is for a gap about to be told, and blocks until it is on disk; what the others write
 * waits in u->marks for the end of the step. */
void tmb_uplink_note_mark(tmb_uplink *u, const tmb_session_action *action);
void tmb_uplink_note_aheads(tmb_uplink *u);
void tmb_uplink_note_gap(tmb_uplink *u, const char *stream, const tmb_frame_batch *batch);

/* feed.c: decide_pairs is for a WELCOME, before anything is loaded: it decides what goes ahead. */
TMB_MUST_USE tmb_err tmb_uplink_add_lane(tmb_uplink *u, unsigned stream, bool is_live);
void tmb_uplink_load(tmb_uplink *u, const tmb_session_action *action);
void tmb_uplink_tell_tail(tmb_uplink *u, const tmb_lane *lane);
void tmb_uplink_tell_backlog(tmb_uplink *u, tmb_lane *lane);
void tmb_uplink_decide_pairs(tmb_uplink *u);
void tmb_uplink_watch(tmb_uplink *u);

#endif
