// SPDX-License-Identifier: Apache-2.0
/* syncd/state/exchange.h - what the sync of one scope with one neighbour does to the store, a job at a time.
 *
 *   tmb_sync (sync.h) --job--> tmb_exchange_run in one transaction --commit--> result --DONE--> tmb_sync
 *
 *   GREET   make our SCOPE
 *   MEET    look at the neighbour's SCOPE: is it the one we knew, are we the one it knew (else we go on under
 *           a new incarnation), from where does it have to be told, does it lack removals that are forgotten
 *   SCAN    the next chunk of our pass
 *   JOIN    a chunk of the neighbour's; the end of a held pass only if nobody else has brought, since our
 *           SCOPE, what the comparison would have had to see
 *   ACKED   the neighbour has all of our pass
 *   RANGES  compare (ranges.h)
 *
 * The daemon runs it in a thread of its pool, in the transaction that holds what else it does to the state,
 * and commits; the simulator calls it directly. Jobs of one store run one at a time.
 *
 * Memory: tmb_exchange is large (4.3 MiB and the scope's room); one a node is enough. Frames of a result
 * point into it: encode them before the next run.
 * Threads: none; one call at a time. Cost: that of scope.h; MEET looks at each neighbour of the scope once,
 * JOIN of the end of a held pass at the leaves with extra context.
 */
#ifndef TMB_SYNCD_STATE_EXCHANGE_H
#define TMB_SYNCD_STATE_EXCHANGE_H

#include "proto/frame.h"
#include "syncd/state/scope.h"

/* Keys that a reconciliation sends in one go. More: in a later round. */
#define TMB_RANGES_KEYS_MAX 256u

/* A context without runs, as bytes. */
#define TMB_VECTOR_BYTES_MAX (4u + TMB_ACTORS_MAX * (TMB_INCARNATION_BYTES + 10u))

typedef enum tmb_job_kind {
    TMB_JOB_NONE = 0,
    TMB_JOB_GREET,
    TMB_JOB_MEET,
    TMB_JOB_SCAN,
    TMB_JOB_JOIN,
    TMB_JOB_ACKED,
    TMB_JOB_RANGES
} tmb_job_kind;

/* Where a pass stands, while it runs: what the neighbour has, or has been sent. 17 KiB, the shell's, zeroed
 * and given to a machine that is not quiet. A job writes to it: it must stay where it is until DONE. */
typedef struct tmb_sync_room {
    bool is_set;
    unsigned count;
    tmb_base bases[TMB_ACTORS_MAX];
    /* Of the clock that our last SCOPE said (has_said) what the neighbour knows more of: what others bring
     * of that before we adopt its clock was not compared. */
    bool has_said;
    unsigned said_count;
    tmb_base said[TMB_ACTORS_MAX];
    uint64_t known[TMB_ACTORS_MAX]; /* how much it knew of each of these in its first chunk */
    /* Ranges: this comparison began at key first, and the next has to begin at key next (has_next). */
    bool has_next;
    uint16_t first_len, next_len;
    uint8_t first[TMB_LEAF_KEY_BYTES_MAX + 1], next[TMB_LEAF_KEY_BYTES_MAX + 1];
} tmb_sync_room;

typedef struct tmb_job {
    tmb_job_kind kind;
    uint64_t session;
    /* GREET, MEET: of our SCOPE; SCAN, RANGES: turn of the neighbour's that we answer. */
    uint32_t turn, answers;
    uint32_t n;       /* of LEAVES, when one is made */
    bool wants_reply; /* MEET: make our SCOPE, too */
    bool is_held;     /* SCAN: not to be completed before ranges were compared */
    bool is_due;      /* SCAN: say so even if the neighbour has all */
    bool is_other;    /* MEET: a JOIN came upon own dots that were never given here (has_other) */
    bool begins;      /* RANGES: the first round; else frame is a RANGES */
    bool may_write;   /* the neighbour may change this scope, or make us take a new incarnation */
    size_t bytes_max; /* SCAN, RANGES: of leaves; the shell may make it smaller for a slow line */
    const tmb_frame *frame; /* MEET, JOIN, RANGES: what came; must live until the job was run */
    tmb_sync_room *room;
} tmb_job;

