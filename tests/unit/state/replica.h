// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/replica.h - a node's scope on a disk in memory, for tests: operations, passes, and a check
 * of everything that must be true of what lies on the disk.
 *
 * Every call is a transaction that is committed with sync. An error that is not expected fails the test.
 */
#ifndef TMB_TESTS_UNIT_STATE_REPLICA_H
#define TMB_TESTS_UNIT_STATE_REPLICA_H

#include "sim/kv_memory.h"
#include "syncd/state/scope.h"

typedef struct replica {
    kv_memory disk;
    tmb_kv kv;
    char name[8]; /* n<number> */
    tmb_incarnation fresh;
    tmb_scope at; /* between begin and end */
    tmb_hlc stamp;
} replica;

/* number names it, and fills its incarnation. */
void replica_open(replica *r, unsigned number);
void replica_close(replica *r);

tmb_scope *replica_begin(replica *r);
void replica_end(replica *r);

tmb_incarnation replica_incarnation(unsigned number);

/* One operation with one value (NULL: none); amount 1. */
tmb_verdict replica_do(replica *r, tmb_verb verb, const char *path, const char *value);
tmb_verdict replica_apply(replica *r, const tmb_op *op);

/* How from's pass towards to goes on, by one chunk; *ret_is_complete. One that is over is acknowledged.
 * Errors: TMB_EGAP (to is below from's floor), of join_chunk. */
tmb_err replica_chunk(replica *from, replica *to, size_t bytes_max, bool *ret_is_complete);
/* Chunks until the pass is over. */
void replica_pass(replica *from, replica *to);
/* What the sync machine does for one that is below the floor, without ranges: every leaf that either has,
 * then the clock and the floor. */
void replica_reconcile(replica *from, replica *to);
/* Says to r where neighbour stands; gives whether it is below the floor. */
bool replica_meet(replica *r, replica *neighbour);

/* What is read: a counter's sum, a register's bytes in text, whether it is in. */
int64_t replica_count(replica *r, const char *path);
const char *replica_text(replica *r, const char *path);
bool replica_is_in(replica *r, tmb_type type, const char *path, const char *elem);

/* Leaves, index, counts, prints, rows of removals: all of it agrees. Gives how many rows the index has. */
uint64_t replica_check(replica *r);
bool replica_is_equal(replica *a, replica *b); /* clocks, prints, and every leaf's bytes */

#endif
