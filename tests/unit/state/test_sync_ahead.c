// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_sync_ahead.c - passes that broke off for good, and what happens to others
 * meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/state/world.h"

#define LONG_MS 120000

/* While the hub and a new site compare, another neighbour of the site hears of what the hub has removed and
 * forgotten, and brings it: the comparison has not seen it. */
static void what_comes_while_ranges_are_compared_is_compared_too(void **state)
{
    (void)state;
    unsigned again = 0;
    bool is_over = false;
    for (unsigned frames = 1; !is_over; frames++) {
        world w;
        world_init(&w, 4);
        w.chunk_bytes = 256;
        unsigned first = world_join(&w, 0, 1), other = world_join(&w, 0, 3);
        unsigned beside = world_join(&w, 2, 1), behind = world_join(&w, 2, 3);
        world_set(&w, 0, "gone", "1");
        world_up(&w, other, false);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, other);
        world_fill(&w, 0, 0, 20, "hub");
        world_op(&w, 0, TMB_VERB_DEL, "gone", NULL, 0);
        world_lapse(&w, 0);
        world_up(&w, beside, false);
        assert_true(world_run(&w, LONG_MS));
        w.stop_after = w.taken + frames;
        world_up(&w, first, false);
        is_over = world_run(&w, LONG_MS);
        w.stop_after = 0;
        w.one_way_ms = 10; /* what comes from behind is faster than what is on its way */
        world_up(&w, behind, false);
        assert_true(world_run(&w, LONG_MS));
        again += world_told(&w.lines[first], TMB_SYNC_REPORT_BELOW) > 1;
        assert_true(world_is_equal(&w, 0, 1));
        assert_true(world_is_equal(&w, 1, 3));
        assert_string_equal(world_value(&w, 1, "gone"), "");
        world_free(&w);
    }
    assert_true(again > 0);
}

/* A pass that was held back for a comparison is cut, and its sender goes back to a time at which the removal
 * was not forgotten yet: what was heard of that pass says nothing of the removal. */
static void what_was_heard_under_another_floor_is_told_again(void **state)
{
    (void)state;
    world w;
    kv_memory image = {0};
    world_init(&w, 2);
    w.chunk_bytes = 256;
    unsigned line = world_join(&w, 0, 1);
    world_set(&w, 0, "gone", "1");
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, line);
    world_op(&w, 0, TMB_VERB_DEL, "gone", NULL, 0);
    world_fill(&w, 0, 0, 60, "hub");
    assert_true(kv_memory_copy(&image, &w.nodes[0].disk));
    world_lapse(&w, 0);
    w.stop_after = w.taken + 5; /* SCOPE both ways, and some chunks */
    world_up(&w, line, false);
    assert_false(world_run(&w, LONG_MS));
    w.stop_after = 0;
    assert_int_equal(world_told(&w.lines[line], TMB_SYNC_REPORT_BELOW), 1);
    world_down(&w, line);
    kv_memory_free(&w.nodes[0].disk);
    assert_true(kv_memory_copy(&w.nodes[0].disk, &image));
    kv_memory_free(&image);
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    assert_int_equal(world_told(&w.lines[line], TMB_SYNC_REPORT_BELOW), 0);
    assert_true(world_is_equal(&w, 0, 1));
    assert_string_equal(world_value(&w, 1, "gone"), "");
    world_free(&w);
}

/* The sender of a pass that was never over is gone. Clocks are equal, and leaves are not: the prints tell. */
static void what_only_one_is_ahead_by_comes_to_the_other(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    w.chunk_bytes = 256;
    unsigned up = world_join(&w, 0, 1), line = world_join(&w, 1, 2);
    world_set(&w, 0, "first", "of one that is gone");
    world_fill(&w, 0, 0, 30, "more");
    world_up(&w, line, false);
    world_set(&w, 2, "own", "1");
    assert_true(world_run(&w, LONG_MS));
    w.stop_after = w.taken + 4;
    world_up(&w, up, false);
    assert_false(world_run(&w, LONG_MS));
    w.stop_after = 0;
    world_down(&w, up);
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_load(&w, 1)->extras > 0);
    assert_false(world_is_equal(&w, 1, 2));
    assert_string_equal(world_value(&w, 1, "first"), "of one that is gone");
    assert_string_equal(world_value(&w, 2, "first"), "");
    world_compare(&w, 1);
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_is_equal(&w, 1, 2));
    assert_string_equal(world_value(&w, 2, "first"), "of one that is gone");
    world_compare(&w, 2); /* whom it has changed, once more, which finds nothing */
    assert_true(world_run(&w, LONG_MS));
    uint64_t taken = w.taken;
    for (unsigned i = 0; i < 3; i++)
        world_compare(&w, i % 2 + 1);
    assert_true(world_run(&w, LONG_MS));
    assert_int_equal(w.taken, taken);
    world_free(&w);
}

