// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/intake_inside.h - what the parts of the machine ask of each other. Private to intake.c, hello.c
 * and event.c.
 *
 * Threads: none. Cost: constant a call, or O(lanes).
 */
#ifndef TMB_SYNCD_HUB_INTAKE_INSIDE_H
#define TMB_SYNCD_HUB_INTAKE_INSIDE_H

#include "syncd/hub/intake.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_intake_push adds an action, all zero but for its type; there is room. */
tmb_intake_action *tmb_intake_push(tmb_intake_actions *actions, tmb_intake_action_type type);

/* tmb_intake_tell adds a REPORT. */
void tmb_intake_tell(tmb_intake_actions *actions, tmb_intake_report what, unsigned lane,
                     uint64_t number);

/* tmb_intake_become enters a state that may come next (intake.c's table). */
void tmb_intake_become(tmb_intake *intake, tmb_intake_state state);

/* tmb_intake_say sends the one frame of this step; the caller fills it. */
tmb_frame *tmb_intake_say(tmb_intake *intake, tmb_frame_type type, tmb_intake_actions *actions);
void tmb_intake_say_bye(tmb_intake *intake, uint64_t session, tmb_bye_reason reason,
                        tmb_intake_actions *actions);

/* tmb_intake_tell_pieces puts into mark what is here of the batch behind it, if the child knows pieces. */
void tmb_intake_tell_pieces(const tmb_intake *intake, tmb_mark *mark);

/* tmb_intake_count_received brings `received` up to the mark and the queue. */
void tmb_intake_count_received(tmb_intake_lane *lane);

/* tmb_intake_drop_waiting drops what waits behind the batch that is being stored. */
void tmb_intake_drop_waiting(tmb_intake_lane *lane, tmb_intake_actions *actions);

/* tmb_intake_set_chain: at the lane's mark; one of another number, and NULL, is of no use. */
void tmb_intake_set_chain(tmb_intake_lane *lane, const tmb_chain *chain);

/* HELLO, MARKS, and TIMEOUT: a child that has waited for the box before it has its turn (hello.c). */
void tmb_intake_hello(tmb_intake *intake, const tmb_frame_hello *hello,
                      tmb_intake_actions *actions);
void tmb_intake_welcome(tmb_intake *intake, const tmb_intake_event *event,
                        tmb_intake_actions *actions);
void tmb_intake_turn(tmb_intake *intake, tmb_intake_actions *actions);

/* tmb_intake_look_for_marks is for a HELLO that holds, as soon as nothing of another box is being stored. */
void tmb_intake_look_for_marks(tmb_intake *intake, tmb_intake_actions *actions);

/* tmb_intake_find_storing gives the lane whose batch `ticket` is with the shell; lanes_count for one of a
 * lane that is gone. */
unsigned tmb_intake_find_storing(const tmb_intake *intake, uint64_t ticket);

/* tmb_intake_is_event_valid: what step may take (event.c). */
bool tmb_intake_is_event_valid(const tmb_intake *intake, const tmb_intake_event *event);

#ifdef __cplusplus
}
#endif
#endif
