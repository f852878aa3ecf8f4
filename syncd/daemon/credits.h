// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/credits.h - tells the drain (syncd/hub/drain.h) what happens to batches, the children their
 * credits, and lets batches be committed in turn: live ones first.
 *
 *   frame --take--> held --begin--> (waits for its turn) --> committing --free--> next one's turn
 *
 * Inner header of hub.c and child.c. Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_CREDITS_H
#define TMB_SYNCD_DAEMON_CREDITS_H

#include <jansson.h>

#include "syncd/daemon/child.h"
#include "syncd/session/credit.h"

/* A batch that is unpacked, rewritten and published needs more memory than it came with: of batches on that
 * way, unpacked, an eighth of `children.memory`, and at least one. What is beyond waits as it came. */
#define TMB_COMMIT_PARTS 8
/* Of these, with a backlog's records: more would only stand before what is live in our broker's queue. */
#define TMB_COMMITS_BACKLOG_MAX 2
#define TMB_COMMITS_LIVE_MAX    8 /* what waits meanwhile at the child makes larger batches */
/* Live ones that go before one of a backlog that waits: none starves. */
#define TMB_COMMITS_FLOOR 8

/* tmb_credits_tick, once a second: children that were told another window than the one there is now are told.
 * hub may be NULL. */
void tmb_credits_tick(tmb_hub *hub);

void tmb_credits_start(tmb_hub *hub);
void tmb_credits_stop(tmb_hub *hub);

/* tmb_credits_offer fills in what the WELCOME says of credits; event is MARKS, about to be told. */
void tmb_credits_offer(tmb_child *child, tmb_intake_event *event);

/* tmb_credits_take: batch has come. Gives 0, or how long its child is to wait before it comes again. */
uint32_t tmb_credits_take(tmb_batch *batch);

/* tmb_credits_part: a piece of a batch has come, and is kept. */
void tmb_credits_part(tmb_child *child, const tmb_frame_batch *piece);

/* tmb_credits_begin calls tmb_child_commit for batch, now or when it is its turn. */
void tmb_credits_begin(tmb_batch *batch);

/* tmb_credits_free: batch is about to be freed. */
void tmb_credits_free(tmb_batch *batch);

/* tmb_credits_look: a step may have changed what the child has. */
void tmb_credits_look(tmb_child *child);

/* Counters, as docs/operations.md has them. gives json. */
json_t *tmb_credits_child_stats(const tmb_child *child);
json_t *tmb_credits_stats(const tmb_hub *hub);
json_t *tmb_credits_uplink_stats(const tmb_credit *credit);

#endif