/* A site that may only read is ahead for good, by what a hub that is gone has sent it: the other hub takes
 * none of it. That is found out once, and not with each round. */
static void who_takes_nothing_is_not_asked_again_and_again(void **state)
{
    (void)state;
    for (unsigned has_own = 0; has_own < 2; has_own++) {
        world w;
        world_init(&w, 3);
        w.chunk_bytes = 256;
        w.nodes[1].may_not_write = true;
        unsigned up = world_join(&w, 0, 1), line = world_join(&w, 2, 1);
        world_set(&w, 0, "first", "of one that is gone");
        world_fill(&w, 0, 0, 30, "more");
        if (has_own)
            world_set(&w, 1, "mine", "1");
        world_set(&w, 2, "own", "1");
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        w.stop_after = w.taken + 4;
        world_up(&w, up, false);
        assert_false(world_run(&w, LONG_MS));
        w.stop_after = 0;
        world_down(&w, up);
        assert_true(world_run(&w, LONG_MS));
        assert_true(world_load(&w, 1)->extras > 0);
        world_compare(&w, 1);
        assert_true(world_run(&w, LONG_MS));
        uint64_t taken = w.taken;
        for (unsigned i = 0; i < 3; i++) {
            world_compare(&w, 1);
            assert_true(world_run(&w, LONG_MS));
        }
        assert_int_equal(w.taken, taken);
        world_free(&w);
    }
}

/* The hub itself is ahead, and has a reader with changes of its own: their clocks are never equal. */
static void who_has_more_than_is_taken_is_not_asked_again_and_again(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    w.chunk_bytes = 256;
    w.nodes[1].may_not_write = true;
    unsigned line = world_join(&w, 2, 1), up = world_join(&w, 0, 2);
    world_fill(&w, 0, 0, 30, "more");
    world_set(&w, 1, "mine", "1");
    world_set(&w, 2, "own", "1");
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    w.stop_after = w.taken + 4;
    world_up(&w, up, false);
    assert_false(world_run(&w, LONG_MS));
    w.stop_after = 0;
    world_down(&w, up);
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_load(&w, 2)->extras > 0);
    world_compare(&w, 2);
    assert_true(world_run(&w, LONG_MS));
    uint64_t taken = w.taken;
    for (unsigned i = 0; i < 3; i++) {
        world_compare(&w, 2);
        assert_true(world_run(&w, LONG_MS));
    }
    assert_int_equal(w.taken, taken);
    world_free(&w);
}

/* The hub has heard of a floor that its own clock does not reach: nothing is compared for that, and who is
 * ahead by a leaf takes the hub's pass as it is. */
static void a_floor_that_the_sender_does_not_reach_is_nothing_to_compare_for(void **state)
{
    (void)state;
    world w;
    world_init(&w, 4);
    unsigned line = world_join(&w, 0, 1), beside = world_join(&w, 0, 2);
    unsigned third = world_join(&w, 0, 3);
    w.chunk_bytes = 256;
    unsigned broken = world_join(&w, 2, 1);
    world_set(&w, 0, "first", "one");
    world_fill(&w, 0, 0, 30, "hub");
    world_up(&w, beside, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, beside);
    world_set(&w, 3, "gone", "1");
    world_op(&w, 3, TMB_VERB_DEL, "gone", NULL, 0);
    world_lapse(&w, 3);
    w.stop_after = w.taken + 1;
    world_up(&w, third, false);
    assert_false(world_run(&w, LONG_MS));
    world_down(&w, third);
    w.stop_after = w.taken + 4;
    world_up(&w, broken, false);
    assert_false(world_run(&w, LONG_MS));
    w.stop_after = 0;
    world_down(&w, broken);
    assert_true(world_load(&w, 1)->extras > 0);
    world_set(&w, 0, "second", "two");
    assert_false(tmb_context_covers(&world_load(&w, 0)->clock, &w.scope.floor));
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    assert_int_equal(world_told(&w.lines[line], TMB_SYNC_REPORT_STUCK), 0);
    assert_true(world_is_equal(&w, 0, 1));
    world_free(&w);
}

