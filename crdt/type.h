// SPDX-License-Identifier: Apache-2.0
/* crdt/type.h - the types: what a change puts into a leaf, what it removes, and how what is left is read.
 *
 *   type         leaf                entry's value            changes           both sides at once
 *   register     one                 stamp, bytes             set               both kept, greatest read
 *   g_counter    one                 own total                count             added
 *   pn_counter   one                 own totals up and down   inc dec reset     added
 *   aw_set       one an element      -                        add rm            in: adding wins
 *   rw_set       one an element      in or out                admit revoke      out: removing wins
 *   g_set        one an element      -                        insert            in
 *   ew_flag      one                 -                        enable disable    on: enabling wins
 *   dw_flag      one                 on or off                permit forbid     off: disabling wins
 *   max, min     one                 ordered bytes            raise lower       greatest, least
 *   map          one (its presence)  -                        new               there
 *
 * Any leaf can be emptied (del), observed dots only: that is how a map is reset and removed. A change made
 * with the context that a client has read (observed) removes what he saw and nothing else.
 *
 * A change that is_nothing takes no dot and is never heard of elsewhere. That is right only if it could make
 * no difference to what is done elsewhere at the same time:
 *
 *   set, add, admit, revoke, insert,      never nothing, though the leaf already be so: the new dot is what
 *   enable, permit, forbid, new           stands against a removal that has not seen it
 *   rm, disable, del                      nothing observed is there: they remove what was seen and only that
 *   reset                                 the observed sum is 0
 *   inc, dec, count                       of 0, or at the end of int64, where the counter is there already
 *   raise, lower                          not beyond what is there: "if greater, write", and it was not
 *
 * lww_register and mv_register of the literature are two ways to read the one register: concurrent values are
 * kept, however far apart their clocks, until somebody writes after having seen them; collapsing them early
 * by stamp is not a join (docs/adr/0027-one-kernel-for-all-types.md). Counters follow riak_dt_emcntr: one
 * entry an actor with its own totals. A counter that is removed with its map while somebody counts comes
 * back with that actor's whole total: known, and pinned by a test.
 * Sources, in order: Shapiro et al. 2011 (3.2: registers, 3.1 counters, 3.3 sets), Bieniusa et al. 2012
 * (aw_set), Almeida, Shoker, Baquero 2018 (7.4-7.5: rw_set, flags, maps), Brown et al. 2014 "Riak DT map"
 * (reset-remove).
 * Numbers of types and verbs are on disk and on the wire and are never given another meaning.
 * Threads: none, values. Cost: a pass over the leaf's entries; no allocation.
 */
#ifndef TMB_CRDT_TYPE_H
#define TMB_CRDT_TYPE_H

#include "base/hlc.h"
#include "crdt/leaf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
#define TMB_TYPE_LIST(X)                                                                           \
    X(REGISTER, 1, "register") X(G_COUNTER, 2, "g_counter") X(PN_COUNTER, 3, "pn_counter")         \
    X(AW_SET, 4, "aw_set") X(RW_SET, 5, "rw_set") X(G_SET, 6, "g_set")                             \
    X(EW_FLAG, 7, "ew_flag") X(DW_FLAG, 8, "dw_flag")                                              \
    X(MAX, 9, "max_register") X(MIN, 10, "min_register") X(MAP, 11, "map")

/* verb, number, word, the type that it makes, what it takes (tmb_takes) */
#define TMB_VERB_LIST(X)                                                                           \
    X(SET, 1, "set", REGISTER, BYTES)                                                              \
    X(INC, 2, "inc", PN_COUNTER, AMOUNT) X(DEC, 3, "dec", PN_COUNTER, AMOUNT)                      \
    X(RESET, 4, "reset", PN_COUNTER, NOTHING) X(COUNT, 5, "count", G_COUNTER, AMOUNT)              \
    X(ADD, 6, "add", AW_SET, ELEMENTS) X(RM, 7, "rm", AW_SET, ELEMENTS)                            \
    X(ADMIT, 8, "admit", RW_SET, ELEMENTS) X(REVOKE, 9, "revoke", RW_SET, ELEMENTS)                \
    X(INSERT, 10, "insert", G_SET, ELEMENTS)                                                       \
    X(ENABLE, 11, "enable", EW_FLAG, NOTHING) X(DISABLE, 12, "disable", EW_FLAG, NOTHING)          \
    X(PERMIT, 13, "permit", DW_FLAG, NOTHING) X(FORBID, 14, "forbid", DW_FLAG, NOTHING)            \
    X(RAISE, 15, "raise", MAX, NUMBER) X(LOWER, 16, "lower", MIN, NUMBER)                          \
    X(NEW, 17, "new", MAP, NOTHING) X(DEL, 18, "del", NONE, NOTHING)
/* clang-format on */

typedef enum tmb_type {
    TMB_TYPE_NONE = 0,
#define TMB_TYPE_ENUM(name, number, word) TMB_TYPE_##name = (number),
    TMB_TYPE_LIST(TMB_TYPE_ENUM)
#undef TMB_TYPE_ENUM
} tmb_type;
#define TMB_TYPES 12 /* numbers below it, none among them */

typedef enum tmb_verb {
    TMB_VERB_NONE = 0,
#define TMB_VERB_ENUM(name, number, word, type, takes) TMB_VERB_##name = (number),
    TMB_VERB_LIST(TMB_VERB_ENUM)
#undef TMB_VERB_ENUM
} tmb_verb;

