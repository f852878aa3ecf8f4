// SPDX-License-Identifier: Apache-2.0
/* tests/property/crdt_vectors.c - histories that other stores got wrong, or that surprised, one a test.
 *
 * Each is told as its report tells it; what is asserted is what we promise, written down by hand. The oracle
 * is held beside it, so that the specification promises the same.
 */
#include <setjmp.h>
#include <string.h>

#include "tests/property/seeds.h"
#include "tests/property/world.h"

enum { A, B, C, D };
/* Places in world_places. */
enum {
    MAP = 0,
    REG = 1,
    UP = 2,
    PN = 3,
    AW_X = 4,
    AW_Y = 5,
    RW_X = 6,
    ON = 8,
    OFF = 9,
    HIGHEST = 10,
    INNER = 12,
    INNER_REG = 13,
    AW_Z = 14
};

static world w;

static void begin(unsigned replicas)
{
    world_init(&w, replicas);
}

static void change(unsigned replica, unsigned leaf, tmb_verb verb, uint64_t stamp, unsigned number)
{
    assert_true(world_do(&w, replica, leaf, verb, stamp, number, NULL));
}

static void tell(unsigned from, unsigned to)
{
    world_sync(&w, from, to, WORLD_ALL);
    world_check(&w, to);
}

static oracle_value value_at(unsigned replica, unsigned leaf)
{
    oracle_value value;
    world_check(&w, replica);
    world_value(leaf, &w.replicas[replica].leaves[leaf].leaf, &value);
    return value;
}

static bool is_in(unsigned replica, unsigned leaf)
{
    return value_at(replica, leaf).is_there;
}

/* riak_dt#98: bob removes the friends of a map while anne adds sue to them: sue alone is left. */
static void a_concurrent_add_survives_the_removal_of_its_map_alone(void **state)
{
    (void)state;
    begin(2);
    change(A, MAP, TMB_VERB_NEW, 0, 0);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    tell(A, B);
    assert_int_equal(world_del(&w, B, "m", NULL), 2);
    change(A, AW_Y, TMB_VERB_ADD, 0, 0);
    world_meet(&w);
    assert_false(is_in(A, AW_X));
    assert_true(is_in(A, AW_Y));
    assert_false(is_in(B, MAP));
}

/* riak_dt#92, #93: a field is removed, and made again by who removed it or not, while another adds to it:
 * what the remover had seen is gone in both cases. */
static void what_was_in_a_removed_field_stays_out(void **state)
{
    (void)state;
    for (unsigned is_made_again = 0; is_made_again < 2; is_made_again++) {
        begin(2);
        change(A, AW_X, TMB_VERB_ADD, 0, 0);
        tell(A, B);
        change(B, AW_Y, TMB_VERB_ADD, 0, 0);
        (void)world_del(&w, A, "m", NULL);
        if (is_made_again)
            change(A, AW_Z, TMB_VERB_ADD, 0, 0);
        world_meet(&w);
        assert_false(is_in(B, AW_X));
        assert_true(is_in(B, AW_Y));
        assert_int_equal(is_in(B, AW_Z), is_made_again);
    }
}

/* riak_dt#82: on both sides of a merge, and yet removed: each side has the other's dot seen and dropped. */
static void on_both_sides_and_yet_removed(void **state)
{
    (void)state;
    begin(3);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    change(B, AW_X, TMB_VERB_ADD, 0, 0);
    tell(A, C);
    change(A, AW_X, TMB_VERB_RM, 0, 0);
    tell(B, A);
    change(B, AW_X, TMB_VERB_RM, 0, 0);
    tell(C, A);
    assert_true(is_in(A, AW_X)); /* B's, whose removal A has not heard of */
    tell(A, B);
    assert_false(is_in(B, AW_X));
}

