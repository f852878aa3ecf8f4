// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/stats.h - what can be seen from outside: <data_dir>/syncd.json, and the same retained on
 * $tombolo/v1/stats/syncd of our own broker when we are connected to it. Once a second, if it changed.
 *
 * The file is written aside and renamed, so a reader never sees half of it. Its keys:
 * tombolo-syncd(8).
 * Threads: the loop's; the file is written in the pool.
 */
#ifndef TMB_SYNCD_DAEMON_STATS_H
#define TMB_SYNCD_DAEMON_STATS_H

#include "syncd/daemon/daemon.h"

typedef struct tmb_stats tmb_stats;

/* gives ret_stats. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_stats_new(tmb_daemon *d, tmb_stats **ret_stats);
void tmb_stats_free(tmb_stats *stats); /* the loop has ended */

void tmb_stats_tick(tmb_stats *stats);

/* tmb_stats_write writes the file now; blocking: for the end, when no tick comes any more. */
void tmb_stats_write(tmb_stats *stats);

#endif
