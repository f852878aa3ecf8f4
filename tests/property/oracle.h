// SPDX-License-Identifier: Apache-2.0
/* tests/property/oracle.h - what state must read as: a set of events, what each had seen, and a rule a type.
 *
 * The specification that crdt/ is held against, and no line of crdt/ is in it: no dots, no contexts, no join.
 * An event is a change that somebody made; it knows which events its maker had seen of the same leaf. A
 * replica is, for each leaf, a set of events; the value of a leaf is a function of that set alone.
 *
 *   an event is outdone   by a visible event that has seen it and takes its place
 *   register              what was set and not outdone; the greatest (stamp, actor, value) is read
 *   counters              of each actor the last total, unless removed by one who had seen it
 *   aw_set, g_set,        there if an event that puts it there is not outdone
 *     ew_flag, map
 *   rw_set, dw_flag       there if some are not outdone, and each of these says in
 *   max, min              the greatest or least that is not outdone
 *
 * Counters are written down as they are, with what riak_dt_emcntr is known for: who counts after having seen
 * his own total takes it with him, so a removal that had seen no more than the older total takes away nothing
 * of his.
 *
 * Source: Burckhardt, Gotsman, Yang, Zawirski, "Replicated Data Types: Specification, Verification,
 * Optimality", 2014 (values as functions of visibility and arbitration).
 */
#ifndef TMB_TESTS_PROPERTY_ORACLE_H
#define TMB_TESTS_PROPERTY_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ORACLE_EVENTS_MAX = 512,
    ORACLE_LEAVES_MAX = 20,
    ORACLE_REPLICAS_MAX = 4,
    ORACLE_VALUES_MAX = 64
};

typedef enum oracle_kind {
    ORACLE_REGISTER,
    ORACLE_G_COUNTER,
    ORACLE_PN_COUNTER,
    ORACLE_AW_SET,
    ORACLE_RW_SET,
    ORACLE_G_SET,
    ORACLE_EW_FLAG,
    ORACLE_DW_FLAG,
    ORACLE_MAX,
    ORACLE_MIN,
    ORACLE_MAP,
    ORACLE_KINDS
} oracle_kind;

/* What an event says, whatever word a type has for it. */
typedef enum oracle_says {
    ORACLE_PUTS,   /* set, add, admit, insert, enable, permit, new; raise and lower */
    ORACLE_DENIES, /* revoke, forbid */
    ORACLE_TAKES,  /* rm, disable, del: nothing put, what was seen goes */
    ORACLE_COUNTS, /* inc, count: number; dec: its negative */
    ORACLE_RESETS  /* counts what was seen back to 0 */
} oracle_says;

typedef struct oracle_set {
    uint64_t words[ORACLE_EVENTS_MAX / 64];
} oracle_set;

typedef struct oracle_event {
    unsigned actor, leaf;
    oracle_says says;
    uint64_t stamp; /* of a register */
    int64_t number; /* value, or how much is counted */
    int64_t total;  /* of counters: what the actor stands at with it */
    oracle_set seen;
} oracle_event;

typedef struct oracle_value {
    bool is_there;  /* has a value; an element in, a flag on */
    int64_t number; /* counters, extremes */
    unsigned
        values; /* of a register, as stamp << 16 | actor << 8 | value; rising: the last is read */
    uint64_t value[ORACLE_VALUES_MAX];
} oracle_value;

typedef struct oracle {
    unsigned leaves, replicas, events_count;
    oracle_kind kinds[ORACLE_LEAVES_MAX];
    unsigned actors[ORACLE_REPLICAS_MAX]; /* as which each replica writes; set by the caller */
    oracle_set visible[ORACLE_REPLICAS_MAX][ORACLE_LEAVES_MAX];
    oracle_event events[ORACLE_EVENTS_MAX];
} oracle;

void oracle_init(oracle *o, unsigned replicas, const oracle_kind *kinds, unsigned leaves);

/* oracle_do: replica changes leaf, having seen token (NULL: all that it has). False: that changes nothing and
 * is no event, for nobody. */
bool oracle_do(oracle *o, unsigned replica, unsigned leaf, oracle_says says, uint64_t stamp,
               int64_t number, const oracle_set *token);

/* oracle_show: to comes to see what from sees of leaf. */
void oracle_show(oracle *o, unsigned from, unsigned to, unsigned leaf);

void oracle_read(const oracle *o, unsigned replica, unsigned leaf, oracle_value *ret);
bool oracle_value_eq(const oracle_value *a, const oracle_value *b);

/* oracle_value_str writes a value for a person; text has 256 bytes. */
const char *oracle_value_str(const oracle_value *value, char *text);

#endif
