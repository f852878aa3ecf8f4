// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/drain.h - how many bytes each child may send, so that a slow hub grants less instead of keeping
 * more.
 *
 *   child: HELLO --> join: first credits, in WELCOME
 *          BATCH --> take: TAKEN | REFUSED (ACK(resend, wait))       CREDIT <-- next: who is to be told
 *                    done: its bytes are out of memory; committed ones make the rate
 *
 * Credits are bytes of BATCH.data, counted up over a session, in two pools. LIVE is a window of each
 * child's own, renewed as soon as what came of it has been committed: nobody's live data waits for
 * anybody's backlog. BACKLOG is one sum for all children, granted by deficit round robin by their weights:
 * what is granted and not here yet, and what is here and not committed yet, is together at most what is
 * committed in a second (TMB_DRAIN_AHEAD_MS; at least TMB_DRAIN_LEAST_BYTES, at most half the memory). The
 * rate is of the time in which there was something to commit; so a broker or a disk that stops makes the
 * sum small within seconds, and one that is merely not used does not.
 *
 * Who has a backlog the caller tells (tmb_drain_backlog). A grant that its child does not use for
 * TMB_DRAIN_LAPSE_MS counts no more: others get its part; it stays good. Counters are cumulative and told
 * again every TMB_DRAIN_TELL_MS while there is something to use, so a lost CREDIT costs that long; a lost
 * BATCH is known by the next, which says what its child has spent.
 *
 * Refused is what goes beyond the credits, unless it is one batch with nothing else of its pool here (it
 * may be one record larger than any window) or one that was asked for again; and, whoever sent it, what has
 * no room in memory, unless there is nothing in it. Refused bytes were sent and are spent.
 *
 * Threads: none. Cost: O(1) a batch; O(children with a session) a round of grants; memory is the caller's.
 */
#ifndef TMB_SYNCD_HUB_DRAIN_H
#define TMB_SYNCD_HUB_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "proto/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the memory: half for the backlog of all, a quarter for the live windows of all, the rest for what is
 * late. */
#define TMB_DRAIN_LIVE_MAX                                                                         \
    (256u * 1024) /* window of a child; less when a quarter of the memory asks for it */
#define TMB_DRAIN_LIVE_MIN (8u * 1024) /* ... but not below: then `memory` alone bounds */
#define TMB_DRAIN_QUANTUM_MAX                                                                      \
    (256u * 1024) /* of weight 1, a turn; less when the sum has no room for all */
/* Not below: each commit costs a sync whatever its size, so small ones would make a slow disk slower yet. */
#define TMB_DRAIN_QUANTUM_MIN    (64u * 1024)
#define TMB_DRAIN_WEIGHT_MAX     100u
#define TMB_DRAIN_AHEAD_MS       1000
#define TMB_DRAIN_LAPSE_MS       10000
#define TMB_DRAIN_TELL_MS        250 /* again, to a child that does not use what it was told */
#define TMB_DRAIN_TELL_LAPSED_MS 2000
#define TMB_DRAIN_LEAST_BYTES    (256u * 1024) /* of the sum; as much until a rate has been measured */
#define TMB_DRAIN_SAMPLE_MS      200           /* of busy time, for one measurement of the rate */

#define TMB_DRAIN_POOLS 2 /* by tmb_pool */

typedef struct tmb_drain_pool {
    uint64_t granted; /* may have been sent in this session, in all */
    uint64_t told;    /* of that, the child has heard if nothing was lost */
    uint64_t spent;   /* has been sent, as far as is known */
    uint64_t held;    /* is in memory here; of earlier sessions too */
    bool is_owed;     /* a batch was asked for again: one is taken without credit */
} tmb_drain_pool;

/* A child. Caller's memory, zeroed; fields are read by statistics and tests, written by drain.c alone. */
typedef struct tmb_drain_child {
    struct tmb_drain_child *next, *before; /* in the round; NULL: no session with credits */
    bool has_backlog;
    unsigned weight;
    tmb_drain_pool pools[TMB_DRAIN_POOLS];
    uint64_t deficit;
    uint64_t counted; /* of the sum: what this child may still send of its backlog, or has here */
    tmb_mono used_at; /* something of its backlog came, or credits after it had none */
    tmb_mono told_at;
    bool is_lapsed;
    uint64_t granted[TMB_DRAIN_POOLS], taken[TMB_DRAIN_POOLS]; /* bytes, of all sessions */
    uint64_t over, no_room; /* batches refused: beyond credit; memory */
} tmb_drain_child;

