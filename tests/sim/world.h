// SPDX-License-Identifier: Apache-2.0
/* tests/sim/world.h - one child and one parent in one process, on a simulated clock, disk and network.
 *
 * The machines are the ones that ship; only the shells around them (child.c, parent.c) are of this folder.
 * The way up is a line: frames leave one after the other, and in some runs it is so slow, for ever, that a
 * large record needs longer than ack_timeout. What the world may do to them, until it heals: lose, repeat,
 * delay and reorder frames, cut the link or let it swallow everything (a frame that is swallowed on its way
 * up never leaves, nor does any behind it), end either process at any moment, cut the child's power (what
 * was not synced is gone, its numbers are used again), fail a store before or after it took effect, show the
 * parent old marks, lose records to retention or damage, replace the child's journal. What it may not do:
 * lose what was synced.
 *
 * Everything is drawn from the seed; the same seed gives the same run, hash and all.
 */
#ifndef TMB_TESTS_SIM_WORLD_H
#define TMB_TESTS_SIM_WORLD_H

#include "syncd/hub/intake.h"
#include "syncd/session/session.h"

#define SIM_STREAMS     2
#define SIM_LIVES       3 /* incarnations of the child's journal */
#define SIM_SEQ_MAX     4096
#define SIM_EVENTS_MAX  2048
#define SIM_COPIES_MAX  128
#define SIM_RECORDS_MAX 8 /* of a batch */
#define SIM_TORTURE_MS  20000
#define SIM_DRAIN_MS    60000
#define SIM_SLOW_MS     240000 /* the drain over a slow line */
#define SIM_STEPS_PER_S 4000
#define SIM_LINE_MS     100 /* how often the child looks whether its frames are leaving */

/* Bugs that can be planted, to see that the oracle finds them. */
typedef enum sim_plant {
    SIM_HONEST = 0,
    SIM_ACK_BEFORE_STORE, /* the parent's shell says STORED when it begins to store */
    SIM_SEND_BEFORE_SYNC, /* the child's shell answers LOAD without having synced the log */
    SIM_PLANTS
} sim_plant;

/* A batch, as either shell keeps it. ticket 0: free. */
typedef struct sim_copy {
    uint64_t ticket;
    unsigned stream, life;
    uint64_t first_seq, last_seq, gap_first;
    tmb_gap_reason gap_reason;
    uint64_t values[SIM_RECORDS_MAX];
} sim_copy;

typedef enum sim_kind {
    /* clang-format off */
    SIM_APPEND, SIM_FAULT, SIM_TAIL, SIM_LINK_UP, SIM_LINK_DOWN, SIM_LOADED, SIM_CHILD_START,
    SIM_TO_CHILD, SIM_LEFT, SIM_LINE, SIM_TO_PARENT, SIM_MARKS, SIM_COMMIT, SIM_STORED, SIM_PARENT_START
    /* clang-format on */
} sim_kind;

typedef struct sim_event {
    int64_t at_ns;
    uint64_t order; /* ties are broken by age */
    sim_kind kind;
    uint64_t run;    /* of the process that it is for: one that has ended hears nothing */
    uint64_t number; /* dial, ticket or session */
    unsigned stream;
    uint64_t seq;
    bool flag;
    uint8_t *bytes; /* owned */
    size_t len;
    sim_copy copy;
} sim_event;

/* What the child's log held, ever: the oracle's own copy. */
typedef struct sim_truth {
    uint64_t value[SIM_SEQ_MAX];
    bool is_lost[SIM_SEQ_MAX]; /* by retention or damage: a gap over it is honest */
} sim_truth;

typedef struct sim_log {
    uint64_t first_seq, last_seq, synced_seq;
} sim_log;

typedef struct sim_child {
    tmb_session session;
    uint64_t run;
    bool is_up, is_linked;
    uint64_t dial;
    unsigned life;
    int64_t line_free_ns;   /* when what is on the line will have left */
    uint64_t sent, taken;   /* frames on this link: ordered, left */
    bool is_line_dead;      /* swallowed something */
    bool is_line_looked_at; /* a SIM_LINE is posted */
    sim_log logs[SIM_STREAMS];
    sim_copy copies[SIM_COPIES_MAX];
} sim_child;

/* What the parent's disk holds of one stream of one life. */
typedef struct sim_kept {
    uint64_t last_seq;
    uint64_t value[SIM_SEQ_MAX];
    uint64_t gaps;
} sim_kept;

typedef struct sim_parent {
    tmb_intake intake;
    uint64_t run, next_ticket;
    bool is_up, is_stale; /* is_stale: its view of the marks is older than its log */
    sim_copy copies[SIM_COPIES_MAX];
    sim_kept kept[SIM_LIVES][SIM_STREAMS];
} sim_parent;

/* Chances in a thousand, drawn once a run: in some runs the link is bad, in some the disks are. */
typedef struct sim_odds {
    unsigned loss, repeat, reorder, swallow, fault, store_fail, load_fail, dial_fail, stale;
    unsigned large_ms; /* what a large record needs on the line; 0: none is large */
} sim_odds;

typedef struct sim_world {
    uint64_t seed, hash, order, steps, steps_in_second;
    sim_plant plant;
    tmb_rng net, disk, load, fate; /* one each, so that a draw in one does not shift the others */
    sim_odds odds;
    int64_t now_ns, second;
    bool is_healed, is_swallowing;
    uint64_t large;      /* records that arrived over a slow line */
    const char *failure; /* the first one */
    unsigned events_count;
    sim_event events[SIM_EVENTS_MAX];
    sim_truth truth[SIM_LIVES][SIM_STREAMS];
    sim_child child;
    sim_parent parent;
} sim_world;

/* sim_run plays seed to its end: torture, healing, drain. True: the promise held; else world->failure. */
bool sim_run(sim_world *world, uint64_t seed, sim_plant plant);

/* For the shells. */
void sim_fail(sim_world *world, const char *why);
void sim_hash(sim_world *world, uint64_t number);
bool sim_chance(tmb_rng *rng, unsigned of_thousand);
int64_t sim_ms(tmb_rng *rng, unsigned from, unsigned to);
sim_event *sim_post(sim_world *world, sim_kind kind, uint64_t run, int64_t after_ns);
void sim_send(sim_world *world, sim_kind kind, uint64_t run, uint64_t dial, const tmb_frame *frame);
void sim_arrive(sim_world *world, sim_kind kind, uint64_t run, uint64_t dial, const uint8_t *bytes,
                size_t len);
bool sim_is_large(const sim_world *world, uint64_t value);
sim_copy *sim_copy_find(sim_copy *copies, uint64_t ticket); /* 0 finds a free one; NULL: none */
extern const char *const sim_streams[SIM_STREAMS];
tmb_incarnation sim_incarnation(unsigned life);

void sim_child_start(sim_world *world);
void sim_child_stop(sim_world *world, bool is_power_cut);
void sim_child_event(sim_world *world, sim_event *event);
void sim_child_timeout(sim_world *world);
void sim_child_append(sim_world *world);
void sim_child_lose_records(sim_world *world);

void sim_parent_start(sim_world *world);
void sim_parent_stop(sim_world *world);
void sim_parent_reset(sim_world *world);
void sim_parent_event(sim_world *world, sim_event *event);
bool sim_is_drained(const sim_world *world);

#endif
