// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_child.h - state over the session with a child, through our own broker.
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_CHILD_H
#define TMB_SYNCD_DAEMON_STATE_CHILD_H

#include "syncd/daemon/child.h"

/* tmb_state_child_look: after each step of the intake. */
void tmb_state_child_look(tmb_child *child);

/* tmb_state_child_frame: true when the frame was about state; arena is taken then. */
bool tmb_state_child_frame(tmb_child *child, const tmb_frame *frame, void *arena);

#endif