/* riak_dt#78: a removal takes no number there, and was lost in a merge of equal clocks. */
static void a_removal_is_not_lost_between_equal_clocks(void **state)
{
    (void)state;
    begin(3);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    change(A, AW_Y, TMB_VERB_ADD, 0, 0);
    change(B, AW_Z, TMB_VERB_ADD, 0, 0);
    tell(A, C);
    tell(B, C);
    change(A, AW_Y, TMB_VERB_RM, 0, 0);
    tell(C, A);
    assert_true(is_in(A, AW_X));
    assert_false(is_in(A, AW_Y));
    assert_true(is_in(A, AW_Z));
}

/* riak_dt#98, known and ours too: a counter that is removed while its actor counts comes back whole. */
static void a_counter_removed_while_counting_comes_back_whole(void **state)
{
    (void)state;
    begin(2);
    change(A, PN, TMB_VERB_INC, 0, 10);
    change(B, PN, TMB_VERB_INC, 0, 3);
    tell(A, B);
    tell(B, A);
    assert_int_equal(value_at(A, PN).number, 13);
    (void)world_del(&w, B, "m", NULL);
    change(A, PN, TMB_VERB_INC, 0, 1);
    world_meet(&w);
    assert_int_equal(value_at(B, PN).number, 11); /* A's 10 are back, B's 3 are not */
}

/* ... which is why reset counts against what was seen instead: 1 is what is left of the same history. */
static void a_reset_leaves_what_was_counted_at_the_same_time(void **state)
{
    (void)state;
    begin(2);
    change(A, PN, TMB_VERB_INC, 0, 10);
    change(B, PN, TMB_VERB_INC, 0, 3);
    tell(A, B);
    tell(B, A);
    change(B, PN, TMB_VERB_RESET, 0, 0);
    change(A, PN, TMB_VERB_INC, 0, 1);
    world_meet(&w);
    assert_int_equal(value_at(A, PN).number, 1);
}

/* Two that reset at once each take all that they saw: -13 is honest, and the next reset mends it. */
static void two_resets_at_once_count_twice(void **state)
{
    (void)state;
    begin(2);
    change(A, PN, TMB_VERB_INC, 0, 13);
    tell(A, B);
    change(A, PN, TMB_VERB_RESET, 0, 0);
    change(B, PN, TMB_VERB_RESET, 0, 0);
    world_meet(&w);
    assert_int_equal(value_at(A, PN).number, -13);
    change(A, PN, TMB_VERB_RESET, 0, 0);
    world_meet(&w);
    assert_int_equal(value_at(B, PN).number, 0);
}

/* rust-crdt#35: a merge of maps read a clock that it had changed already, so that its result hung on what was
 * merged before; no random test had found it. Here all six orders, after a removal that had not seen all. */
static void no_order_of_telling_decides_about_an_element(void **state)
{
    static const unsigned orders[6][3] = {{A, B, C}, {A, C, B}, {B, A, C},
                                          {B, C, A}, {C, A, B}, {C, B, A}};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        begin(4);
        change(A, AW_X, TMB_VERB_ADD, 0, 0);
        tell(A, B);
        tell(A, C);
        change(B, AW_X, TMB_VERB_ADD, 0, 0);
        tell(B, C);
        (void)world_del(&w, A, "m", NULL);
        change(C, AW_Y, TMB_VERB_ADD, 0, 0);
        for (unsigned k = 0; k < 3; k++)
            tell(orders[i][k], D);
        assert_true(is_in(D, AW_X)); /* B's add, which A had not seen */
        assert_true(is_in(D, AW_Y));
        world_meet(&w);
        assert_true(is_in(A, AW_X));
    }
}

/* rust-crdt#124: a map is removed while a register in it is written: the write alone is left, and nothing of
 * what the remover had seen. */
static void a_write_into_a_removed_map_is_left_alone(void **state)
{
    (void)state;
    begin(2);
    change(A, REG, TMB_VERB_SET, 1, 7);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    change(A, INNER_REG, TMB_VERB_SET, 1, 9);
    tell(A, B);
    (void)world_del(&w, B, "m", NULL);
    change(A, REG, TMB_VERB_SET, 2, 8);
    world_meet(&w);
    assert_int_equal(value_at(B, REG).values, 1);
    assert_int_equal(value_at(B, REG).value[0] & 0xff, 8);
    assert_false(is_in(B, AW_X));
    assert_false(is_in(B, INNER_REG));
}

