// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_inside.h - what the service of state is made of. Private to state_*.c.
 *
 * Threads: the loop's, but for what is said to be blocking.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_INSIDE_H
#define TMB_SYNCD_DAEMON_STATE_INSIDE_H

#include <uthash.h>

#include "syncd/daemon/state.h"
#include "syncd/daemon/state_job.h"
#include "syncd/link/link.h"
#include "syncd/state/clock.h"
#include "syncd/state/exchange.h"
#include "syncd/state/scope.h"

typedef struct tmb_state_ops tmb_state_ops;
typedef struct tmb_state_values tmb_state_values;
typedef struct tmb_state_lane tmb_state_lane;

/* A scope that is in the store, or that a neighbour has named. */
typedef struct tmb_held {
    char name[TMB_NAME_BYTES_MAX + 1];
    bool is_dirty;         /* some path's value may be to be published */
    uint64_t leaves, last; /* as of the last job that looked */
    uint64_t removals, forks;
    tmb_state_lane *lanes; /* of neighbours, state_peer.c */
    UT_hash_handle hh;
} tmb_held;

struct tmb_state {
    tmb_daemon *daemon;
    tmb_state_jobs *jobs;
    tmb_scope_room *room;   /* of the job that runs */
    tmb_scope scope;        /* likewise */
    tmb_exchange *exchange; /* likewise */
    tmb_clock clock; /* likewise; kept_clock: as of the last commit; shown_clock: the loop's */
    tmb_clock kept_clock, shown_clock;
    uint64_t skewed; /* stamps from elsewhere that were too far ahead to be followed */
    tmb_state_ops *ops;
    tmb_state_values *values;
    struct tmb_state_twins *twins;
    struct tmb_state_members *members;
    tmb_held *held; /* uthash by name */
    unsigned held_count;
    tmb_state_peer *peers;
    tmb_state_lane *awake;      /* with a deadline */
    bool was_reset, is_moved;   /* the store was begun anew; it is a copy */
    bool is_begun, is_stopping; /* is_begun: the store has told what it holds */
};

/* tmb_state_find gives the entry of a scope; NULL: none. _make makes one (NULL: no memory). */
tmb_held *tmb_state_find(tmb_state *state, tmb_bytes name);
tmb_held *tmb_state_make(tmb_state *state, tmb_bytes name);

/* tmb_state_note takes over what a job has learnt of the scope that it loaded; the loop's. */
typedef struct tmb_state_look {
    char name[TMB_NAME_BYTES_MAX + 1];
    uint64_t leaves, last, removals, forks;
    bool has_changed, has_values; /* dots that neighbours may want; values to be published */
} tmb_state_look;

/* tmb_state_look_of is blocking: of a scope, before it is saved. */
void tmb_state_look_of(const tmb_scope *scope, tmb_state_look *ret_look);

/* tmb_state_changed is for a job that is done and committed: values are published, and all neighbours but
 * from (may be NULL) that hold the scope are told. */
void tmb_state_changed(tmb_state *state, const tmb_state_look *look, const tmb_state_peer *from);

/* tmb_state_load is blocking: the scope in state->scope and state->room, under a fresh incarnation if it is
 * new. Errors: as tmb_scope_load; TMB_EIO (no randomness). */
TMB_MUST_USE tmb_err tmb_state_load(tmb_state *state, const tmb_kv *kv, tmb_bytes name);

/* tmb_state_next_scope is blocking: at becomes the scope behind it ("": the first). Errors: TMB_ENOENT (no
 * more), of the kv. */
TMB_MUST_USE tmb_err tmb_state_next_scope(const tmb_kv *kv, char at[TMB_NAME_BYTES_MAX + 1]);

/* Blocking, in every transaction that stamped or followed: the clock's floor, if it has to be stored. */
TMB_MUST_USE tmb_err tmb_state_keep_clock(tmb_state *state, const tmb_kv *kv);

tmb_wall tmb_state_wall(void);

/* state_ops.c: operations, from the journal. */
TMB_MUST_USE tmb_err tmb_state_ops_new(tmb_state *state, tmb_state_ops **ret_ops);
/* skip: blocking, before the first operation, in a store that is older than what this node has done: what was
 * applied before and neighbours may have is not applied again. Errors: TMB_EIO, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_ops_skip(tmb_state_ops *ops, const tmb_kv *kv);
void tmb_state_ops_tick(tmb_state_ops *ops);
void tmb_state_ops_stop(tmb_state_ops *ops);
void tmb_state_ops_free(tmb_state_ops *ops);
void tmb_state_ops_stats(const tmb_state_ops *ops, json_t *object);

/* state_values.c: values and answers, to our own broker. say sends a message at QoS 1, if the broker is
 * there. */
TMB_MUST_USE tmb_err tmb_state_values_new(tmb_state *state, tmb_state_values **ret_values);
void tmb_state_values_wake(tmb_state_values *values); /* something is dirty */
void tmb_state_values_say(tmb_state_values *values, const tmb_link_message *message);
void tmb_state_values_tick(tmb_state_values *values);
void tmb_state_values_stop(tmb_state_values *values);
void tmb_state_values_free(tmb_state_values *values);
void tmb_state_values_stats(const tmb_state_values *values, json_t *object);

#endif
