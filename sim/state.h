// SPDX-License-Identifier: Apache-2.0
/* sim/state.h - the world of state: a tree of nodes that share scopes, and all that can go wrong with them.
 *
 *   clients -> journal (acked when synced) -> scope <-> sync machine <-> link <-> sync machine <-> scope ...
 *
 * A top, none to two hubs, two to eight sites; a site may fall back to the other hub. The scopes, the sync
 * machines and the exchange are the very objects of tombolo-syncd, frames are encoded and decoded; stores,
 * links, clocks and clients are simulated. A run tortures the world for minutes or for weeks, heals it, and
 * demands that all replicas of a scope become equal.
 *
 * Faults, of which each run has a random half: links are cut, slow, or down for minutes to weeks; whole
 * frames are lost; processes are killed between any two steps, commits among them; the power is cut, and
 * what was not synced is gone; disks are full for a while; a box is restored from an image of its own disk,
 * or an image becomes a second box; wall clocks step by years, begin in 1970, drift, or stand still; members
 * are away until they lapse and return; members retire; sites fall back; clients ask twice, or with what
 * they read long ago.
 *
 * Oracles. A book of what was asked, in which each change names the changes that its author could see: it
 * knows what each leaf must be, and shares no code with crdt/. After each commit: what a replica shows was
 * changed by somebody it has heard, and was removed by nobody it has heard; no dot has two contents; a clock
 * never goes back within an incarnation; what a neighbour is believed to have, it has; stamps of a box whose
 * clock is right are right. Once healed: equal bytes, equal clocks, the book's values, indexes no larger
 * than what is live.
 *
 * What may be lost: changes that were only on a disk which was replaced by an older image of itself, or that
 * went away with a retired box. They are counted, and nothing else is excused.
 *
 * Threads: none. Cost: some tens of milliseconds and of megabytes a seed. */
#ifndef TMB_SIM_STATE_H
#define TMB_SIM_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What may happen in a run. */
/* clang-format off */
#define STATE_KIND_LIST(X)                                                                          \
    X(PARTITION, "partition") X(CUT, "cut") X(LOSS, "loss") X(SLOW, "slow") X(KILL, "kill")         \
    X(POWER, "power") X(FULL, "full") X(RESTORE, "restore") X(CLONE, "clone") X(STEP, "step")       \
    X(EPOCH, "epoch") X(DRIFT, "drift") X(FREEZE, "freeze") X(LAPSE, "lapse") X(RETIRE, "retire")   \
    X(FALLBACK, "fallback") X(REPEAT, "repeat") X(TOKEN, "token")
/* clang-format on */

typedef enum state_kind {
#define STATE_KIND_ENUM(name, word) STATE_##name,
    STATE_KIND_LIST(STATE_KIND_ENUM)
#undef STATE_KIND_ENUM
        STATE_KINDS
} state_kind;

/* Bugs of the shell that can be planted, to see that an oracle finds them. */
typedef enum state_plant {
    STATE_HONEST = 0,
    STATE_ACK_BEFORE_SYNC, /* a job is done, and told, when it is written and not when it is synced */
    STATE_CURSOR_APART,    /* the cursor of the journal is written in a commit of its own */
    STATE_FOLD_AHEAD,      /* whatever stamp comes from afar is folded into the own clock */
    STATE_PLANTS
} state_plant;

typedef struct state_result {
    bool is_good;
    const char *failure; /* the first one; static text */
    int64_t at_ms;       /* when */
    uint64_t hash, steps, ops, acked, changes, lost, lost_acked, frames, bytes, lapsed,
        reincarnated, ranged;
    uint64_t fired[STATE_KINDS];
    unsigned nodes, scopes;
} state_result;

/* state_run plays seed to its end. print: where the run is told, line by line; NULL: nowhere. */
void state_run(uint64_t seed, state_plant plant, FILE *print, state_result *ret_result);

/* state_result_add adds what r counts to sum; what is of one run alone (failure, hash ...) stays sum's. */
void state_result_add(state_result *sum, const state_result *r);

/* "partition" ... */
const char *state_kind_str(state_kind kind);

/* "honest", "ack-before-sync" ...; state_plant_find gives STATE_PLANTS for a name that is none. */
const char *state_plant_str(state_plant plant);
state_plant state_plant_find(const char *name);

#endif
