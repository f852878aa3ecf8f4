// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_sweep.h - after our broker has lost retained values: all are published again, and what
 * it still retains of paths that are gone is cleared.
 *
 *   begin --a job a scope: all paths dirty--> list (the broker's topics) --a job: which are gone--> clear
 *
 * It is due until it was through once, also over restarts (state_rows.h).
 * Threads: the loop's. Memory: the topics that the broker retains, while it lasts.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_SWEEP_H
#define TMB_SYNCD_DAEMON_STATE_SWEEP_H

#include "syncd/daemon/state_inside.h"

typedef struct tmb_state_sweep tmb_state_sweep;

/* gives ret_sweep. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_sweep_new(tmb_state *state, tmb_state_values *values,
                                         tmb_state_sweep **ret_sweep);
void tmb_state_sweep_free(tmb_state_sweep *sweep);

/* tmb_state_sweep_begin begins one, from its first step; stop: the broker is gone, another is due.
 * tick: once a second while the broker is there; one that came to nothing, as when the store fails, is begun
 * again, after longer and longer. */
void tmb_state_sweep_begin(tmb_state_sweep *sweep);
void tmb_state_sweep_stop(tmb_state_sweep *sweep);
void tmb_state_sweep_tick(tmb_state_sweep *sweep);
bool tmb_state_sweep_is_due(const tmb_state_sweep *sweep);

/* tmb_state_sweep_hear: a topic that the broker retains; NULL: that was all. */
void tmb_state_sweep_hear(tmb_state_sweep *sweep, const char *topic);

/* Topics that were cleared since start. */
uint64_t tmb_state_sweep_cleared(const tmb_state_sweep *sweep);

#endif
