// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_link.h - the connection to our own broker over which values of state are published.
 *
 *   connecting --up: probe--> asking --probe back--> up(mark) ... down --> connecting
 *
 * It is there whether or not there are children. The mark is what was last published as such and is still
 * retained: the probe comes back behind it, so that its absence is known too.
 *
 * Threads: the loop's; callbacks come from the loop, never from inside a call.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_LINK_H
#define TMB_SYNCD_DAEMON_STATE_LINK_H

#include "syncd/daemon/daemon.h"
#include "syncd/link/link.h"

#define TMB_STATE_MARK_BYTES_MAX 64u

typedef struct tmb_state_link tmb_state_link;

typedef struct tmb_state_link_options {
    tmb_daemon *daemon;
    void *arg;
    void (*up)(void *arg, const char *mark); /* "": none is retained */
    void (*down)(void *arg);                 /* what was not acknowledged may be there or not */
    void (*acked)(void *arg, int id, unsigned reason_code);
    /* What is retained below our root, while tmb_state_link_list runs; topic NULL: that was all. */
    void (*listed)(void *arg, const char *topic);
    void (*asked)(void *arg,
                  tmb_bytes ask); /* somebody with our own certificate (state_members.h) */
} tmb_state_link_options;

/* gives ret_link; it begins to connect. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_link_new(const tmb_state_link_options *options,
                                        tmb_state_link **ret_link);
void tmb_state_link_stop(tmb_state_link *link);
void tmb_state_link_free(tmb_state_link *link); /* the loop has ended */

bool tmb_state_link_is_up(const tmb_state_link *link);

/* tmb_state_link_publish: as tmb_link_publish_message; acked comes with *ret_id. */
TMB_MUST_USE tmb_err tmb_state_link_publish(tmb_state_link *link, const tmb_link_message *message,
                                            int *ret_id);

/* tmb_state_link_list asks for all that is retained below our root; listed is called for each. A connection
 * that is lost meanwhile begins anew. */
void tmb_state_link_list(tmb_state_link *link);

/* Why there is none; "" when it is up. */
const char *tmb_state_link_why(const tmb_state_link *link);

#endif
