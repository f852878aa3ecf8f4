// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_members.h - what an operator asks about the neighbours of scopes: who they are, and that
 * one is retired.
 *
 *   tombolo-state --$tombolo/v1/state/ask--> look (a job a scope) --neighbours--> told
 *                                                   '--retire: nobody there--> retire (a job) --> told
 *
 * The plugin lets nobody publish or hear there but who has this node's own certificate (docs/protocol.md,
 * "Asking a node about neighbours"). Asks are answered one after the other.
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_MEMBERS_H
#define TMB_SYNCD_DAEMON_STATE_MEMBERS_H

#include "syncd/daemon/state_inside.h"

/* Asks that wait. One more: it is answered "busy". */
#define TMB_STATE_ASKS_MAX 16u
/* Removals held back that are counted for one answer, all neighbours of a scope together. Beyond: "more" is
 * said. */
#define TMB_STATE_HELD_TOLD_MAX 50000u

/* How long a neighbour with an open session has to say that it is there, before it is taken to be gone: a
 * child that loses its power says no word, and its session stays open here. Ticks of a second. */
#define TMB_STATE_ALIVE_TICKS 5u

typedef struct tmb_state_members tmb_state_members;

/* gives ret_members. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_members_new(tmb_state *state, tmb_state_members **ret_members);
void tmb_state_members_free(tmb_state_members *members); /* the loop has ended */

/* tmb_state_members_tick: once a second. */
void tmb_state_members_tick(tmb_state_members *members);

/* tmb_state_members_ask: an ask has come. What has no id to answer to is dropped. */
void tmb_state_members_ask(tmb_state_members *members, tmb_bytes payload);

#endif
