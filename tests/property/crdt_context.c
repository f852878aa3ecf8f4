// SPDX-License-Identifier: Apache-2.0
/* tests/property/crdt_context.c - contexts against a table of booleans: whatever is added in whatever order,
 * a context is the set of dots, and the set has one form.
 *
 * The table knows nothing of bases and runs. Numbers stand on a ground that moves, so that those near
 * TMB_SEQ_MAX are played as well as the first ones.
 */
#include <setjmp.h>
#include <string.h>

#include "base/rng.h"
#include "crdt/context.h"
#include "tests/property/seeds.h"

enum { ACTORS = 4, DOTS = 28, STEPS = 60, SETS = 3, BYTES_MAX = 8192 };

/* What is seen of each actor: dots 1..DOTS, or so many above ground. */
typedef struct table {
    bool has[ACTORS][DOTS + 2]; /* one before and one behind, never seen */
} table;

static uint64_t ground; /* 0: dots begin at 1 */

static tmb_incarnation actor(unsigned i)
{
    tmb_incarnation a = {{0}};
    a.bytes[0] = (uint8_t)(i % 2 ? 200 : 7); /* so that the last byte decides, or the first */
    a.bytes[15] = (uint8_t)i;
    return a;
}

static tmb_dot dot(unsigned a, unsigned n)
{
    tmb_dot d = {actor(a), ground + n};
    return d;
}

static void compare(const tmb_context *c, const table *t)
{
    for (unsigned a = 0; a < ACTORS; a++) {
        tmb_incarnation who = actor(a);
        uint64_t last = 0, base = 0;
        bool is_whole = ground == 0;
        for (unsigned n = 1; n <= DOTS; n++) {
            tmb_dot d = dot(a, n);
            assert_int_equal(tmb_context_has(c, &d), t->has[a][n]);
            last = t->has[a][n] ? d.seq : last;
            is_whole = is_whole && t->has[a][n];
            base = is_whole ? d.seq : base;
        }
        tmb_dot none = {who, 0}, above = {who, TMB_SEQ_MAX};
        assert_false(tmb_context_has(c, &none));
        if (ground + DOTS < TMB_SEQ_MAX)
            assert_false(tmb_context_has(c, &above));
        assert_true(tmb_context_last(c, &who) == last);
        assert_true(tmb_context_base(c, &who) == base);
    }
}

/* The one form: sorted, apart from each other, nothing empty; and bytes that come back. */
static void check_form(const tmb_context *c)
{
    static uint8_t bytes[BYTES_MAX], again[BYTES_MAX];
    static tmb_context_room room;
    for (unsigned i = 0; i < c->bases_count; i++) {
        assert_true(c->bases[i].seq > 0);
        assert_true(i == 0 || tmb_incarnation_cmp(&c->bases[i - 1].actor, &c->bases[i].actor) < 0);
    }
    for (unsigned i = 0; i < c->runs_count; i++) {
        const tmb_run *run = &c->runs[i];
        assert_true(run->first <= run->last);
        assert_true(run->first > tmb_context_base(c, &run->actor) + 1);
        int order = i == 0 ? -1 : tmb_incarnation_cmp(&c->runs[i - 1].actor, &run->actor);
        assert_true(order < 0 || (order == 0 && c->runs[i - 1].last + 1 < run->first));
    }
    tmb_writer w = tmb_writer_of(bytes, tmb_context_size(c));
    tmb_context_put(&w, c);
    assert_true(!w.bad && w.at == w.end);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, tmb_context_size(c)));
    tmb_context back = tmb_context_in(&room);
    assert_int_equal(tmb_context_get(&r, &back), TMB_OK);
    assert_true(tmb_reader_left(&r) == 0 && tmb_context_eq(&back, c));
    tmb_writer w_again = tmb_writer_of(again, sizeof again);
    tmb_context_put(&w_again, &back);
    assert_memory_equal(bytes, again, tmb_context_size(c));
}

static void add_something(tmb_rng *rng, tmb_context *c, table *t)
{
    unsigned a = (unsigned)tmb_rng_below(rng, ACTORS);
    unsigned first = 1 + (unsigned)tmb_rng_below(rng, DOTS), last = first;
    tmb_incarnation who = actor(a);
    if (tmb_rng_below(rng, 3) > 0) {
        tmb_dot d = dot(a, first);
        assert_int_equal(tmb_context_add(c, &d), TMB_OK);
    } else {
        last += (unsigned)tmb_rng_below(rng, 6);
        last = last > DOTS ? DOTS : last;
        assert_int_equal(tmb_context_add_run(c, &who, ground + first, ground + last), TMB_OK);
    }
    for (unsigned n = first; n <= last; n++)
        t->has[a][n] = true;
}

static bool is_within(const table *small, const table *large)
{
    for (unsigned a = 0; a < ACTORS; a++)
        for (unsigned n = 1; n <= DOTS; n++)
            if (small->has[a][n] && !large->has[a][n])
                return false;
    return true;
}

