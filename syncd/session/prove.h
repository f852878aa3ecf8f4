// SPDX-License-Identifier: Apache-2.0
/* syncd/session/prove.h - after WELCOME: is what the parent has of a lane what the log has? Private to
 * this room.
 *
 *   WELCOME with a chain --> PROVE{ticket, chain} --> PROVED: same or not known -> LOADs begin
 *                                                   forked -> fenced
 *
 * No lane loads before all are proved: what leaves a forked log would be taken for the old one's. A new
 * session forgets what is under way; its answer is ignored by its ticket.
 * Threads: none. Cost: O(streams).
 */
#ifndef TMB_SYNCD_SESSION_PROVE_H
#define TMB_SYNCD_SESSION_PROVE_H

#include "syncd/session/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_session_prove_begin notes that mark's chain, if it has one that the log may still have, is to be
 * proved. */
void tmb_session_prove_begin(tmb_session *s, unsigned lane, const tmb_mark *mark);

/* tmb_session_prove_pump asks for what is due, as long as there is room for actions. true: something is
 * still to be proved. */
bool tmb_session_prove_pump(tmb_session *s, tmb_session_actions *actions);

bool tmb_session_is_proving(const tmb_session *s);

/* tmb_session_prove_end gives the lane that ticket is of; streams_count: none any more. */
unsigned tmb_session_prove_end(tmb_session *s, uint64_t ticket);

#ifdef __cplusplus
}
#endif
#endif
