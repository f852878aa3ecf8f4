// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state.h - the service of state that merges: operations, values, and exchange with neighbours.
 *
 *   stream `state` --state_ops.c--> scopes in the store <--state_peer.c--> parent, children
 *                                        |
 *                                  state_values.c --state_link.c--> retained values on our own broker
 *
 * One machine of syncd/state/sync.h for each neighbour and scope; everything that reads or writes the store
 * is a job (state_job.h).
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_H
#define TMB_SYNCD_DAEMON_STATE_H

#include <jansson.h>

#include "proto/frame.h"
#include "syncd/daemon/daemon.h"

typedef struct tmb_state tmb_state;
typedef struct tmb_state_peer tmb_state_peer;

/* gives ret_state; NULL when the configuration has no scopes. Errors: TMB_ENOMEM, TMB_EBUSY, TMB_EIO,
 * TMB_ENOSPC (the store; told). */
TMB_MUST_USE tmb_err tmb_state_start(tmb_daemon *d, tmb_state **ret_state);

/* tmb_state_stop lets go of the loop, when no peer is left; tmb_state_free when the loop has ended. */
void tmb_state_stop(tmb_state *state);
void tmb_state_free(tmb_state *state);

/* tmb_state_tick: once a second. */
void tmb_state_tick(tmb_state *state);

/* tmb_state_stats adds its keys to object. */
void tmb_state_stats(const tmb_state *state, json_t *object);

#endif
