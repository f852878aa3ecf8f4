// SPDX-License-Identifier: Apache-2.0
/* sim/state_world.h - what the files of the world of state share: state.c (clock, faults, verdict),
 * state_build.c (who is there), state_box.c (disks, journals, clocks), state_apply.c (operations and what
 * the book is told of them), state_load.c (what clients ask), state_link.c (the shell around the sync
 * machines), state_check.c (the oracles at each commit and at the end). Private to this room. */
#ifndef TMB_SIM_STATE_WORLD_H
#define TMB_SIM_STATE_WORLD_H

#include "base/hlc.h"
#include "sim/chance.h"
#include "sim/heap.h"
#include "sim/kv_memory.h"
#include "sim/state.h"
#include "sim/state_book.h"
#include "syncd/state/clock.h"
#include "syncd/state/exchange.h"
#include "syncd/state/scope.h"
#include "syncd/state/sync.h"

#define STATE_TOP        0
#define STATE_NODES_MAX  13 /* top, two hubs, eight sites, two clones */
#define STATE_SCOPES_MAX 2
#define STATE_CLONES_MAX 2
#define STATE_TOKENS_MAX 64
#define STATE_JOBS_MAX   256
#define STATE_MS         INT64_C(1000000)
#define STATE_S          (1000 * STATE_MS)
#define STATE_HOUR       (3600 * STATE_S)
#define STATE_DAY        (24 * STATE_HOUR)
#define STATE_WALL_MS    INT64_C(1800000000000) /* the true date when a run begins */
#define STATE_BUILT_MS   (STATE_WALL_MS - INT64_C(30) * 86400000)
#define STATE_AHEAD_MS                                                                             \
    (10 * 60000) /* how far ahead of the true time a right clock's stamps may be */
#define STATE_LAPSE_MS (INT64_C(30) * 86400000)
#define STATE_QUIET_S  7200 /* once healed, all must be equal within so many seconds */
#define STATE_HOUSE_S  60   /* then the house is kept as often as the daemon does */

#define STATE_LIVE_MAX 128

/* One live entry, as the book has it: a dot, and a change it stands for. */
typedef struct state_live {
    unsigned actor, change;
    uint64_t seq;
    int64_t total; /* of a counter; of the first of a dot's changes alone */
} state_live;

typedef struct state_seen {
    unsigned leaf, count;
    state_live entries[STATE_LIVE_MAX];
} state_seen;

/* What a client has read, and may come back with. */
typedef struct state_token {
    unsigned scope, leaf, live_count;
    state_live live[STATE_LIVE_MAX];
    size_t len;
    uint8_t bytes[TMB_TOKEN_BYTES_MAX];
} state_token;

/* An operation in a journal. */
typedef struct state_op {
    unsigned scope, leaf, leaves_count, value,
        token; /* token: number in the world's, from 1; 0: none */
    tmb_verb verb;
    bool is_unchanged, is_acked;
    uint64_t amount, number;
    tmb_hlc stamp;
} state_op;

/* What an image copies. */
typedef struct state_box {
    kv_memory disk;
    tmb_kv port; /* of disk */
    state_op *journal;
    unsigned count, cap, synced, applied; /* applied: the book's, beside the cursor on the disk */
    uint64_t number, done;                /* of its clients: the last that was asked, and applied */
    tmb_hlc stamp;                        /* the last that the journal gave */
    state_view *views;                    /* a scope each */
} state_box;

typedef enum state_job_kind {
    JOB_NONE = 0,
    JOB_APPLY,
    JOB_SYNC,
    JOB_HOUSE,
    JOB_RETIRE /* peer does not come back */
} state_job_kind;

/* What is under way on a link, or waits at its end. */
typedef struct state_frame {
    unsigned from, to, scope;
    enum { FRAME_BYTES = 0, FRAME_OPEN, FRAME_CLOSED, FRAME_SENT } kind;
    uint64_t session;
    tmb_frame frame; /* decoded, into arena */
    void *arena;
} state_frame;

typedef struct state_job {
    state_job_kind kind;
    unsigned peer, scope;
    uint64_t session;
    tmb_job job;        /* of sync */
    state_frame *frame; /* whose bytes the job points into, or NULL */
} state_job;

/* One scope's part of one end of a session. */
typedef struct state_port {
    tmb_sync sync;
    tmb_sync_room *room;
    state_frame *waiting[TMB_SYNC_QUEUE_MAX];
    unsigned waiting_count;
} state_port;

/* One end of a session. */
typedef struct state_end {
    bool is_there, is_open; /* is_there: the machines are made */
    uint64_t session;
    state_port ports[STATE_SCOPES_MAX];
} state_end;