typedef struct tmb_drain {
    uint64_t memory;
    tmb_drain_child *turn;      /* who is asked first; NULL: nobody */
    tmb_drain_child *tell;      /* where tmb_drain_next goes on; NULL: at turn */
    bool is_turn_begun;         /* the sum had no room for the whole of it */
    unsigned children, waiting; /* with a session; of these with a backlog */
    uint64_t held, held_max;    /* in memory, of all and at the most */
    uint64_t counted;           /* sum of counted */
    uint64_t weights;           /* of those with a backlog */
    uint64_t rate;              /* bytes committed a second; 0: not known */
    int64_t busy_ns;
    uint64_t busy_bytes;
    tmb_mono now;
} tmb_drain;

/* memory: bytes, at least TMB_DRAIN_MEMORY_MIN. */
#define TMB_DRAIN_MEMORY_MIN (1024u * 1024)
void tmb_drain_init(tmb_drain *d, uint64_t memory, tmb_mono now);

/* tmb_drain_join begins a session of version 2 or later; the first credits are in pools[].granted, and
 * count as told. weight: 1 to TMB_DRAIN_WEIGHT_MAX. */
void tmb_drain_join(tmb_drain *d, tmb_drain_child *c, unsigned weight, tmb_mono now);

/* tmb_drain_leave: the session is over; what is held of it stays held. Harmless without one. */
void tmb_drain_leave(tmb_drain *d, tmb_drain_child *c);

/* tmb_drain_backlog tells whether the child still has records from before its session. */
void tmb_drain_backlog(tmb_drain *d, tmb_drain_child *c, bool has_backlog, tmb_mono now);

typedef enum tmb_drain_verdict {
    TMB_DRAIN_TAKEN = 0, /* held until tmb_drain_done */
    TMB_DRAIN_OVER,      /* beyond its credit */
    TMB_DRAIN_NO_ROOM
} tmb_drain_verdict;

/* tmb_drain_take: a batch came, of `bytes` of data. spent: what the child says it has sent of the pool in
 * this session, this batch included; 0: it does not say. A child without a session of credits (version 1)
 * is asked for room alone. */
tmb_drain_verdict tmb_drain_take(tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t bytes,
                                 uint64_t spent, tmb_mono now);

/* tmb_drain_take_joined is the same for a batch that came in pieces: others may have come between them, whose
 * `spent` has paid for it already. */
tmb_drain_verdict tmb_drain_take_joined(tmb_drain *drain, tmb_drain_child *child, tmb_pool pool,
                                        uint64_t bytes, uint64_t spent, tmb_mono now);

/* tmb_drain_part: a part of a batch came, which says what is spent with the whole of it. Others do not wait
 * for credits until that is here. */
void tmb_drain_part(tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t spent, tmb_mono now);

/* tmb_drain_done: a batch that was taken is out of memory. */
void tmb_drain_done(tmb_drain *d, tmb_drain_child *c, tmb_pool pool, uint64_t bytes,
                    bool is_committed, tmb_mono now);

/* tmb_drain_owe: the child was asked to send something again. */
void tmb_drain_owe(tmb_drain_child *c);

/* tmb_drain_run measures, grants, and lets lapse what is not used. */
void tmb_drain_run(tmb_drain *d, tmb_mono now);

/* tmb_drain_next gives a child that is to be told pools[].granted now, and takes it for told; NULL: none. */
tmb_drain_child *tmb_drain_next(tmb_drain *d, tmb_mono now);

/* tmb_drain_limit: what `counted` may be now. */
uint64_t tmb_drain_limit(const tmb_drain *d);

/* tmb_drain_wait_ms: call tmb_drain_run again in so long; 0: only after one of the calls above. */
unsigned tmb_drain_wait_ms(const tmb_drain *d);

void tmb_drain_check(const tmb_drain *d);

#ifdef __cplusplus
}
#endif
#endif
