// SPDX-License-Identifier: Apache-2.0
/* sim/faults_world.h - what faults.c (clock, faults, verdict), faults_log.c (disks and oracles),
 * faults_child.c and faults_parent.c (the shells around the machines) share. Private to this room. */
#ifndef TMB_SIM_FAULTS_WORLD_H
#define TMB_SIM_FAULTS_WORLD_H

#include "base/hlc.h"
#include "proto/chain.h"
#include "sim/chance.h"
#include "sim/faults.h"
#include "sim/heap.h"
#include "syncd/hub/intake.h"
#include "syncd/session/session.h"

#define FAULT_TOP         0
#define FAULT_HUB         1
#define FAULT_SITES_MAX   5
#define FAULT_NODES_MAX   (2 + FAULT_SITES_MAX + 1) /* the last one: a clone */
#define FAULT_STREAMS     3
#define FAULT_LIVES       6 /* incarnations of one journal */
#define FAULT_SEQ_MAX     100000
#define FAULT_COPIES_MAX  256
#define FAULT_BATCH_MAX   8 /* records */
#define FAULT_TORTURE_MS  20000
#define FAULT_DRAIN_MS    120000
#define FAULT_SLOW_MS     600000 /* the drain over a slow line */
#define FAULT_STEPS_PER_S 40000
#define FAULT_LINE_MS     100 /* how often a child looks whether its frames are leaving */
#define FAULT_MS          INT64_C(1000000)

/* What may happen in a run; a bit each. */
typedef enum fault_kind {
    /* clang-format off */
    FAULT_LOSS, FAULT_REPEAT, FAULT_REORDER, FAULT_CLOG, FAULT_DEAF, FAULT_MUTE, FAULT_HALF_OPEN, FAULT_CUT,
    FAULT_SLOW, FAULT_DIAL, FAULT_KILL, FAULT_POWER, FAULT_STORE, FAULT_LOAD, FAULT_STALE, FAULT_RESET,
    FAULT_RETENTION, FAULT_DISK, FAULT_DRIFT, FAULT_STEP, FAULT_RESTORE, FAULT_CLONE, FAULT_KINDS
    /* clang-format on */
} fault_kind;

typedef enum fault_event_kind {
    /* clang-format off */
    EVENT_APPEND, EVENT_FAULT, EVENT_START, EVENT_OPERATOR, EVENT_TAIL, EVENT_LINK_UP, EVENT_LINK_DOWN,
    EVENT_LOADED, EVENT_PROVED, EVENT_TO_CHILD, EVENT_LEFT, EVENT_LINE, EVENT_TO_PARENT, EVENT_MARKS,
    EVENT_COMMIT, EVENT_STORED, EVENT_PROBE
    /* clang-format on */
} fault_event_kind;

/* A record, as every log keeps it. */
typedef struct fault_record {
    uint64_t value, before; /* before: value of the one before it where it was born; 0: the first */
    uint64_t seq;           /* where it was born, with the next three */
    uint32_t origin, life, stream;
    bool is_lost;       /* in this log: by retention or damage */
    bool is_lost_above; /* in the log of a node above, which had it */
    tmb_hlc stamp;
} fault_record;

typedef struct fault_log {
    fault_record *records; /* by number; [0] is not used */
    uint64_t cap, first_seq, last_seq, synced_seq;
    uint64_t image_first, image_seq; /* what an older image of the disk holds */
} fault_log;

/* A batch, as either shell keeps it. ticket 0: free. */
typedef struct fault_copy {
    uint64_t ticket, first_seq, last_seq, gap_first;
    unsigned child, stream, life;
    tmb_gap_reason gap_reason;
    fault_record records[FAULT_BATCH_MAX];
} fault_copy;

/* What a node has of one stream of one life of a child, or of one origin: durable. */
typedef struct fault_kept {
    uint64_t last_seq, last_value;
    tmb_chain chain, view; /* view: at a mark of a while ago, which an old look-up gives */
} fault_kept;

typedef struct fault_load {
    unsigned child, stream;
    uint64_t seq, ticket;
    bool takes_effect;
    tmb_chain chain;
    fault_copy copy;
    size_t len;
    uint8_t bytes[];
} fault_load;