typedef enum tmb_job_commit {
    TMB_COMMIT_NOTHING = 0, /* drop the transaction: nothing is to be changed */
    TMB_COMMIT_LATER,       /* commit; a sync may wait for the next one */
    TMB_COMMIT_SYNC         /* on the disk before DONE is said */
} tmb_job_commit;

typedef struct tmb_job_result {
    tmb_job_kind kind;
    tmb_err err; /* as run returned it; a commit that failed: set by the shell */
    tmb_job_commit commit;
    unsigned frames_count; /* to be sent in this order; in the tmb_exchange */
    const tmb_frame *frames[2];
    bool is_changed; /* the clock or leaves changed: tell the scope's other machines CHANGED */
    uint64_t changed_leaves; /* and the publisher, if above 0 */
    uint64_t forks;          /* dots that came with two values */
    tmb_refusal refused;     /* MEET, JOIN: say so to the neighbour */
    bool is_reborn;   /* MEET: the incarnation changed; the neighbour has to be greeted anew */
    bool is_below;    /* MEET: it lacks removals that are forgotten: hold the pass, compare */
    bool is_scrub;    /* MEET: equal clocks, other leaves: likewise */
    bool is_same;     /* MEET: equal clocks, and prints */
    bool has_all;     /* MEET, JOIN: all that the neighbour has is here ... */
    bool is_behind;   /* MEET, JOIN: ... but its clock is not adopted yet */
    bool is_all;      /* SCAN: the neighbour has, or has been sent, all there is */
    bool is_complete; /* SCAN: and the chunk says so. No frame: nothing to send */
    bool is_stale;    /* JOIN, SCAN, RANGES: greet the neighbour anew, something does not fit ... */
    bool has_other;   /* JOIN: ... it has own dots that were never given here */
    bool is_over;     /* RANGES: nothing differs any more ... */
    bool is_partial;  /* ... of what was compared: begin again, for the rest or what changed */
    bool has_moved;   /* and that is behind where this comparison began */
    unsigned leaves;  /* SCAN, RANGES: sent; JOIN: came */
    size_t bytes;     /* of them */
} tmb_job_result;

typedef struct tmb_exchange {
    tmb_scope_room *room; /* the shell's; what runs in the same thread may share it */
    tmb_scope scope;
    tmb_neighbour neighbour;
    tmb_context_room ours, theirs, to;
    tmb_actors actors;
    tmb_frame frames[2];
    uint8_t clock[TMB_VECTOR_BYTES_MAX], floor[TMB_VECTOR_BYTES_MAX], heard[TMB_VECTOR_BYTES_MAX],
        heard_clock[TMB_VECTOR_BYTES_MAX], points[TMB_POINTS_MAX * 32];
    uint8_t ranges[TMB_RANGES_BYTES_MAX];
    tmb_leaves_state leaves;
    uint8_t data[TMB_LEAVES_BYTES_MAX];
} tmb_exchange;

/* tmb_exchange_run runs one job for one scope and neighbour (both names, both borrowed for the call).
 * fresh: 16 random bytes, new for each call; now_ms: Unix time; hlc: the node's clock, 0 for none.
 * What the neighbour did wrong is no error: it is in the result.
 * Errors: of the kv; TMB_ECORRUPT, TMB_EVERSION (the store). Drop the transaction, give the result to
 * tmb_sync all the same: it waits and tries again. */
TMB_MUST_USE tmb_err tmb_exchange_run(tmb_exchange *exchange, const tmb_job *job, const tmb_kv *kv,
                                      tmb_bytes scope, tmb_bytes neighbour, tmb_incarnation fresh,
                                      int64_t now_ms, uint64_t hlc, tmb_job_result *ret);

#endif
