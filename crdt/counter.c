// SPDX-License-Identifier: Apache-2.0
/* crdt/counter.c - counters: each actor has one entry with all that it ever counted; the value is their sum.
 *
 *   entry's value   g_counter: varint up      pn_counter: varint up, varint down
 *
 * A change replaces the actor's own entry and no other, so tokens make no difference to inc, dec and count.
 * reset counts against what was observed, until the sum is 0: what others count at the same time stays. With
 * a token it is the sum of the entries that are still as they were read.
 *
 * Nothing wraps. An actor's totals go to 2^64 - 1 and the value that is read is an int64; a change that would
 * go beyond counts as far as it goes, and says that it is saturated. Only counting elsewhere at the same time
 * can bring the sum beyond; then the value reads as the end that it passed, and says so.
 *
 * Follows: riak_dt_emcntr (one dot and two totals an actor); Shapiro et al. 2011, specification 7 (PN).
 * Differs: actors are incarnations, never names of sites, so what was restored or copied does not count under
 * a number that another has counted under; reset compensates rather than removes, which commutes.
 * Removing a counter takes away the entries that were observed. An actor that counted on at the same time has
 * put all of its totals under a new dot, so they come back: known since riak_dt#98, and pinned by a test.
 */
#include "base/varint.h"
#include "crdt/rule.h"

/* 128 bits, since a sum of 64 totals has up to 70. */
typedef struct sum {
    uint64_t high, low;
} sum;

static void sum_add(sum *s, uint64_t amount)
{
    s->low += amount;
    s->high += s->low < amount;
}

/* The difference without its sign; *ret_is_below: b is greater. */
static sum sum_difference(sum a, sum b, bool *ret_is_below)
{
    bool is_below = a.high != b.high ? a.high < b.high : a.low < b.low;
    sum greater = is_below ? b : a, less = is_below ? a : b;
    *ret_is_below = is_below;
    return (sum){greater.high - less.high - (greater.low < less.low), greater.low - less.low};
}

/* At most UINT64_MAX of it. */
static uint64_t sum_distance(sum a, sum b, bool *ret_is_below)
{
    sum difference = sum_difference(a, b, ret_is_below);
    return difference.high > 0 ? UINT64_MAX : difference.low;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void tmb_counter_amounts(tmb_type type, tmb_bytes value, uint64_t *ret_up, uint64_t *ret_down)
{
    tmb_reader r = tmb_reader_of(value);
    *ret_up = tmb_get_varint(&r);
    *ret_down = type == TMB_TYPE_PN_COUNTER ? tmb_get_varint(&r) : 0;
}

size_t tmb_counter_value(tmb_type type, uint64_t up, uint64_t down, uint8_t *out)
{
    tmb_writer w = tmb_writer_of(out, TMB_COUNTER_VALUE_MAX);
    tmb_put_varint(&w, up);
    if (type == TMB_TYPE_PN_COUNTER)
        tmb_put_varint(&w, down);
    return (size_t)(w.at - out);
}

bool tmb_counter_is_valid(tmb_type type, tmb_bytes value)
{
    tmb_reader r = tmb_reader_of(value);
    (void)tmb_get_varint(&r);
    if (type == TMB_TYPE_PN_COUNTER)
        (void)tmb_get_varint(&r);
    return !r.bad && tmb_reader_left(&r) == 0;
}

int64_t tmb_counter_read(tmb_type type, const tmb_leaf *leaf, bool *ret_is_saturated)
{
    sum ups = {0, 0}, downs = {0, 0};
    for (unsigned i = 0; i < leaf->count; i++) {
        uint64_t up, down;
        tmb_counter_amounts(type, leaf->entries[i].value, &up, &down);
        sum_add(&ups, up);
        sum_add(&downs, down);
    }
    bool is_below;
    uint64_t distance = sum_distance(ups, downs, &is_below);
    uint64_t end = (uint64_t)INT64_MAX + is_below;
    if (ret_is_saturated)
        *ret_is_saturated = distance > end;
    if (distance >= end)
        return is_below ? INT64_MIN : INT64_MAX;
    return is_below ? -(int64_t)distance : (int64_t)distance;
}

/* What a change finds: the actor's own totals, and the sums of those that it is about. */
typedef struct found {
    uint64_t own_up, own_down;
    sum ups, downs;
} found;

static found look(const tmb_rule *rule)
{
    found f = {0};
    bool is_reset = rule->change->verb == TMB_VERB_RESET;
    for (unsigned i = 0; i < rule->leaf->count; i++) {
        const tmb_entry *entry = &rule->leaf->entries[i];
        uint64_t up, down;
        tmb_counter_amounts(rule->type, entry->value, &up, &down);
        if (tmb_incarnation_eq(entry->dot.actor, rule->dot->actor)) {
            f.own_up = add_saturated(f.own_up, up);
            f.own_down = add_saturated(f.own_down, down);
        }
        if (!is_reset || tmb_rule_is_observed(rule, entry)) {
            sum_add(&f.ups, up);
            sum_add(&f.downs, down);
        }
    }
    return f;
}

/* How far the value may go up (or down) before it is at the end of int64. */
static uint64_t way_left(const found *f, bool is_down)
{
    bool is_below;
    uint64_t distance = sum_distance(f->ups, f->downs, &is_below);
    uint64_t end = (uint64_t)INT64_MAX + is_down;
    if (is_below !=
        is_down) /* to the other side first; 2^64 - 1 is all that one change can ask for */
        return add_saturated(distance, end);
    return distance < end ? end - distance : 0;
}

tmb_err tmb_rule_counter(const tmb_rule *rule)
{
    tmb_verb verb = rule->change->verb;
    found f = look(rule);
    bool is_down = verb == TMB_VERB_DEC, is_below = false, is_more = false;
    uint64_t asked = rule->change->amount, amount;
    if (verb == TMB_VERB_RESET) {
        asked = sum_distance(f.ups, f.downs, &is_below);
        is_more = sum_difference(f.ups, f.downs, &is_below).high > 0;
        is_down = !is_below;
        amount = asked;
    } else {
        amount = least(asked, way_left(&f, is_down));
    }
    amount = least(amount, UINT64_MAX - (is_down ? f.own_down : f.own_up));
    rule->delta->is_saturated = amount < asked || is_more;
    /* Counting nothing makes a counter that is not there yet, and is nothing to one that is. */
    if (amount == 0 && (rule->leaf->count > 0 || verb == TMB_VERB_RESET))
        return TMB_OK;
    for (unsigned i = 0; i < rule->leaf->count; i++) {
        const tmb_entry *entry = &rule->leaf->entries[i];
        tmb_err err = TMB_OK;
        if (tmb_incarnation_eq(entry->dot.actor, rule->dot->actor))
            err = tmb_rule_remove(rule, entry);
        if (err != TMB_OK)
            return err;
    }
    size_t len = tmb_counter_value(rule->type, f.own_up + (is_down ? 0 : amount),
                                   f.own_down + (is_down ? amount : 0), rule->room);
    return tmb_rule_put(rule, tmb_bytes_of(rule->room, len));
}