typedef struct state_node {
    char name[8];
    unsigned index, tier; /* 0: top, 1: hub, 2: site */
    unsigned parents[2], parents_count, parent;
    bool is_there, is_up, is_powered, is_gone; /* is_gone: retired, or taken away */
    /* It went back, or is a second box: what others believe of it may be too much. */
    bool is_restored;
    bool has_moved; /* its process sees at its start that the disk is another one */
    bool was_wrong; /* its wall clock was ahead at some time */
    bool holds[STATE_SCOPES_MAX];
    unsigned restores;
    /* scopes in which it has gone back unnoticed and not met a parent yet that can tell: its clients wait */
    unsigned unmet;
    int64_t went_back_ns; /* when it was put back last */
    int64_t known_ns,
        image_ns; /* until when its disk is sure to know all that it gave; its image's */
    unsigned
        ahead; /* scopes in which leaves hold what no clock covers, when the house was kept last */
    uint64_t run;
    state_box box, image;
    bool has_image;
    /* wall clock */
    int64_t offset_ms, drift_ppm, frozen_ms;
    bool is_frozen;
    tmb_clock clock;
    /* link to the parent */
    /* until when it is down, slow; the disk is full */
    int64_t back_ns, slow_until_ns, full_until_ns;
    uint64_t session;                 /* of the link to the parent; 0: none */
    int64_t last_up_ns, last_down_ns; /* arrival of the last frame in each direction */
    state_end *ends;                  /* by neighbour */
    /* jobs, one at a time */
    state_job jobs[STATE_JOBS_MAX];
    unsigned jobs_first, jobs_count;
    bool is_busy;
    state_job job;   /* the one that runs */
    uint64_t ticket; /* of its commit */
    tmb_incarnation self_before[STATE_SCOPES_MAX];
    uint64_t last_before[STATE_SCOPES_MAX];
    uint64_t done_after;
    unsigned cursor_after, changes_before;
    tmb_hlc stamp_used; /* of the record that is applied */
    tmb_err job_err;
    tmb_job_result result;
    tmb_exchange *exchange;
    state_view
        *graves; /* what disks knew that were replaced, a scope each; several one after the other */
    unsigned graves_count;
} state_node;

typedef enum state_event_kind {
    /* clang-format off */
    EVENT_OP, EVENT_FAULT, EVENT_START, EVENT_JOURNAL, EVENT_COMMIT, EVENT_DIAL, EVENT_FRAME, EVENT_HOUSE,
    EVENT_LOOK, EVENT_DIE, EVENT_CUT
    /* clang-format on */
} state_event_kind;

typedef struct state_world {
    uint64_t seed;
    state_plant plant;
    FILE *print;
    state_result *result;
    sim_heap heap;
    tmb_rng net, disk, load, fate,
        dice; /* one each, so that a draw in one does not shift the others */
    bool has[STATE_KINDS];
    bool is_healed, is_ticking, is_over;
    int64_t now_ns, end_ns, second;
    uint64_t steps_in_second, sessions;
    size_t chunk_bytes;
    bool knows_fallbacks; /* parents that were never met are waited for, too */
    uint64_t unstable_max, removals_max;
    unsigned nodes_count, scopes_count, tokens_count, first_site, sites, ops, retired;
    state_node *nodes;
    state_token *tokens;
    state_book book;
    tmb_scope_room *room;
    tmb_scope *scope; /* one at work at a time */
} state_world;

extern const char *const state_scopes[STATE_SCOPES_MAX];

/* state.c */
void state_fail(state_world *world, const char *why);
void state_tell(state_world *world, const state_node *node, const char *what, uint64_t number);
void state_post(state_world *world, state_event_kind kind, const state_node *node, uint64_t number,
                int64_t after_ns, void *load);
bool state_may(state_world *world, state_kind kind, tmb_rng *rng, unsigned of_thousand);
tmb_incarnation state_fresh(state_world *world);

/* state_build.c */
int64_t state_span(tmb_rng *rng, int64_t least_ns, int64_t most_ns);
void state_build(state_world *world);
void state_demolish(state_world *world);

/* state_box.c */
int64_t state_wall_ms(const state_world *world, const state_node *node);
bool state_load(state_world *world, state_node *node, unsigned scope, tmb_scope *ret);
bool state_append(state_world *world, state_node *node, const state_op *op);
void state_journal_synced(state_world *world, state_node *node, uint64_t count);
bool state_take_image(state_world *world, state_node *node);
bool state_put_image(state_world *world, state_node *node);
bool state_box_copy(state_box *to, const state_box *from);
void state_box_free(state_box *box);
void state_cut_power(state_world *world, state_node *node);
void state_bury(state_world *world, state_node *node);
void state_clock_begin(state_node *node);
bool state_clock_store(state_world *world, state_node *node);
unsigned state_cursor(const state_box *box);
bool state_cursor_put(state_node *node, unsigned cursor);

/* state_apply.c */
unsigned state_see(state_world *world, state_node *node, unsigned scope, tmb_bytes path,
                   bool is_clock_only, state_seen out[STATE_LEAVES]);
tmb_err state_apply(state_world *world, state_node *node);
void state_applied(state_world *world, state_node *node, bool is_committed);

/* state_load.c */
void state_ask(state_world *world, state_node *node);

/* state_job.c */
void state_start(state_world *world, state_node *node);
void state_stop(state_world *world, state_node *node, bool is_power_cut);
void state_job_add(state_world *world, state_node *node, const state_job *job);
void state_job_next(state_world *world, state_node *node);
void state_job_commit(state_world *world, state_node *node);
void state_want(state_world *world, state_node *node, state_job_kind kind);

/* state_link.c */
void state_dial(state_world *world, state_node *child);
void state_close(state_world *world, state_node *child);
void state_arrive(state_world *world, state_frame *frame);
void state_changed(state_world *world, state_node *node, unsigned scope, unsigned but);
void state_compare(state_world *world, state_node *node, unsigned scope);
void state_job_done(state_world *world, state_node *node, const state_job *job);
tmb_mono state_deadline(const state_world *world, const state_node *node);
void state_timeouts(state_world *world, state_node *node);
void state_frame_free(void *load);
void state_node_empty(state_world *world, state_node *node);
void state_ends_reset(state_world *world, state_node *node);

/* state_check.c */
void state_learn(state_world *world, state_node *node, unsigned scope, unsigned peer);
void state_check(state_world *world, state_node *node, unsigned scope);
bool state_are_equal(state_world *world);
void state_judge(state_world *world);

#endif
