// SPDX-License-Identifier: Apache-2.0
/* tests/property/crdt_counter.c - counters near their ends, against sums of 128 bits: nothing wraps, what
 * does not fit is said, and who counts at the same time still comes to the same value.
 *
 * The model knows what each replica has heard of each actor's totals. A change counts as far as its own view
 * lets it; concurrent ones may pass the end together, which reads as the end and says so.
 */
#include <setjmp.h>
#include <string.h>

#include "base/rng.h"
#include "crdt/type.h"
#include "tests/property/seeds.h"

enum { REPLICAS = 5, STEPS = 60, VALUES = STEPS + 1 };

__extension__ typedef __int128 wide;

typedef struct totals {
    uint64_t up, down;
} totals;

typedef struct replica {
    tmb_leaf leaf;
    tmb_context clock;
    tmb_base bases[REPLICAS];
    uint64_t last;
    totals heard[REPLICAS]; /* the model */
    bool is_there;
} replica;

static replica all[REPLICAS];
static uint8_t values[VALUES][TMB_COUNTER_VALUE_MAX];
static unsigned values_count;

static tmb_incarnation actor(unsigned i)
{
    tmb_incarnation a = {{(uint8_t)(i + 1)}};
    return a;
}

static wide sum_of(const replica *r)
{
    wide sum = 0;
    for (unsigned i = 0; i < REPLICAS; i++)
        sum += (wide)r->heard[i].up - (wide)r->heard[i].down;
    return sum;
}

static void check(tmb_type type, const replica *r)
{
    wide sum = sum_of(r), end = sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : sum;
    bool is_saturated = sum == end;
    assert_true(tmb_counter_read(type, &r->leaf, &is_saturated) == (int64_t)end);
    assert_int_equal(is_saturated, sum != end);
    assert_int_equal(tmb_type_is_in(type, &r->leaf), r->is_there);
}

static wide least(wide a, wide b)
{
    return a < b ? a : b;
}

/* How much of what is asked for is counted, and whether down. */
static wide expected(const replica *r, unsigned self, tmb_verb verb, wide *asked, bool *is_down)
{
    wide sum = sum_of(r);
    *is_down = verb == TMB_VERB_DEC || (verb == TMB_VERB_RESET && sum > 0);
    wide way = *is_down ? sum - INT64_MIN : INT64_MAX - sum;
    if (verb == TMB_VERB_RESET)
        way = *asked = sum < 0 ? -sum : sum;
    wide own = *is_down ? r->heard[self].down : r->heard[self].up;
    return least(least(*asked, way < 0 ? 0 : way), (wide)UINT64_MAX - own);
}

static void change(tmb_type type, unsigned self, tmb_verb verb, uint64_t amount)
{
    static tmb_delta delta;
    static tmb_leaf joined;
    replica *r = &all[self];
    tmb_dot dot = {actor(self), r->last + 1};
    tmb_change asked_for = {.verb = verb, .amount = amount};
    bool is_down = false;
    wide asked = amount, counted = expected(r, self, verb, &asked, &is_down);
    assert_int_equal(tmb_change_delta(type, &asked_for, &r->leaf, NULL, &dot, values[values_count],
                                      TMB_COUNTER_VALUE_MAX, &delta),
                     TMB_OK);
    assert_int_equal(delta.is_saturated, counted < asked);
    assert_int_equal(delta.is_nothing, counted == 0 && (r->is_there || verb == TMB_VERB_RESET));
    if (delta.is_nothing)
        return;
    values_count++;
    assert_int_equal(tmb_leaf_join(&r->leaf, (tmb_seen){&r->clock, NULL}, &delta.leaf,
                                   (tmb_seen){&delta.context, NULL}, &joined, NULL),
                     TMB_OK);
    r->leaf = joined;
    assert_int_equal(tmb_context_add(&r->clock, &dot), TMB_OK);
    r->last++;
    r->is_there = true;
    *(is_down ? &r->heard[self].down : &r->heard[self].up) += (uint64_t)counted;
}

static void tell(unsigned from, unsigned to)
{
    static tmb_leaf joined;
    replica *a = &all[from], *b = &all[to];
    assert_int_equal(tmb_leaf_join(&b->leaf, (tmb_seen){&b->clock, NULL}, &a->leaf,
                                   (tmb_seen){&a->clock, NULL}, &joined, NULL),
                     TMB_OK);
    b->leaf = joined;
    assert_int_equal(tmb_context_join(&b->clock, &a->clock), TMB_OK);
    b->is_there = b->is_there || a->is_there;
    for (unsigned i = 0; i < REPLICAS; i++) { /* totals never fall */
        b->heard[i].up = a->heard[i].up > b->heard[i].up ? a->heard[i].up : b->heard[i].up;
        b->heard[i].down =
            a->heard[i].down > b->heard[i].down ? a->heard[i].down : b->heard[i].down;
    }
}

/* Small, or around a power of two, or about all there is. */
static uint64_t any_amount(tmb_rng *rng)
{
    uint64_t dice = tmb_rng_below(rng, 6), near = tmb_rng_below(rng, 3);
    if (dice == 0)
        return near;
    if (dice < 4)
        return (UINT64_C(1) << (60 + tmb_rng_below(rng, 4))) - 1 + near;
    return dice == 4 ? UINT64_MAX - near : (uint64_t)INT64_MAX - near;
}

static void begin(void)
{
    memset(all, 0, sizeof all);
    values_count = 0;
    for (unsigned i = 0; i < REPLICAS; i++)
        all[i].clock = tmb_context_of(all[i].bases, REPLICAS, NULL, 0);
}

static void play(tmb_type type, tmb_rng *rng)
{
    static const tmb_verb both_ways[] = {TMB_VERB_INC, TMB_VERB_INC, TMB_VERB_DEC, TMB_VERB_RESET};
    begin();
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned self = (unsigned)tmb_rng_below(rng, REPLICAS);
        unsigned other = (unsigned)tmb_rng_below(rng, REPLICAS);
        tmb_verb verb =
            type == TMB_TYPE_G_COUNTER ? TMB_VERB_COUNT : both_ways[tmb_rng_below(rng, 4)];
        if (tmb_rng_below(rng, 3) > 0)
            change(type, self, verb, any_amount(rng));
        else if (other != self)
            tell(self, other);
        check(type, &all[self]);
        check(type, &all[other]);
    }
    for (unsigned i = 1; i < REPLICAS; i++)
        tell(i, 0);
    for (unsigned i = 1; i < REPLICAS; i++) {
        tell(0, i);
        check(type, &all[i]);
        assert_int_equal(tmb_counter_read(type, &all[i].leaf, NULL),
                         tmb_counter_read(type, &all[0].leaf, NULL));
    }
}

static void counters_stop_at_their_ends(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 4000);) {
        tmb_rng rng = {seed};
        play(TMB_TYPE_PN_COUNTER, &rng);
        play(TMB_TYPE_G_COUNTER, &rng);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(counters_stop_at_their_ends, seeds_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
