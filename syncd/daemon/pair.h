// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/pair.h - the two lanes of a live_first stream, as the uplink tells the session of them.
 *
 * Inner header of the uplink. Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_PAIR_H
#define TMB_SYNCD_DAEMON_PAIR_H

#include "syncd/daemon/lane.h"
#include "syncd/session/session.h"

/* tmb_pair_range gives the part of the log that a lane is told of by TAIL: the stream's own lane ends where
 * the live lane took over; a live lane that never carried anything has an empty log. Any lane may be
 * asked. */
void tmb_pair_range(const tmb_lane *lane, const tmb_session *session, uint64_t *ret_first,
                    uint64_t *ret_last);

/* tmb_pair_decide: a WELCOME has told both marks; the live lane jumps, or not. Blocking when it does. */
void tmb_pair_decide(const tmb_lane *own, const tmb_lane *live, const tmb_session *session);

/* tmb_pair_is_late: of a batch with these numbers newer ones may be at the parent already. */
bool tmb_pair_is_late(const tmb_lane *lane, uint64_t last_seq);

/* tmb_pair_first_waiting gives the oldest number above have that lane has to carry; 0: none. */
uint64_t tmb_pair_first_waiting(const tmb_lane *lane, const tmb_session *session, uint64_t have);

/* tmb_pair_is_untold says whether the lane has a backlog that the session's HELLO did not tell of: what the
 * last jump left to it. last_seq: of tmb_pair_range. */
bool tmb_pair_is_untold(const tmb_lane *lane, const tmb_session *session, uint64_t last_seq);

#endif
