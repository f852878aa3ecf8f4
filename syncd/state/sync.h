// SPDX-License-Identifier: Apache-2.0
/* syncd/state/sync.h - the machine that keeps one scope equal with one neighbour, in one session.
 *
 *   CLOSED --OPEN--> GREETING --its SCOPE--> SYNCING: passes in both directions --CLOSE--> CLOSED
 *                       |                       | doubt of any kind (something lost or that does not fit,
 *             refused, given up                 |   no answer in time), ASK, COMPARE
 *                       v                       '--> SCOPE again: both go on from what is durable
 *                    RESTING --its SCOPE, unless given up--> GREETING
 *
 * Both ends run the same machine. A pass is answered by the sender's own account of the receiver: SCOPE says
 * what its speaker has (clock) and has heard of the other in a pass that was cut (heard). LEAVES carry the
 * turn of the SCOPE that they answer and are counted from 0; one that is missing is seen by the next, or by
 * the sender whom nobody tells STORED, and then SCOPE is said again. So no state of a session needs to
 * survive, and nothing is sent twice but what was on its way.
 *
 * Who may lack removals that are forgotten here gets its pass held (never complete), then both compare
 * ranges, then the pass is completed: before that the neighbour does not adopt our clock.
 * Who is told that the other has own dots that were never given here, or other ones, goes on under a new
 * incarnation (exchange.h, MEET), at most TMB_SYNC_REBIRTHS_MAX times a session; then it stops, and says so.
 *
 * The shell:
 *  - routes frames by scope (tmb_frame_scope_name) and neighbour; one about a scope that it does not hold, or
 *    that the neighbour is not to see, it answers by tmb_sync_refuse, unless that frame is a refusal;
 *  - gives a room before each step (sync.room), zeroed at first; it may go when tmb_sync_is_quiet;
 *  - gives events one at a time. While is_busy (a JOB runs) frames wait in its own queue, at most
 *    TMB_SYNC_QUEUE_MAX a machine: one more is dropped, like one that the line lost. Events other than
 *    FRAME and OPEN need not wait;
 *  - runs JOB by tmb_exchange_run, commits as the result says, then gives DONE, also when all failed. After
 *    CLOSE the DONE of a job that was under way is given, too, before anything else;
 *  - sends LEAVES at the pace of the line, others at once, all of one machine in order, and says SENT for
 *    each when it has left this box: time for the answer runs from there, so a slow line is no loss;
 *  - when a result is_changed, or an operation changed the scope, gives CHANGED to the scope's other
 *    machines.
 *
 * Sources: Almeida, Shoker, Baquero 2018 (delta intervals and acks); Enes et al. 2019 (what the other has is
 * not sent back); docs/adr/0028-passes-over-an-index-of-dots.md.
 * Threads: none. No clock, no memory of its own. Size: below 300 bytes, a test holds it.
 */
#ifndef TMB_SYNCD_STATE_SYNC_H
#define TMB_SYNCD_STATE_SYNC_H

#include "base/time.h"
#include "syncd/state/exchange.h"

/* Chunks of a pass that are not acknowledged yet. At the limit the next one waits. */
#define TMB_SYNC_CHUNKS_MAX 4u
/* Frames of one machine that may wait while a job runs: the peer's chunks, and what answers ours. More are
 * dropped, as if lost on the way. */
#define TMB_SYNC_QUEUE_MAX 16u
/* How often a node goes on under a new incarnation in one session of a scope. Once more: the scope rests for
 * the session, and a report says so. */
#define TMB_SYNC_REBIRTHS_MAX 2u
/* Rounds of comparing ranges in one turn. More: nothing is adopted, it is reported, and the scope rests
 * for the session. */
#define TMB_SYNC_ROUNDS_MAX 512u
/* No answer, or none that fits, this often in a row, is reported as being stuck; waits double from the second
 * on, up to 32 times. */
#define TMB_SYNC_TRIES_MAX 5u

typedef struct tmb_sync_options {
    bool may_write;       /* the neighbour may change this scope */
    uint32_t answer_ms;   /* how long an answer may take, from SENT; above 0 */
    uint32_t chunk_bytes; /* of LEAVES; 0: TMB_LEAVES_BYTES_DEFAULT */
} tmb_sync_options;

typedef enum tmb_sync_event_type {
    TMB_SYNC_OPEN = 1, /* a session of version 3 is there: session, speaks */
    TMB_SYNC_CLOSE,
    TMB_SYNC_FRAME,   /* frame, of this session and scope; not while is_busy */
    TMB_SYNC_CHANGED, /* there are new dots in the scope */
    TMB_SYNC_DONE,    /* result of the job */
    TMB_SYNC_SENT,    /* one frame of this machine has left */
    TMB_SYNC_ASK,     /* is the neighbour there? It is greeted, unless it owes an answer anyway */
    TMB_SYNC_COMPARE, /* leaves here hold what our clock does not cover: has the neighbour them so? It is
                       * greeted, if quiet, until prints were compared, and after the next change again */
    TMB_SYNC_TIMEOUT /* tmb_sync_deadline has come; earlier is harmless */
} tmb_sync_event_type;

typedef struct tmb_sync_event {
    tmb_sync_event_type type;
    tmb_mono now;
    uint64_t session;
    /* OPEN: say SCOPE at once: the child; a parent if it knows that the child has it. */
    bool speaks;
    const tmb_frame *frame;
    const tmb_job_result *result;
} tmb_sync_event;

