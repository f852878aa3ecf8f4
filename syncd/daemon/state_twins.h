// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_twins.h - the deltas of device twins among the values, and when they change by
 * themselves.
 *
 *   path of a twin is dirty --say--> twin/<device>/delta, and who is online is remembered
 *                                                             |
 *   each second: silent for too long; the site's link came or went ----> its path becomes dirty again
 *
 * What is in a delta is syncd/bus/twin.h's. A device can be reached where the scope is this node's own,
 * or while there is a session with the node that it is called after; with none of that name: with any
 * that holds it. After a start all twins that say whether they are online are said again: time has passed.
 *
 * Threads: say is for jobs, all else the loop's; a mutex is between them.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_TWINS_H
#define TMB_SYNCD_DAEMON_STATE_TWINS_H

#include "syncd/daemon/state_inside.h"
#include "syncd/daemon/state_value.h"

/* Twins that say whether they are online. One more: it shows as it was when something else of it changed
 * last; counted in the statistics. */
#define TMB_STATE_TWINS_MAX 65536u

typedef struct tmb_state_twins tmb_state_twins;

/* watched_max: TMB_STATE_TWINS_MAX, or less. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_twins_new(tmb_state *state, unsigned watched_max,
                                         tmb_state_twins **ret_twins);
void tmb_state_twins_free(tmb_state_twins *twins);

/* tmb_state_twins_expect comes before a job that says values of the scope: whether its site can be reached
 * is looked at now, so that the first report of a device does not show as offline until the next tick. The
 * loop's. */
void tmb_state_twins_expect(tmb_state_twins *twins, const char *scope);

/* tmb_state_twins_say is blocking: adds the delta of the twin that path is of, once to a list; for
 * another path nothing. It is not due any more then, unless the list is a draft. Errors: of the kv;
 * TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_twins_say(tmb_state_twins *twins, tmb_scope *scope, tmb_bytes path,
                                         unsigned item, tmb_said_list *list);

/* Once a second. */
void tmb_state_twins_tick(tmb_state_twins *twins);

void tmb_state_twins_stats(tmb_state_twins *twins, json_t *object);

#endif
