// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/told.h - which dictionaries the parent has been sent, and what the link carried besides the
 * session's own frames.
 *
 * A DICTIONARY leaves right before the batch that needs it. The session knows nothing of it; so that its
 * count of frames that have left stays right, those that it did not order are taken out of the link's.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_TOLD_H
#define TMB_SYNCD_DAEMON_TOLD_H

#include "syncd/daemon/lane.h"
#include "syncd/session/session.h"

/* Dictionaries sent on one link, with those that loads under way may bring. At the limit batches go
 * without. */
#define TMB_TOLD_MAX 64
/* One that the parent still has not got when it was sent so often is not for this session. */
#define TMB_TOLD_TIMES 3

typedef struct tmb_told {
    uint64_t given; /* frames that the link has taken */
    unsigned count; /* of them the session's not: their places */
    uint64_t at[TMB_TOLD_MAX];
    uint64_t sent, batches; /* since start: dictionaries, batches that needed one */
    uint64_t *state_at;     /* places of frames of state that have not left yet ... */
    size_t state_count, state_cap;
    uint64_t state_left; /* ... and how many have */
} tmb_told;

/* tmb_told_begin: a new link. */
void tmb_told_begin(tmb_told *told);
void tmb_told_free(tmb_told *told);

/* tmb_told_state: the link has taken a frame of state. */
void tmb_told_state(tmb_told *told);

/* tmb_told_ours gives how many of the first `messages` of the link are the session's; messages never falls on
 * one link. */
uint64_t tmb_told_ours(tmb_told *told, uint64_t messages);

/* tmb_told_ask sets what load may use, by what the parent has or will have when it gets there. */
void tmb_told_ask(const tmb_told *told, const tmb_session *session, const tmb_lane *lane,
                  tmb_load *load);

/* tmb_told_frame makes the frame that goes before batch. */
tmb_frame tmb_told_frame(const tmb_frame_batch *batch, const tmb_load *load);

/* tmb_told_sent: the link has taken it (given counts it already). */
void tmb_told_sent(tmb_told *told, tmb_lane *lane, const tmb_frame_dictionary *dictionary);

#endif
