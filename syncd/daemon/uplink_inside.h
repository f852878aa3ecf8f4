// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/uplink_inside.h - what the uplink is made of, for uplink.c and uplink_stats.c alone.
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
    uv_timer_t timer, progress;
    uint64_t taken_bytes; /* by the peer's host, as told to the session; of this link */
    uint64_t lost_frames; /* of this link: the session sent them, the link did not take them */
    tmb_told told;
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

#endif