static void unite(table *t, const table *other)
{
    for (unsigned a = 0; a < ACTORS; a++)
        for (unsigned n = 1; n <= DOTS; n++)
            t->has[a][n] = t->has[a][n] || other->has[a][n];
}

/* Union of all in both orders and groupings: one struct, and no set is left smaller by it. */
static void check_laws(const tmb_context sets[SETS], const table tables[SETS])
{
    static tmb_context_room left_room, right_room, inner_room;
    tmb_context left = tmb_context_in(&left_room), right = tmb_context_in(&right_room),
                inner = tmb_context_in(&inner_room);
    table all = tables[0];
    unite(&all, &tables[1]);
    unite(&all, &tables[2]);
    assert_int_equal(tmb_context_copy(&left, &sets[0]), TMB_OK);
    assert_int_equal(tmb_context_join(&left, &sets[1]), TMB_OK);
    assert_int_equal(tmb_context_join(&left, &sets[2]), TMB_OK);
    assert_int_equal(tmb_context_copy(&inner, &sets[2]), TMB_OK);
    assert_int_equal(tmb_context_join(&inner, &sets[1]), TMB_OK);
    assert_int_equal(tmb_context_copy(&right, &inner), TMB_OK);
    assert_int_equal(tmb_context_join(&right, &sets[0]), TMB_OK);
    compare(&left, &all);
    check_form(&left);
    assert_true(tmb_context_eq(&left, &right));
    assert_int_equal(tmb_context_join(&left, &right), TMB_OK);
    assert_true(tmb_context_eq(&left, &right));
    for (unsigned i = 0; i < SETS; i++) {
        assert_true(tmb_context_covers(&left, &sets[i]));
        for (unsigned k = 0; k < SETS; k++)
            assert_int_equal(tmb_context_covers(&sets[i], &sets[k]),
                             is_within(&tables[k], &tables[i]));
    }
}

static void a_context_is_the_set_of_its_dots(void **state)
{
    static tmb_context_room rooms[SETS];
    static const uint64_t grounds[] = {0, 0, 0, 1000, TMB_SEQ_MAX - DOTS};
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 1500);) {
        tmb_rng rng = {seed};
        tmb_context sets[SETS];
        table tables[SETS];
        memset(tables, 0, sizeof tables);
        ground = grounds[tmb_rng_below(&rng, sizeof grounds / sizeof *grounds)];
        for (unsigned i = 0; i < SETS; i++) {
            unsigned steps = (unsigned)tmb_rng_below(&rng, STEPS);
            sets[i] = tmb_context_in(&rooms[i]);
            for (unsigned step = 0; step < steps; step++) {
                add_something(&rng, &sets[i], &tables[i]);
                if (step % 8 == 0)
                    check_form(&sets[i]);
            }
            compare(&sets[i], &tables[i]);
            check_form(&sets[i]);
        }
        check_laws(sets, tables);
    }
}

/* All the ways to add six dots of one actor: 6! orders, each prefix of each. */
static void every_order_of_six(unsigned taken, tmb_context *c, table *t)
{
    compare(c, t);
    check_form(c);
    for (unsigned n = 1; n <= 6; n++) {
        tmb_base bases[1];
        tmb_run runs[4];
        tmb_context next = tmb_context_of(bases, 1, runs, 4);
        tmb_dot d = dot(1, n);
        if (taken & 1u << n)
            continue;
        assert_int_equal(tmb_context_copy(&next, c), TMB_OK);
        assert_int_equal(tmb_context_add(&next, &d), TMB_OK);
        t->has[1][n] = true;
        every_order_of_six(taken | 1u << n, &next, t);
        t->has[1][n] = false;
    }
}

static void no_order_of_adding_makes_a_difference(void **state)
{
    tmb_base bases[1];
    tmb_run runs[4];
    tmb_context none = tmb_context_of(bases, 1, runs, 4);
    table t;
    (void)state;
    memset(&t, 0, sizeof t);
    ground = 0;
    every_order_of_six(0, &none, &t);
    ground = 5; /* all of it in the cloud */
    every_order_of_six(0, &none, &t);
}

/* With little room: a refused dot leaves all as it was, and what fits is right. */
static void a_full_context_refuses_and_stays(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seeds_next(&seed, 500);) {
        tmb_rng rng = {seed};
        tmb_base bases[2];
        tmb_run runs[3];
        tmb_context c = tmb_context_of(bases, 2, runs, 3);
        table t;
        memset(&t, 0, sizeof t);
        ground = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            unsigned a = (unsigned)tmb_rng_below(&rng, ACTORS);
            unsigned n = 1 + (unsigned)tmb_rng_below(&rng, DOTS);
            tmb_dot d = dot(a, n);
            tmb_err err = tmb_context_add(&c, &d);
            assert_true(err == TMB_OK || err == TMB_ELIMIT);
            if (err == TMB_OK)
                t.has[a][n] = true;
            compare(&c, &t);
            check_form(&c);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_context_is_the_set_of_its_dots, seeds_tell),
        cmocka_unit_test(no_order_of_adding_makes_a_difference),
        cmocka_unit_test_teardown(a_full_context_refuses_and_stays, seeds_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