/* What stands behind a verb. */
typedef enum tmb_takes {
    TMB_TAKES_NOTHING = 0,
    TMB_TAKES_BYTES,    /* of a register */
    TMB_TAKES_AMOUNT,   /* of a counter: from 0 on; not said: 1 */
    TMB_TAKES_ELEMENTS, /* of a set: one or more texts */
    TMB_TAKES_NUMBER    /* raise, lower */
} tmb_takes;

/* Names for topics, logs and JSON; static text, "none" for no type or verb. */
const char *tmb_type_str(tmb_type type);
const char *tmb_verb_str(tmb_verb verb);

/* tmb_verb_of_word gives TMB_VERB_NONE for a word that is no verb. */
tmb_verb tmb_verb_of_word(tmb_bytes word);

/* tmb_verb_meant gives the verb for a word that other systems have for it, such as rm for remove, which by
 * its letters is nearer to revoke; TMB_VERB_NONE for others. For what people are told. */
tmb_verb tmb_verb_meant(tmb_bytes word);

/* tmb_verb_type gives the type whose leaf the verb changes; TMB_TYPE_NONE for del, which is for any. */
tmb_type tmb_verb_type(tmb_verb verb);
tmb_takes tmb_verb_takes(tmb_verb verb);

/* tmb_type_is_set: one leaf an element. */
bool tmb_type_is_set(tmb_type type);

/* Bytes of the stamp before a register's own. */
#define TMB_REGISTER_STAMP_BYTES 8u
/* Ordered bytes of a max_register or min_register, at least one. More, or none: TMB_EINVAL; in foreign bytes:
 * malformed. */
#define TMB_EXTREME_BYTES_MAX 64u

/* One change of one leaf. value: of set: any bytes; of raise and lower: bytes whose order is that of the
 * numbers. */
typedef struct tmb_change {
    tmb_verb verb;
    tmb_hlc stamp; /* of set */
    tmb_bytes value;
    uint64_t amount; /* of inc, dec and count: how much */
} tmb_change;

/* What a change is, to be joined: at most one entry, and the dots that it has seen. It points into itself, so
 * it is not copied.
 * is_nothing: the leaf is already so: no dot is used. is_saturated: the counter stands at its end and counts
 * no further: what was still possible was counted; reported, never wrapped. Both: nothing was. */
typedef struct tmb_delta {
    tmb_leaf leaf;
    tmb_context context; /* the entry's or removal's own dot, and every dot it removes */
    tmb_run runs[TMB_SIBLINGS_MAX + 1];
    tmb_base bases[TMB_SIBLINGS_MAX + 1];
    bool is_nothing;
    bool is_saturated;
} tmb_delta;

/* tmb_change_delta makes the delta of a change under dot. observed: what the writer has seen (NULL: all of
 * the leaf). room: for the entry's value, at least tmb_change_room(change) bytes that outlive the delta.
 * A change that removes (rm, disable, del; revoke and forbid put an entry) has none; its dot is in the
 * context. A leaf that is full (TMB_SIBLINGS_MAX) is not seen here but by tmb_leaf_join.
 * Errors: TMB_EINVAL (verb and type do not fit, a dot that is none or is in the leaf, room too small). */
TMB_MUST_USE tmb_err tmb_change_delta(tmb_type type, const tmb_change *change, const tmb_leaf *leaf,
                                      const tmb_context *observed, const tmb_dot *dot,
                                      uint8_t *room, size_t room_cap, tmb_delta *ret);
size_t tmb_change_room(const tmb_change *change);

/* tmb_type_is_value_valid says whether bytes can be the value of an entry of type: asked of all that comes
 * from outside. How long a register may be, the caller knows. */
bool tmb_type_is_value_valid(tmb_type type, tmb_bytes value);

/* Reading. Leaves hold valid values. */

/* tmb_register_read gives the entry that is read: greatest stamp, then actor, then bytes; NULL: none. */
const tmb_entry *tmb_register_read(const tmb_leaf *leaf);
tmb_hlc tmb_register_stamp(const tmb_entry *entry);
tmb_bytes tmb_register_bytes(const tmb_entry *entry);

/* tmb_counter_read gives the sum; *ret_is_saturated (may be NULL): it is beyond int64 and reads as the
 * end. */
int64_t tmb_counter_read(tmb_type type, const tmb_leaf *leaf, bool *ret_is_saturated);

/* tmb_counter_amounts reads an entry's own totals (down: 0 for a g_counter); tmb_counter_value writes them,
 * to at most TMB_COUNTER_VALUE_MAX bytes. */
#define TMB_COUNTER_VALUE_MAX 20u
void tmb_counter_amounts(tmb_type type, tmb_bytes value, uint64_t *ret_up, uint64_t *ret_down);
size_t tmb_counter_value(tmb_type type, uint64_t up, uint64_t down, uint8_t *out);

/* tmb_type_is_in: an element is in its set, a flag is on, a map is there. Other types: there is a value. */
bool tmb_type_is_in(tmb_type type, const tmb_leaf *leaf);

/* tmb_extreme_read gives the entry with the greatest or least value; NULL: none. */
const tmb_entry *tmb_extreme_read(tmb_type type, const tmb_leaf *leaf);

#ifdef __cplusplus
}
#endif
#endif