/* What people should hear of. */
typedef enum tmb_sync_report {
    TMB_SYNC_REPORT_NONE = 0,
    TMB_SYNC_REPORT_MET,   /* both know of each other */
    TMB_SYNC_REPORT_EQUAL, /* all that is here has been acknowledged */
    TMB_SYNC_REPORT_REBORN, /* this node goes on under a new incarnation: it was restored, or cloned */
    TMB_SYNC_REPORT_BELOW, /* the neighbour was away too long: ranges are compared */
    TMB_SYNC_REPORT_SCRUB, /* equal clocks, other leaves: a store was damaged; ranges are compared */
    TMB_SYNC_REPORT_RANGED,  /* and that is over */
    TMB_SYNC_REPORT_REFUSED, /* refusal: the neighbour refuses, or we do by a limit */
    TMB_SYNC_REPORT_DENIED,  /* what it changed was not taken: it may only read */
    TMB_SYNC_REPORT_FORKED, /* one dot came with two values: two boxes wrote under one incarnation */
    TMB_SYNC_REPORT_STUCK, /* no answer for long, or a comparison without an end, or reborn too often */
    TMB_SYNC_REPORT_FAILED /* the store: err */
} tmb_sync_report;

/* Static text for logs and statistics: "met", "equal" ... */
const char *tmb_sync_report_str(tmb_sync_report what);

typedef enum tmb_sync_action_type {
    TMB_SYNC_SEND = 1, /* frame: encode it now, it lives until the next step or run */
    TMB_SYNC_JOB,      /* job: run it, then DONE; at most one, the last action */
    TMB_SYNC_REPORT
} tmb_sync_action_type;

typedef struct tmb_sync_action {
    tmb_sync_action_type type;
    const tmb_frame *frame;
    tmb_job job;
    tmb_sync_report report;
    tmb_refusal refusal;
    tmb_err err;
} tmb_sync_action;

#define TMB_SYNC_ACTIONS_MAX 6u
typedef struct tmb_sync_actions {
    unsigned n;
    tmb_sync_action v[TMB_SYNC_ACTIONS_MAX];
    tmb_frame out; /* a SEND may point here */
} tmb_sync_actions;

typedef enum tmb_sync_state {
    TMB_SYNC_CLOSED = 0,
    TMB_SYNC_GREETING, /* waiting for the neighbour's SCOPE */
    TMB_SYNC_SYNCING,
    TMB_SYNC_RESTING /* refused, or given up, for this session */
} tmb_sync_state;

/* Caller's memory; fields are read by tests and statistics, written by this room alone, but for room. */
typedef struct tmb_sync {
    tmb_sync_room *room; /* the shell's */
    const char *scope;   /* borrowed for the machine's life */
    tmb_mono now, since; /* since: waiting for an answer */
    uint64_t session;
    uint32_t answer_ms, chunk_bytes;
    uint32_t turn;      /* of our own last SCOPE */
    uint32_t met;       /* turn of the neighbour's last SCOPE; 0: none yet */
    uint32_t answered;  /* turn of the one that our passes answer */
    uint32_t next_in;   /* number of the LEAVES that must come */
    uint32_t next_out;  /* number of the LEAVES that we send next */
    uint32_t acked_out; /* STORED below this number */
    uint32_t rounds;    /* of comparing, in this turn */
    uint32_t unsent;    /* frames that have not left yet */
    uint8_t state;      /* tmb_sync_state */
    uint8_t job;        /* tmb_job_kind that runs; 0: none */
    uint8_t tries;      /* SCOPE said in vain */
    uint8_t misfits;    /* what did not fit, since a whole pass got through and none came */
    uint8_t rebirths;
    bool may_write;
    bool wants_greet, wants_scan, wants_acked, wants_ranges; /* jobs to come */
    bool is_asking;                                          /* our SCOPE waits for an answer */
    bool is_held;         /* our pass is not to be completed before ranges were compared */
    bool is_told;         /* all of it has been sent */
    bool is_scrub;        /* and it is because of equal clocks */
    bool is_ranging;      /* our RANGES waits for an answer */
    bool drives;          /* the RANGES under way is of our own comparison */
    bool is_partial;      /* of which something was left out */
    bool is_complete_out; /* the last LEAVES we sent ends a pass */
    bool has_all;         /* all that the neighbour has told of is here ... */
    bool is_behind;   /* ... but its clock is not adopted yet: the room knows what our SCOPE said */
    bool is_other;    /* it has own dots that were never given here: the next MEET is told */
    bool is_denied;   /* the neighbour takes nothing from us */
    bool is_given_up; /* RESTING until the session ends */
    bool is_equal_told; /* REPORT_EQUAL was given since the last change */
    bool is_compared;   /* nothing has changed here since both compared their prints */
} tmb_sync;

/* tmb_sync_init: a machine that is CLOSED. */
void tmb_sync_init(tmb_sync *sync, const char *scope, const tmb_sync_options *options);

/* tmb_sync_step takes one event and gives the orders that follow.
 * Errors: TMB_EINVAL (an event that breaks the contract above: no room, a FRAME or OPEN while busy, DONE of
 * another job or without one, a frame of another session): nothing changed. */
TMB_MUST_USE tmb_err tmb_sync_step(tmb_sync *sync, const tmb_sync_event *event,
                                   tmb_sync_actions *ret_actions);

/* tmb_sync_deadline: when to send TIMEOUT; never: nothing is waited for. */
tmb_mono tmb_sync_deadline(const tmb_sync *sync);

static inline bool tmb_sync_is_busy(const tmb_sync *sync)
{
    return sync->job != TMB_JOB_NONE;
}

/* tmb_sync_is_quiet: nothing to do and nothing waited for; the room may go. */
bool tmb_sync_is_quiet(const tmb_sync *sync);

/* tmb_sync_refuse makes the answer to a frame about a scope that is not synced here: false when none is
 * due. */
bool tmb_sync_refuse(const tmb_frame *frame, tmb_refusal refused, tmb_frame *ret);

#endif
