// SPDX-License-Identifier: Apache-2.0
/* sim/state_book.h - the oracle of the world of state: what was changed, by whom, and who has heard of it.
 *
 * A change is what one operation did to one leaf. It names the changes that were live in that leaf where it
 * was made and that it replaced or removed. What a leaf must be follows from that alone: an entry is live
 * until a change that saw it has removed it. A view is what one disk knows: which dots, and of which changes
 * they are. So it is seen when a dot has two contents, when something shows up that nobody near has made,
 * and when something comes back.
 *
 * Nothing of crdt/ is used but the names of types and verbs, dots as names, and leaves as lists of dots.
 * Threads: none. Cost: a look into an array a dot.
 */
#ifndef TMB_SIM_STATE_BOOK_H
#define TMB_SIM_STATE_BOOK_H

#include "crdt/type.h"
#include "proto/leaves.h"

#define STATE_ACTORS_MAX  160  /* incarnations of a world */
#define STATE_CHANGES_MAX 6000 /* changes of a world */
#define STATE_LEAVES      32   /* leaves that clients change; see state_book_key */

typedef struct state_change {
    unsigned scope, node, leaf, value;
    tmb_verb verb;
    bool is_entry;  /* it puts something; else it only removes */
    bool is_acked;  /* its client was told */
    bool is_maybe;  /* its disk is gone: it may be nowhere */
    bool is_void;   /* its transaction was never committed */
    int64_t amount; /* of counters */
    uint64_t stamp;
    unsigned removes, removes_count; /* in book->removed */
} state_change;

/* What a dot is of: one change, or several that were given anew together. */
typedef struct state_bind {
    unsigned first, count; /* in book->bound */
    int64_t total;         /* of a counter's entry: what its dot stands for */
} state_bind;

typedef struct state_slot {
    unsigned bind; /* 0: none known */
    bool is_held;  /* heard by this disk */
} state_slot;

typedef struct state_view {
    state_slot *slots[STATE_ACTORS_MAX]; /* by number of the dot, from 1 on */
    unsigned counts[STATE_ACTORS_MAX];
    uint64_t clock[STATE_ACTORS_MAX]; /* as it was when last looked at */
    uint8_t sees[STATE_CHANGES_MAX];
} state_view;

typedef struct state_book {
    unsigned actors_count;
    tmb_incarnation actors[STATE_ACTORS_MAX];
    unsigned changes_count;
    state_change changes[STATE_CHANGES_MAX];
    unsigned *removed, *bound;
    unsigned removed_count, removed_cap, bound_count, bound_cap;
    state_bind *binds;
    unsigned binds_count, binds_cap;
    const char *failure; /* the first thing that was wrong; static text */
} state_book;

/* The leaves of every scope: path, type and element of number leaf. */
tmb_leaf_key state_book_key(unsigned leaf);
/* state_book_find gives STATE_LEAVES for a key that no client ever changed. */
unsigned state_book_find(const tmb_leaf_key *key);
/* state_book_is_below says whether the leaf's path is path or below it. */
bool state_book_is_below(unsigned leaf, tmb_bytes path);

unsigned state_book_actor(state_book *book, const tmb_incarnation *actor);

/* state_book_change adds a change; removes: the changes that it saw and removed. NULL: no room. */
state_change *state_book_change(state_book *book, const state_change *change,
                                const unsigned *removes, unsigned removes_count);

/* state_book_bind makes a binding of some changes; 0: no room. */
unsigned state_book_bind(state_book *book, const unsigned *changes, unsigned count, int64_t total);

state_slot *state_view_slot(state_book *book, state_view *view, unsigned actor, uint64_t seq);
/* state_view_hold says that the dot is heard here, and of what it is. */
void state_view_hold(state_book *book, state_view *view, unsigned actor, uint64_t seq,
                     unsigned bind);
/* state_view_hear takes over what from knows of actor's dots up to seq. */
void state_view_hear(state_book *book, state_view *view, const state_view *from, unsigned actor,
                     uint64_t seq);
/* state_view_unhold takes back what is held of actor beyond seq, and recounts what is seen. */
void state_view_unhold(state_book *book, state_view *view, unsigned actor, uint64_t seq);
bool state_view_copy(state_view *to, const state_view *from);
void state_view_free(state_view *view);

/* state_book_check_leaf looks at one leaf of a replica: what it shows was made by a change that view holds,
 * and removed by none that it sees. */
void state_book_check_leaf(state_book *book, const state_view *view, unsigned leaf,
                           const tmb_leaf *live);

/* state_book_judge compares a leaf at the end with what it must be. view: anybody's, all are equal then. */
void state_book_judge(state_book *book, const state_view *view, unsigned scope, unsigned leaf,
                      const tmb_leaf *found);

void state_book_free(state_book *book);

/* Bytes of value number n of a leaf, as clients write them. */
tmb_bytes state_book_value(unsigned leaf, unsigned n, uint8_t out[16]);

#endif
