// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/asks.h - questions to our parent: how far has it, or whoever is above it, these streams of
 * this node?
 *
 *   ask --ASK, in the uplink's session--> parent --TOLD--> done
 *                                           '-- nothing within wait_ms, or the end of the daemon: done, NULL
 *
 * Without a session of version 2 with the parent nobody is asked. An answer that comes late is nobody's.
 * Threads: the loop's. Cost: a walk over the questions that wait.
 */
#ifndef TMB_SYNCD_DAEMON_ASKS_H
#define TMB_SYNCD_DAEMON_ASKS_H

#include <jansson.h>

#include "proto/frame.h"
#include "syncd/daemon/daemon.h"

#define TMB_ASKS_MAX 256 /* that wait; one more is not asked, and counted */

typedef struct tmb_asks tmb_asks;

/* told: NULL when there is no answer; borrowed for the call. */
typedef void tmb_asks_done(void *arg, const tmb_frame_told *told);

/* gives ret. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_asks_new(tmb_daemon *d, tmb_asks **ret);
void tmb_asks_stop(
    tmb_asks *asks); /* whoever waits hears of it, by NULL; nobody can ask any more */
void tmb_asks_free(tmb_asks *asks); /* the loop has ended */

/* tmb_asks_send asks about the streams of ask (its id and session do not count), and calls done once, not
 * from inside this call. false: nobody can be asked, and done is not called. */
bool tmb_asks_send(tmb_asks *asks, const tmb_frame_ask *ask, uint64_t wait_ms, tmb_asks_done *done,
                   void *arg);

void tmb_asks_told(tmb_asks *asks, const tmb_frame_told *told);

void tmb_asks_stats(const tmb_asks *asks, json_t *object);

#endif
