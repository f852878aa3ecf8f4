// SPDX-License-Identifier: Apache-2.0
/* syncd/session/lane.h - what the machine asks of one lane (one stream of the session). Private to this room.
 *
 * Threads: none. Cost: constant a call, or a walk over the few batches in flight.
 */
#ifndef TMB_SYNCD_SESSION_LANE_H
#define TMB_SYNCD_SESSION_LANE_H

#include "syncd/session/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_session_lane_tail takes what the log holds now. A log that is not the one the HELLO told of makes the
 * lane ungreeted. */
void tmb_session_lane_tail(tmb_session_lane *lane, tmb_incarnation incarnation, uint64_t first_seq,
                           uint64_t last_seq);

/* tmb_session_lane_rewind forgets what is in flight and under way: a new session begins. */
void tmb_session_lane_rewind(tmb_session_lane *lane);

/* tmb_session_lane_resume goes on right after the mark that WELCOME told. */
void tmb_session_lane_resume(tmb_session_lane *lane, uint64_t mark);

/* tmb_session_lane_ack takes a cumulative mark, not above lane->last_seq. */
void tmb_session_lane_ack(tmb_session_lane *lane, uint64_t mark, tmb_mono now, tmb_dur ack_timeout);

/* tmb_session_lane_resend goes back to the mark, and waits. */
void tmb_session_lane_resend(tmb_session_lane *lane, tmb_mono not_before);

/* tmb_session_lane_sent notes a batch as in flight; place: its number among the frames of this link, from
 * 1. */
void tmb_session_lane_sent(tmb_session_lane *lane, uint64_t last_seq, uint64_t place,
                           tmb_mono ack_deadline);

/* tmb_session_lane_is_leaving: of taken frames of this link, the oldest batch in flight is none. */
bool tmb_session_lane_is_leaving(const tmb_session_lane *lane, uint64_t taken);

/* tmb_session_lane_wants_load: something can be read and nothing is being read; time apart (not_before). */
bool tmb_session_lane_wants_load(const tmb_session_lane *lane);

/* tmb_session_lane_check asserts what must hold after every step. */
void tmb_session_lane_check(const tmb_session_lane *lane, bool is_streaming);

/* tmb_session_find_load gives the lane that asked for ticket, options.streams_count when none did. */
unsigned tmb_session_find_load(const tmb_session *s, uint64_t ticket);

/* tmb_session_is_event_valid: what step may take (event.c). */
bool tmb_session_is_event_valid(const tmb_session *s, const tmb_session_event *event);

#ifdef __cplusplus
}
#endif
#endif
