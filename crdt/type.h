// SPDX-License-Identifier: Apache-2.0
/* crdt/type.h - the types: what a change puts into a leaf, what it removes, and how what is left is read.
 *
 *   type         leaf                entry's value            changes           two sides at once
 *   register     one                 stamp, bytes             set               both kept, the greater is
 *   read
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
 * with
 * the context that a client has read (observed) removes what he saw and nothing else.
 *
 * lww_register and mv_register of the literature are two ways to read the one register: concurrent values are
 * kept, however far apart their clocks, until somebody writes after having seen them; collapsing them early
 * by
 * stamp is not a join (docs/adr/0027-one-kernel-for-all-types.md). Counters follow riak_dt_emcntr: one
 * entry an
 * actor with its own totals. A counter that is removed with its map while somebody counts comes back with
 * that
 * actor's whole total: known, and pinned by a test.
 * Sources, in order: Shapiro et al. 2011 (3.2: registers, 3.1 counters, 3.3 sets), Bieniusa et al. 2012
 * (aw_set),
 * Almeida, Shoker, Baquero 2018 (7.4-7.5: rw_set, flags, maps), Brown et al. 2014 "Riak DT map"
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

/* verb, number, word, the type that it makes */
#define TMB_VERB_LIST(X)                                                                           \
    X(SET, 1, "set", REGISTER) X(INC, 2, "inc", PN_COUNTER) X(DEC, 3, "dec", PN_COUNTER)           \
    X(RESET, 4, "reset", PN_COUNTER) X(COUNT, 5, "count", G_COUNTER)                               \
    X(ADD, 6, "add", AW_SET) X(RM, 7, "rm", AW_SET)                                                \
    X(ADMIT, 8, "admit", RW_SET) X(REVOKE, 9, "revoke", RW_SET) X(INSERT, 10, "insert", G_SET)     \
    X(ENABLE, 11, "enable", EW_FLAG) X(DISABLE, 12, "disable", EW_FLAG)                            \
    X(PERMIT, 13, "permit", DW_FLAG) X(FORBID, 14, "forbid", DW_FLAG)                              \
    X(RAISE, 15, "raise", MAX) X(LOWER, 16, "lower", MIN) X(NEW, 17, "new", MAP)                   \
    X(DEL, 18, "del", NONE)
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
#define TMB_VERB_ENUM(name, number, word, type) TMB_VERB_##name = (number),
    TMB_VERB_LIST(TMB_VERB_ENUM)
#undef TMB_VERB_ENUM
} tmb_verb;

/* Names for topics, logs and JSON; static text, "none" for no type or verb. */
const char *tmb_type_str(tmb_type type);
const char *tmb_verb_str(tmb_verb verb);

/* tmb_verb_of_word gives TMB_VERB_NONE for a word that is no verb. */
tmb_verb tmb_verb_of_word(tmb_bytes word);

/* tmb_verb_type gives the type whose leaf the verb changes; TMB_TYPE_NONE for del, which is for any. */
tmb_type tmb_verb_type(tmb_verb verb);

/* tmb_type_is_set: one leaf an element. */
bool tmb_type_is_set(tmb_type type);

/* One change of one leaf. */
typedef struct tmb_change {
    tmb_verb verb;
    tmb_hlc stamp; /* of set */
    tmb_bytes
        value; /* of set: any bytes; of raise and lower: bytes whose order is that of the numbers */
    uint64_t amount; /* of inc, dec and count: how much */
} tmb_change;

/* What a change is, to be joined: at most one entry, and the dots that it has seen. */
typedef struct tmb_delta {
    tmb_leaf leaf;
    tmb_context context; /* the entry's or removal's own dot, and every dot it removes */
    tmb_run runs[TMB_SIBLINGS_MAX + 1];
    tmb_base bases[TMB_SIBLINGS_MAX + 1];
    bool is_nothing; /* the leaf is already so: no dot is used */
    bool
        is_saturated; /* a counter stands at its end and does not count further: reported, never wrapped */
} tmb_delta;

/* tmb_change_delta makes the delta of a change under dot. observed: what the writer has seen (NULL: all of
 * the
 * leaf). room: for the entry's value, at least tmb_change_room(change) bytes that outlive the delta.
 * A change that removes (rm, revoke of rw_set puts, disable, del) has no entry; its dot is in the context.
 * Errors: TMB_EINVAL (verb and type do not fit). */
TMB_MUST_USE tmb_err tmb_change_delta(tmb_type type, const tmb_change *change, const tmb_leaf *leaf,
                                      const tmb_context *observed, const tmb_dot *dot,
                                      uint8_t *room, size_t room_cap, tmb_delta *ret);
size_t tmb_change_room(const tmb_change *change);

/* tmb_type_is_value_valid says whether bytes can be the value of an entry of type: asked of all that comes
 * from
 * outside. */
bool tmb_type_is_value_valid(tmb_type type, tmb_bytes value);

/* Reading. Leaves hold valid values. */

/* tmb_register_read gives the entry that is read: greatest stamp, then actor, then bytes; NULL: none. */
const tmb_entry *tmb_register_read(const tmb_leaf *leaf);
tmb_hlc tmb_register_stamp(const tmb_entry *entry);
tmb_bytes tmb_register_bytes(const tmb_entry *entry);

/* tmb_counter_read gives the sum; *ret_is_saturated: it is beyond int64 and stands at its end. */
int64_t tmb_counter_read(tmb_type type, const tmb_leaf *leaf, bool *ret_is_saturated);

/* tmb_counter_amounts reads an entry's own totals (down: 0 for a g_counter); tmb_counter_value writes them,
 * to
 * at most TMB_COUNTER_VALUE_MAX bytes. */
#define TMB_COUNTER_VALUE_MAX 20u
void tmb_counter_amounts(tmb_type type, tmb_bytes value, uint64_t *ret_up, uint64_t *ret_down);
size_t tmb_counter_value(tmb_type type, uint64_t up, uint64_t down, uint8_t *out);

/* tmb_type_is_in: an element is in its set, a flag is on, a map is there. */
bool tmb_type_is_in(tmb_type type, const tmb_leaf *leaf);

/* tmb_extreme_read gives the entry with the greatest or least value; NULL: none. */
const tmb_entry *tmb_extreme_read(tmb_type type, const tmb_leaf *leaf);

#ifdef __cplusplus
}
#endif
#endif