/* The hub has removed what it is ahead by. Forgotten before the clock covers it, nobody would hear what the
 * removal was of: not by the index, and not by a comparison, as there is nothing in the leaf. */
static void a_removal_of_what_is_ahead_is_not_forgotten(void **state)
{
    (void)state;
    world w;
    world_init(&w, 4);
    w.chunk_bytes = 256;
    unsigned broken = world_join(&w, 0, 1), before = world_join(&w, 0, 3);
    unsigned line = world_join(&w, 1, 2), behind = world_join(&w, 3, 2);
    world_set(&w, 0, "gone", "1");
    world_fill(&w, 0, 0, 30, "more");
    world_up(&w, before, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, before);
    w.stop_after = w.taken + 4;
    world_up(&w, broken, false);
    assert_false(world_run(&w, LONG_MS));
    w.stop_after = 0;
    world_down(&w, broken);
    assert_string_equal(world_value(&w, 1, "gone"), "1");
    world_op(&w, 1, TMB_VERB_DEL, "gone", NULL, 0);
    world_lapse(&w, 1);
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, line);
    world_up(&w, behind, false);
    assert_true(world_run(&w, LONG_MS));
    assert_string_equal(world_value(&w, 2, "gone"), "");
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    world_lapse(&w, 1);
    assert_int_equal(world_load(&w, 1)->removals, 0); /* the clock covers it now */
    assert_true(world_is_equal(&w, 1, 2));
    world_free(&w);
}

/* Removals that stay, as their leaves are ahead, lie before others in the index: those are forgotten, too. */
static void what_stays_does_not_hide_what_may_be_forgotten(void **state)
{
    (void)state;
    world w;
    unsigned lapsed = 0, forgotten = 0;
    world_init(&w, 2);
    w.chunk_bytes = 256;
    unsigned broken = world_join(&w, 0, 1);
    world_set(&w, 0, "gone", "1");
    world_fill(&w, 0, 0, 30, "more");
    w.stop_after = w.taken + 4;
    world_up(&w, broken, false);
    assert_false(world_run(&w, LONG_MS));
    w.stop_after = 0;
    world_down(&w, broken);
    assert_string_equal(world_value(&w, 1, "gone"), "1");
    world_op(&w, 1, TMB_VERB_DEL, "gone", NULL, 0);
    world_set(&w, 1, "own", "1");
    world_op(&w, 1, TMB_VERB_DEL, "own", NULL, 0);
    tmb_scope *scope = world_load(&w, 1);
    assert_int_equal(scope->removals, 2);
    assert_int_equal(tmb_scope_lapse(scope, INT64_MAX / 2, 1, UINT64_MAX, &lapsed), TMB_OK);
    assert_int_equal(tmb_scope_forget(scope, 1, &forgotten), TMB_OK);
    assert_int_equal(forgotten, 1);
    assert_int_equal(scope->removals, 1);
    world_free(&w);
}

/* The hub hears of "two" by a pass that is cut, and of "three", which has replaced it, by another one. The
 * first goes on to its end and the clock covers "two": who takes that clock must not stay at "one". */