/* What is removed below a map of maps stays removed when the inner map lives on elsewhere. */
static void an_inner_map_outlives_the_removal_of_the_outer_one(void **state)
{
    (void)state;
    begin(2);
    change(A, INNER, TMB_VERB_NEW, 0, 0);
    change(A, INNER_REG, TMB_VERB_SET, 1, 1);
    change(A, REG, TMB_VERB_SET, 1, 1);
    tell(A, B);
    (void)world_del(&w, A, "m", NULL);
    change(B, INNER, TMB_VERB_NEW, 0, 0);
    world_meet(&w);
    assert_true(is_in(A, INNER));
    assert_false(is_in(A, INNER_REG));
    assert_false(is_in(A, REG));
}

/* TopGun#54, Zenoh#713: a removal that comes back later, from somebody who was away, removes nothing new. */
static void an_old_removal_takes_away_nothing_new(void **state)
{
    (void)state;
    begin(3);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    tell(A, B);
    tell(A, C);
    change(B, AW_X, TMB_VERB_RM, 0, 0);
    change(A, AW_X, TMB_VERB_ADD, 0, 0); /* again, without having heard of B */
    tell(A, C);
    tell(B, C);
    assert_true(is_in(C, AW_X));
    tell(C, B);
    assert_true(is_in(B, AW_X));
    tell(B, A);
    assert_true(is_in(A, AW_X));
}

/* Zenoh#713, the other way: who was away with an old copy brings nothing back. */
static void who_was_away_brings_nothing_back(void **state)
{
    (void)state;
    begin(3);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    change(A, REG, TMB_VERB_SET, 5, 1);
    tell(A, B);
    tell(A, C); /* C leaves */
    (void)world_del(&w, B, "m", NULL);
    tell(B, A);
    tell(C, A);
    tell(C, B);
    assert_false(is_in(A, AW_X));
    assert_false(is_in(B, REG));
    tell(A, C);
    assert_false(is_in(C, AW_X));
    world_meet(&w);
}

/* The six orders of crdt.md 1.1: w1 has a stamp of next year, w3 was written by who had read it, w2 elsewhere
 * at the same time. What was read and written over is gone in every order; the others are both kept. */
static void a_stamp_of_next_year_does_not_eat_a_later_write(void **state)
{
    static const unsigned orders[6][3] = {{A, B, C}, {A, C, B}, {B, A, C},
                                          {B, C, A}, {C, A, B}, {C, B, A}};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        begin(4);
        change(A, REG, TMB_VERB_SET, 99, 1);
        change(B, REG, TMB_VERB_SET, 50, 2);
        tell(A, C);
        change(C, REG, TMB_VERB_SET, 10, 3);
        for (unsigned k = 0; k < 3; k++)
            tell(orders[i][k], D);
        oracle_value value = value_at(D, REG);
        assert_int_equal(value.values, 2);
        assert_int_equal(value.value[0] & 0xff, 3);
        assert_int_equal(value.value[1] & 0xff, 2); /* is read: 50 against 10 */
        world_meet(&w);
        change(A, REG, TMB_VERB_SET, 11, 4);
        world_meet(&w);
        assert_int_equal(value_at(B, REG).values, 1);
    }
}

/* cr-sqlite#271: made again after having been deleted elsewhere: takes a new dot, and stays. */
static void made_again_is_new(void **state)
{
    (void)state;
    begin(2);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    tell(A, B);
    change(B, AW_X, TMB_VERB_RM, 0, 0);
    tell(B, A);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    tell(A, B);
    assert_true(is_in(B, AW_X));
    world_meet(&w);
}

