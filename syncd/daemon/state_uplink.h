// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_uplink.h - state over the session with the parent: whose turn it is on the line.
 *
 * A chunk goes when the session has left room, as a piece of a batch does: behind control and alarm batches
 * that wait, and once in a while even if the room is never left.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_UPLINK_H
#define TMB_SYNCD_DAEMON_STATE_UPLINK_H

#include "syncd/daemon/uplink_inside.h"

/* tmb_state_uplink_look: after each step of the session. */
void tmb_state_uplink_look(tmb_uplink *u);

/* tmb_state_uplink_pump: when there may be room. */
void tmb_state_uplink_pump(tmb_uplink *u);

/* tmb_state_uplink_frame: true when the frame was about state; arena is taken then. */
bool tmb_state_uplink_frame(tmb_uplink *u, const tmb_frame *frame, void *arena);

#endif
