// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/world.h - a few nodes with one scope and stores in memory, and lines between them that
 * take time, lose frames, and count bytes. No threads, no real time. */
#ifndef TMB_TESTS_UNIT_STATE_WORLD_H
#define TMB_TESTS_UNIT_STATE_WORLD_H

#include "sim/kv_memory.h"
#include "syncd/state/sync.h"

#define WORLD_NODES   5u
#define WORLD_LINES   8u
#define WORLD_QUEUE   64u
#define WORLD_REPORTS 12u

typedef struct world_frame {
    int64_t at_ms;
    uint8_t *bytes;
    size_t len;
} world_frame;

typedef struct world_end {
    unsigned node;
    tmb_sync sync;
    tmb_sync_room room;
    world_frame queue[WORLD_QUEUE]; /* on their way to this end, or waiting here */
    unsigned queued;
    uint64_t bytes, frames, leaves_frames; /* said by this end */
    int64_t first_leaf_ms; /* when the first LEAVES with leaves came to this end; -1: none */
    unsigned reports[WORLD_REPORTS];
} world_end;

typedef struct world_line {
    bool is_up;
    world_end ends[2];
    /* Decides which frames are lost: NULL: none. */
    bool (*loses)(void *arg, unsigned from, const tmb_frame *frame);
    void *arg;
} world_line;

typedef struct world_node {
    kv_memory disk;
    tmb_kv kv;
    uint64_t stamp, syncs;
    bool may_not_write; /* others take nothing from it */
    char name[8];
} world_node;

typedef struct world {
    int64_t now_ms, one_way_ms, last_ms; /* last: when the last frame came */
    uint64_t session, random;
    uint32_t chunk_bytes;
    uint64_t taken, came_bytes; /* frames that came, and leaves in them, ever */
    uint64_t stop_after;        /* run stops when so many frames have come; 0: never */
    unsigned nodes_count, lines_count;
    world_node nodes[WORLD_NODES];
    world_line lines[WORLD_LINES];
    tmb_exchange *exchange;
    tmb_scope_room *room; /* of operations and looks into a scope */
    tmb_scope scope;
} world;

void world_init(world *w, unsigned nodes);
void world_free(world *w);

/* Gives the number of the line; a is the parent. */
unsigned world_join(world *w, unsigned a, unsigned b);

/* both: the parent speaks, too. */
void world_up(world *w, unsigned number, bool both);
void world_down(world *w, unsigned number);

/* Runs until nothing is left to do; false: not within so many ms of the world's time,
 * or stopped. */
bool world_run(world *w, int64_t ms);

/* Operations, each in a transaction of its own; the machines hear of it. */
void world_set(world *w, unsigned node, const char *path, const char *value);
void world_op(world *w, unsigned node, tmb_verb verb, const char *path, const char *value,
              uint64_t amount);

/* The same for an operation that may be refused: what became of it. */
tmb_verdict world_try(world *w, unsigned node, tmb_verb verb, const char *path, const char *value,
                      uint64_t amount);

/* node loses power, and comes back with what was synced; its lines are down. */
void world_cut(world *w, unsigned node);

/* world_load: the node's scope, for looking at it. */
tmb_scope *world_load(world *w, unsigned node);
void world_save(world *w, unsigned node);

/* Equal clocks, equal leaves. */
bool world_is_equal(world *w, unsigned a, unsigned b);

/* The daemon's round at node finds leaves that are ahead of the clock. */
void world_compare(world *w, unsigned node);

/* All neighbours of node lapse, and what only they held is forgotten. */
void world_lapse(world *w, unsigned node);

/* Reports of both ends since the line is up. */
unsigned world_told(const world_line *line, tmb_sync_report what);

/* What the register at path reads at node, empty when it is not there; lives until the next call. */
const char *world_value(world *w, unsigned node, const char *path);

/* Sets count registers, from number from on, line/<number % 7>/x<number>, to text and some 200 bytes. */
void world_fill(world *w, unsigned node, unsigned from, unsigned count, const char *text);

#endif
