// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/hub.h - the shell of the parent's machines: children's frames -> commits to our own plugin.
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_HUB_H
#define TMB_SYNCD_DAEMON_HUB_H

#include <jansson.h>

#include "syncd/daemon/daemon.h"

typedef struct tmb_hub tmb_hub;

/* gives ret_hub; it begins to connect to this node's own broker. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_hub_start(tmb_daemon *d, tmb_hub **ret_hub);

/* tmb_hub_stop says BYE to the children and lets go of the loop; tmb_hub_free when the loop has ended. */
void tmb_hub_stop(tmb_hub *hub);
void tmb_hub_free(tmb_hub *hub);

/* tmb_hub_stats adds its keys to object; tmb_hub_publish_stats puts text on $tombolo/v1/stats/syncd,
 * retained, if our broker is there. */
void tmb_hub_stats(const tmb_hub *hub, json_t *object);
void tmb_hub_publish_stats(tmb_hub *hub, const char *text);

#endif
