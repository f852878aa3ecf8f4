// SPDX-License-Identifier: Apache-2.0
/* syncd/session/session_inside.h - what the parts of the machine ask of each other. Private to session.c,
 * answer.c and flow.c.
 *
 * Threads: none. Cost: constant a call, or O(lanes).
 */
#ifndef TMB_SYNCD_SESSION_SESSION_INSIDE_H
#define TMB_SYNCD_SESSION_SESSION_INSIDE_H

#include "syncd/session/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_session_push adds an action, all zero but for its type; there is room. */
tmb_session_action *tmb_session_push(tmb_session_actions *actions, tmb_session_action_type type);

/* tmb_session_tell adds a REPORT. */
void tmb_session_tell(tmb_session_actions *actions, tmb_session_report what, unsigned stream,
                      uint64_t number);

/* tmb_session_become enters a state that may come next (session.c's table), until deadline. */
void tmb_session_become(tmb_session *s, tmb_session_state state, tmb_mono deadline,
                        tmb_session_actions *actions);

/* tmb_session_greet says HELLO under a new number; tmb_session_greet_again does it once, and gives up the
 * link the second time. */
void tmb_session_greet(tmb_session *s, tmb_session_actions *actions);
void tmb_session_greet_again(tmb_session *s, tmb_session_actions *actions);

/* tmb_session_say_bye only says it; what comes of it is the caller's. */
void tmb_session_say_bye(tmb_session *s, tmb_bye_reason reason, tmb_session_actions *actions);

/* tmb_session_give_up hangs up and backs off; tmb_session_refuse too, for a frame that breaks the protocol;
 * tmb_session_fence hangs up for good. */
void tmb_session_give_up(tmb_session *s, tmb_session_actions *actions);
void tmb_session_refuse(tmb_session *s, tmb_session_actions *actions);
void tmb_session_fence(tmb_session *s, tmb_session_actions *actions);

/* tmb_session_hear does what a frame of this link says (answer.c). */
void tmb_session_hear(tmb_session *s, const tmb_frame *frame, tmb_session_actions *actions);

/* LOADED, LOAD_FAILED and PROGRESS, and what every step ends in (flow.c). */
void tmb_session_take_load(tmb_session *s, const tmb_session_event *event,
                           tmb_session_actions *actions);
void tmb_session_fail_load(tmb_session *s, uint64_t ticket);
void tmb_session_note_progress(tmb_session *s, const tmb_session_event *event);
void tmb_session_pump(tmb_session *s, tmb_session_actions *actions);

/* tmb_session_count_room: how many more batches may be loaded now: those in flight and those being loaded
 * count, wanted or not. */
unsigned tmb_session_count_room(const tmb_session *s);

#ifdef __cplusplus
}
#endif
#endif
