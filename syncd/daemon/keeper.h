// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/keeper.h - keeps <data_dir>/uplink.marks (journal/marks.h) at what the parent said last.
 *
 * At once when the last write is TMB_KEEPER_PAUSE_MS ago, else as soon as it is; one write at a time, in the
 * pool. A write that fails is counted, logged once, and tried again after TMB_KEEPER_RETRY_MS: until then the
 * file is old, so it says too little. Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_KEEPER_H
#define TMB_SYNCD_DAEMON_KEEPER_H

#include <jansson.h>

#include "journal/marks.h"
#include "syncd/daemon/daemon.h"

#define TMB_KEEPER_PAUSE_MS 50
#define TMB_KEEPER_RETRY_MS 1000

typedef struct tmb_keeper tmb_keeper;

/* Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_keeper_new(tmb_daemon *d, tmb_keeper **ret_keeper);

/* tmb_keeper_tell: the file shall say this; NULL: there shall be none. */
void tmb_keeper_tell(tmb_keeper *keeper, const tmb_marks *marks);

/* tmb_keeper_save_gap is for a gap about to be told to the parent: what marks says is on the disk when it
 * comes back, or there is no file any more, so nobody will take the missing records for carried up after a
 * crash. Blocking, in the loop: gaps are rare, and nothing may be said before. */
void tmb_keeper_save_gap(tmb_keeper *keeper, const tmb_marks *marks);

/* tmb_keeper_stop lets go of the loop; tmb_keeper_free, when the loop has ended, writes what is still to be
 * written. NULL is fine for both. */
void tmb_keeper_stop(tmb_keeper *keeper);
void tmb_keeper_free(tmb_keeper *keeper);

/* tmb_keeper_stats adds its keys to object. */
void tmb_keeper_stats(const tmb_keeper *keeper, json_t *object);

#endif