/* What decides when both happen at once, one a type. */
static void who_wins_when_both_happen_at_once(void **state)
{
    static const struct {
        unsigned leaf;
        tmb_verb on, off;
        bool is_in;
    } rows[] = {{AW_X, TMB_VERB_ADD, TMB_VERB_RM, true},
                {RW_X, TMB_VERB_ADMIT, TMB_VERB_REVOKE, false},
                {ON, TMB_VERB_ENABLE, TMB_VERB_DISABLE, true},
                {OFF, TMB_VERB_PERMIT, TMB_VERB_FORBID, false}};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        begin(2);
        change(A, rows[i].leaf, rows[i].on, 0, 0);
        tell(A, B);
        change(A, rows[i].leaf, rows[i].off, 0, 0);
        change(B, rows[i].leaf, rows[i].on, 0, 0);
        world_meet(&w);
        assert_int_equal(is_in(A, rows[i].leaf), rows[i].is_in);
        change(A, rows[i].leaf, rows[i].on, 0, 0);
        world_meet(&w);
        assert_true(is_in(B, rows[i].leaf));
    }
}

/* riak_dt#99 had removals that wait for what they remove. Here one that comes first is known of the leaf, and
 * what it removes is not taken when it comes. */
static void a_removal_may_come_before_what_it_removes(void **state)
{
    (void)state;
    begin(3);
    change(A, AW_X, TMB_VERB_ADD, 0, 0);
    tell(A, B);
    change(B, AW_X, TMB_VERB_RM, 0, 0);
    world_sync(&w, B, C, 1u << AW_X); /* of a pass that breaks off */
    assert_false(is_in(C, AW_X));
    tell(A, C);
    assert_false(is_in(C, AW_X));
    world_meet(&w);
    assert_false(is_in(A, AW_X));
}

/* actor-ts#955: counted before and after a restart under a new incarnation: both count. */
static void a_new_incarnation_counts_beside_the_old_one(void **state)
{
    (void)state;
    begin(2);
    change(A, UP, TMB_VERB_COUNT, 0, 5);
    tell(A, B);
    world_reincarnate(&w, A);
    change(A, UP, TMB_VERB_COUNT, 0, 2);
    world_meet(&w);
    assert_int_equal(value_at(B, UP).number, 7);
}

/* A floor that two raise at once stands at the greater, whoever comes last. */
static void a_floor_stands_at_the_greatest(void **state)
{
    (void)state;
    begin(2);
    change(A, HIGHEST, TMB_VERB_RAISE, 0, 4);
    change(B, HIGHEST, TMB_VERB_RAISE, 0, 9);
    world_meet(&w);
    assert_int_equal(value_at(A, HIGHEST).number, 9);
    assert_false(world_do(&w, A, HIGHEST, TMB_VERB_RAISE, 0, 8, NULL));
    assert_int_equal(value_at(A, HIGHEST).number, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_concurrent_add_survives_the_removal_of_its_map_alone),
        cmocka_unit_test(what_was_in_a_removed_field_stays_out),
        cmocka_unit_test(on_both_sides_and_yet_removed),
        cmocka_unit_test(a_removal_is_not_lost_between_equal_clocks),
        cmocka_unit_test(a_counter_removed_while_counting_comes_back_whole),
        cmocka_unit_test(a_reset_leaves_what_was_counted_at_the_same_time),
        cmocka_unit_test(two_resets_at_once_count_twice),
        cmocka_unit_test(no_order_of_telling_decides_about_an_element),
        cmocka_unit_test(a_write_into_a_removed_map_is_left_alone),
        cmocka_unit_test(an_inner_map_outlives_the_removal_of_the_outer_one),
        cmocka_unit_test(an_old_removal_takes_away_nothing_new),
        cmocka_unit_test(who_was_away_brings_nothing_back),
        cmocka_unit_test(a_stamp_of_next_year_does_not_eat_a_later_write),
        cmocka_unit_test(made_again_is_new),
        cmocka_unit_test(who_wins_when_both_happen_at_once),
        cmocka_unit_test(a_removal_may_come_before_what_it_removes),
        cmocka_unit_test(a_new_incarnation_counts_beside_the_old_one),
        cmocka_unit_test(a_floor_stands_at_the_greatest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