static void what_was_ahead_and_replaced_from_ahead_is_told_on(void **state)
{
    (void)state;
    unsigned met = 0;
    for (unsigned frames = 3; frames < 120; frames += 6) {
        world w;
        world_init(&w, 4);
        w.chunk_bytes = 256;
        unsigned first = world_join(&w, 0, 1), site = world_join(&w, 1, 2);
        unsigned third = world_join(&w, 3, 1), beside = world_join(&w, 0, 3);
        world_set(&w, 2, "r", "one");
        world_up(&w, site, false);
        assert_true(world_run(&w, LONG_MS));
        world_up(&w, first, false);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, first);
        world_down(&w, site);
        world_set(&w, 0, "r", "two");
        world_fill(&w, 0, 0, 20, "hub");
        world_up(&w, beside, false);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, beside);
        world_set(&w, 3, "r", "three");
        world_fill(&w, 3, 30, 20, "third");
        w.stop_after = w.taken + 4;
        world_up(&w, first, false);
        assert_false(world_run(&w, LONG_MS));
        world_down(&w, first);
        assert_string_equal(world_value(&w, 1, "r"), "two");
        w.stop_after = w.taken + frames;
        world_up(&w, third, false);
        bool is_over = world_run(&w, LONG_MS);
        w.stop_after = 0;
        world_down(&w, third);
        bool has_three = strcmp(world_value(&w, 1, "r"), "three") == 0;
        met += has_three && !is_over;
        world_up(&w, first, false);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, first);
        world_up(&w, site, false);
        assert_true(world_run(&w, LONG_MS));
        assert_string_equal(world_value(&w, 2, "r"), has_three ? "three" : "two");
        world_free(&w);
    }
    assert_true(met > 0);
}

/* What the site gave before it was put back is known to the other parent by one leaf alone, from a pass that
 * was cut: no clock says so, and the leaf does. */
static void who_was_put_back_hears_of_it_by_a_leaf_too(void **state)
{
    (void)state;
    world w;
    kv_memory image = {0};
    world_init(&w, 3);
    w.chunk_bytes = 256;
    unsigned first = world_join(&w, 0, 1), hubs = world_join(&w, 0, 2),
             other = world_join(&w, 2, 1);
    world_set(&w, 0, "r", "one");
    world_up(&w, first, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, first);
    assert_true(kv_memory_copy(&image, &w.nodes[1].disk));
    world_set(&w, 1, "r", "two");
    world_fill(&w, 1, 0, 30, "site");
    w.stop_after = w.taken + 5;
    world_up(&w, first, false);
    assert_false(world_run(&w, LONG_MS));
    w.stop_after = 0;
    world_down(&w, first);
    assert_string_equal(world_value(&w, 0, "r"), "two");
    world_up(&w, hubs, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, hubs);
    assert_string_equal(world_value(&w, 2, "r"), "two");
    world_set(&w, 2, "r", "three");
    kv_memory_free(&w.nodes[1].disk);
    assert_true(kv_memory_copy(&w.nodes[1].disk, &image));
    kv_memory_free(&image);
    world_up(&w, other, false);
    assert_true(world_run(&w, LONG_MS));
    assert_int_equal(w.lines[other].ends[1].reports[TMB_SYNC_REPORT_REBORN], 1);
    assert_int_equal(world_told(&w.lines[other], TMB_SYNC_REPORT_STUCK), 0);
    assert_string_equal(world_value(&w, 1, "r"), "three");
    world_compare(&w, 2);
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_is_equal(&w, 1, 2));
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_while_ranges_are_compared_is_compared_too),
        cmocka_unit_test(what_was_heard_under_another_floor_is_told_again),
        cmocka_unit_test(what_only_one_is_ahead_by_comes_to_the_other),
        cmocka_unit_test(who_takes_nothing_is_not_asked_again_and_again),
        cmocka_unit_test(who_has_more_than_is_taken_is_not_asked_again_and_again),
        cmocka_unit_test(a_floor_that_the_sender_does_not_reach_is_nothing_to_compare_for),
        cmocka_unit_test(a_removal_of_what_is_ahead_is_not_forgotten),
        cmocka_unit_test(what_stays_does_not_hide_what_may_be_forgotten),
        cmocka_unit_test(what_was_ahead_and_replaced_from_ahead_is_told_on),
        cmocka_unit_test(who_was_put_back_hears_of_it_by_a_leaf_too),
    };
    return cmocka_run_group_tests_name("unit.state.sync_ahead", tests, NULL, NULL);
}
