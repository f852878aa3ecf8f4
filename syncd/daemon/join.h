// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/join.h - a child's batches that come in pieces: the bytes behind syncd/hub/pieces.h.
 *
 * Inner header of child.c and join.c.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_JOIN_H
#define TMB_SYNCD_DAEMON_JOIN_H

#include "syncd/daemon/child.h"

/* tmb_join says whether the batch is for the machine now. false: it was a piece and its bytes are kept; the
 * batch can go. true: it is whole, or the last piece made it so, or the machine is to refuse it. */
bool tmb_join(tmb_child *child, tmb_batch *batch);

void tmb_join_free(tmb_child *child);

#endif
