// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/uplink.h - the shell of the child's session machine: journal -> link to the parent.
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_UPLINK_H
#define TMB_SYNCD_DAEMON_UPLINK_H

#include <jansson.h>

#include "proto/frame.h"
#include "syncd/daemon/daemon.h"

typedef struct tmb_uplink tmb_uplink;

/* gives ret_uplink; it begins to dial. Errors: TMB_ENOMEM, TMB_EINVAL. */
TMB_MUST_USE tmb_err tmb_uplink_start(tmb_daemon *d, tmb_uplink **ret_uplink);

/* tmb_uplink_stop says BYE and lets go of the loop; tmb_uplink_free when the loop has ended. */
void tmb_uplink_stop(tmb_uplink *uplink);
void tmb_uplink_free(tmb_uplink *uplink);

/* tmb_uplink_ask sends an ASK in the session with the parent; false: there is none of version 2, as
 * tmb_uplink_can_ask says too (NULL: no parent), or a step is under way. */
bool tmb_uplink_can_ask(const tmb_uplink *uplink);
bool tmb_uplink_ask(tmb_uplink *uplink, const tmb_frame *ask);

/* tmb_uplink_tick: once a second. */
void tmb_uplink_tick(tmb_uplink *uplink);

/* tmb_uplink_stats adds its keys to object. */
void tmb_uplink_stats(const tmb_uplink *uplink, json_t *object);

#endif
