// SPDX-License-Identifier: Apache-2.0
/* syncd/session/paid.h - what credit.h is asked on behalf of a session's lanes. Private to this room.
 *
 * Threads: none. Cost: O(lanes) a call.
 */
#ifndef TMB_SYNCD_SESSION_PAID_H
#define TMB_SYNCD_SESSION_PAID_H

#include "syncd/session/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_session_load_bytes gives what lane i may load by its credit, at most wanted; 0: nothing now. */
uint32_t tmb_session_load_bytes(const tmb_session *s, unsigned i, uint32_t wanted);

/* tmb_session_pay: lane i's load, which was asked for at seq, brought so many bytes of data. true: it is
 * paid for, and action says how; false: it has to wait until nothing else of its pool is on its way. */
bool tmb_session_pay(tmb_session *s, unsigned i, uint64_t seq, uint32_t bytes,
                     tmb_session_action *action);

/* tmb_session_note_blocked is for the end of a step. */
void tmb_session_note_blocked(tmb_session *s);

#ifdef __cplusplus
}
#endif
#endif