typedef struct fault_node {
    char name[8];
    unsigned index, parent, origin; /* parent of the top: itself; origin: whose name it has */
    bool is_there, is_up, is_clone;
    uint64_t run, boots;
    int64_t drift_ppm, wall_offset_ms;
    /* as a child */
    tmb_session session;
    bool is_linked, is_line_dead, is_line_looked_at,
        is_forked; /* is_forked: another box has its numbers */
    bool is_operator_called;
    uint64_t dial, sent, taken;
    int64_t line_free_ns, clog_until_ns, deaf_until_ns, mute_until_ns, half_open_until_ns;
    unsigned life;
    fault_log logs[FAULT_LIVES][FAULT_STREAMS];
    fault_copy copies[FAULT_COPIES_MAX];
    /* as a parent */
    bool is_stale;
    tmb_intake intakes[FAULT_NODES_MAX]; /* by the child's origin */
    fault_copy received[FAULT_COPIES_MAX];
    uint64_t next_ticket;
    fault_kept kept[FAULT_NODES_MAX][FAULT_LIVES][FAULT_STREAMS];
    fault_kept arrived[FAULT_NODES_MAX][FAULT_LIVES][FAULT_STREAMS];
} fault_node;

typedef struct fault_world {
    uint64_t seed;
    fault_plant plant;
    FILE *print;
    fault_result *result;
    sim_heap heap;
    tmb_rng net, disk, load, fate; /* one each, so that a draw in one does not shift the others */
    bool has[FAULT_KINDS];
    unsigned large_ms; /* what a large record needs on a slow line */
    int64_t now_ns, second;
    uint64_t steps_in_second;
    bool is_healed;
    unsigned nodes_count;
    fault_node *nodes;
} fault_world;

/* faults.c */
void fault_fail(fault_world *world, const char *why);
void fault_tell(fault_world *world, const fault_node *node, const char *what, uint64_t number);
void fault_hash(fault_world *world, uint64_t number);
bool fault_may(fault_world *world, fault_kind kind, tmb_rng *rng, unsigned of_thousand);
void fault_post(fault_world *world, fault_event_kind kind, const fault_node *node, uint64_t number,
                int64_t after_ns, fault_load *load);
fault_load *fault_load_new(fault_world *world, const void *bytes, size_t len);
tmb_mono fault_clock(const fault_world *world, const fault_node *node);
void fault_stop(fault_world *world, fault_node *node, bool is_power_cut);

/* faults_log.c */
extern const char *const fault_streams[FAULT_STREAMS];
tmb_incarnation fault_incarnation(const fault_node *node, unsigned life);
fault_log *fault_log_of(fault_node *node, unsigned stream);
void fault_append(fault_world *world, fault_node *node, unsigned stream,
                  const fault_record *record);
void fault_write(fault_world *world, fault_node *node);
void fault_lose_records(fault_world *world, fault_node *node);
void fault_cut_power(fault_world *world, fault_node *node);
bool fault_restore(fault_world *world, fault_node *node);
bool fault_copy_disk(fault_world *world, fault_node *to, const fault_node *from);
bool fault_commit(fault_world *world, fault_node *parent, const fault_copy *copy);
tmb_proof fault_prove(const fault_node *node, unsigned stream, const tmb_chain *chain);
bool fault_is_drained(fault_world *world);
void fault_logs_free(fault_node *node);
void fault_encode(const fault_record *record, uint8_t out[TMB_RECORD_BYTES_MIN]);
fault_copy *fault_copy_find(fault_copy *copies, uint64_t ticket);

/* faults_child.c */
void fault_child_start(fault_world *world, fault_node *node);
void fault_child_event(fault_world *world, fault_node *node, sim_event *event);
void fault_child_timeout(fault_world *world, fault_node *node);
void fault_child_cut(fault_world *world, fault_node *node);

/* faults_parent.c */
void fault_parent_start(fault_world *world, fault_node *node);
void fault_parent_event(fault_world *world, fault_node *node, sim_event *event);
void fault_parent_stop(fault_world *world, fault_node *node);
void fault_parent_reset(fault_world *world, fault_node *node);

#endif
