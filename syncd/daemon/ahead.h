// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/ahead.h - live_first: two lanes over one stream, and which numbers are of which.
 *
 *   log      1 ........ 5000 | 5001 ....... 6024 ...
 *   lane     meters          | meters.live (open)        after an outage, decided at the WELCOME
 *
 * The live lane jumps when more than TMB_AHEAD_JUMP_RECORDS wait in the lane that carries what is new;
 * before, all stays in one lane and in order. Then it carries what is new until the next jump; the stream's
 * own lane carries what was passed over. Both go up only: a batch that passes numbers of the other lane
 * says so, by a gap with the reason LATER or AHEAD, which is no loss.
 *
 * A jump is on the disk before it is made, and the open range is always written ahead of what is loaded from
 * it; so after a kill both lanes find their numbers again. If it cannot be written there is no jump, and the
 * live lane waits: its records are in the log.
 * Threads: any; it has a lock. Blocking where a function says so.
 */
#ifndef TMB_SYNCD_DAEMON_AHEAD_H
#define TMB_SYNCD_DAEMON_AHEAD_H

#include <jansson.h>

#include "journal/live.h"
#include "syncd/daemon/daemon.h"
#include "syncd/daemon/loader.h"

/* Records that must wait for the live lane to jump. Fewer stay in order. */
#define TMB_AHEAD_JUMP_RECORDS 256

typedef struct tmb_ahead tmb_ahead;

/* Reads the file; a damaged one is said, counted, and as none. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_ahead_new(const tmb_daemon *d, tmb_ahead **ret_ahead);
void tmb_ahead_free(tmb_ahead *ahead);

/* tmb_ahead_begin: the journal's incarnation is known; ranges of another are forgotten. */
void tmb_ahead_begin(tmb_ahead *ahead, const tmb_incarnation *incarnation);

/* tmb_ahead_last gives the open range of stream. False: nothing ever went ahead. */
bool tmb_ahead_last(tmb_ahead *ahead, const char *stream, tmb_live_range *ret_range);

/* tmb_ahead_part: tmb_live_part of the ranges now. */
bool tmb_ahead_part(tmb_ahead *ahead, const char *stream, bool is_live, uint64_t seq,
                    uint64_t *ret_first, uint64_t *ret_last);

/* tmb_ahead_jump: from first on the numbers of stream are of its live lane; those above close, up to there,
 * of its own. forget: both lanes are through with all up to here, or the log has dropped it. Blocking. False:
 * it could not be written (said), or there are too many ranges (said, counted): all is as before. */
bool tmb_ahead_jump(tmb_ahead *ahead, const char *stream, uint64_t close, uint64_t first,
                    uint64_t forget);

/* tmb_ahead_read is tmb_loader_read for a lane of a live_first stream: what it gives begins at load->seq,
 * with a gap over the other lane's numbers. Blocking. More errors: those of tmb_live_write. */
void tmb_ahead_read(tmb_ahead *ahead, const char *stream, bool is_live, tmb_loader *loader,
                    tmb_load *load);

/* tmb_ahead_copy gives the ranges, for uplink.marks. */
void tmb_ahead_copy(tmb_ahead *ahead, tmb_live *ret_live);

/* tmb_ahead_stats adds its keys to object. */
void tmb_ahead_stats(tmb_ahead *ahead, json_t *object);

#endif
