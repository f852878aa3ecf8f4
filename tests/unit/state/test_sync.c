// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_sync.c - the sync of a scope between nodes: what comes, what is lost, who was
 * away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tests/unit/state/world.h"

#define LONG_MS 120000

static void both_sides_come_to_have_both(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    unsigned line = world_join(&w, 0, 1);
    world_set(&w, 0, "a", "of the hub");
    world_set(&w, 1, "b", "of the site");
    world_set(&w, 0, "c", "one");
    world_set(&w, 1, "c", "two");
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_is_equal(&w, 0, 1));
    assert_string_equal(world_value(&w, 0, "b"), "of the site");
    assert_string_equal(world_value(&w, 1, "a"), "of the hub");
    assert_int_equal(world_told(&w.lines[0], TMB_SYNC_REPORT_MET), 2);
    assert_int_equal(world_told(&w.lines[0], TMB_SYNC_REPORT_EQUAL), 2);
    assert_int_equal(world_told(&w.lines[0], TMB_SYNC_REPORT_STUCK), 0);
    assert_true(tmb_sync_is_quiet(&w.lines[0].ends[0].sync));
    assert_true(tmb_sync_is_quiet(&w.lines[0].ends[1].sync));
    world_free(&w);
}

static void a_live_change_is_one_frame_and_one_back(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    unsigned line = world_join(&w, 0, 1);
    world_set(&w, 0, "a", "1");
    world_up(&w, line, true);
    assert_true(world_run(&w, LONG_MS));
    for (unsigned side = 0; side < 2; side++) {
        uint64_t frames = w.lines[0].ends[side].frames, back = w.lines[0].ends[1 - side].frames;
        uint64_t bytes = w.lines[0].ends[side].bytes;
        world_set(&w, side, "line/7/speed", "1450");
        assert_true(world_run(&w, LONG_MS));
        assert_int_equal(w.lines[0].ends[side].frames, frames + 1);
        assert_int_equal(w.lines[0].ends[1 - side].frames, back + 1);
        print_message("a change is %u bytes\n", (unsigned)(w.lines[0].ends[side].bytes - bytes));
        assert_in_range(w.lines[0].ends[side].bytes - bytes, 30, 160);
        assert_true(world_is_equal(&w, 0, 1));
    }
    world_free(&w);
}

static void what_is_changed_while_a_pass_is_out_goes_with_the_next(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    unsigned line = world_join(&w, 0, 1);
    world_up(&w, line, true);
    assert_true(world_run(&w, LONG_MS));
    uint64_t frames = w.lines[0].ends[0].leaves_frames;
    for (unsigned i = 0; i < 50; i++) {
        char path[16];
        snprintf(path, sizeof path, "k%u", i);
        world_set(&w, 0, path, "v");
    }
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_is_equal(&w, 0, 1));
    assert_int_equal(w.lines[0].ends[0].leaves_frames, frames + 2);
    world_free(&w);
}

static void what_a_site_says_comes_to_another_through_the_hub(void **state)
{
    (void)state;
    world w;
    world_init(&w, 4);
    world_join(&w, 0, 1);
    world_join(&w, 0, 2);
    world_join(&w, 2, 3);
    for (unsigned i = 0; i < 3; i++)
        world_up(&w, i, false);
    assert_true(world_run(&w, LONG_MS));
    world_op(&w, 1, TMB_VERB_ADD, "orders", "wo-17", 0);
    world_op(&w, 3, TMB_VERB_INC, "parts", NULL, 3);
    assert_true(world_run(&w, LONG_MS));
    world_op(&w, 2, TMB_VERB_RM, "orders", "wo-17", 0);
    world_op(&w, 1, TMB_VERB_DEC, "parts", NULL, 1);
    assert_true(world_run(&w, LONG_MS));
    for (unsigned i = 1; i < 4; i++)
        assert_true(world_is_equal(&w, 0, i));
    world_free(&w);
}

typedef struct loss {
    unsigned seen, which, count; /* the frames from number which on are lost, so many */
} loss;

static bool lose_some(void *arg, unsigned from, const tmb_frame *frame)
{
    loss *l = arg;
    (void)from;
    (void)frame;
    unsigned number = l->seen++;
    return number >= l->which && number < l->which + l->count;
}

/* Whichever frame is lost, it is noticed and made good without a new session, within a few answer times. */
static void any_lost_frame_is_made_good(void **state)
{
    (void)state;
    for (unsigned both = 0; both < 2; both++) {
        for (unsigned which = 0; which < 18; which++) {
            world w;
            loss l = {.which = which, .count = 1 + which % 3};
            world_init(&w, 2);
            w.chunk_bytes = 1024;
            unsigned line = world_join(&w, 0, 1);
            world_fill(&w, 0, 0, 20, "hub");
            world_fill(&w, 1, 100, 20, "site");
            w.lines[0].loses = lose_some;
            w.lines[0].arg = &l;
            world_up(&w, line, both);
            assert_true(world_run(&w, LONG_MS));
            assert_true(world_is_equal(&w, 0, 1));
            assert_int_equal(world_told(&w.lines[0], TMB_SYNC_REPORT_STUCK), 0);
            assert_true(l.seen > which);
            world_free(&w);
        }
    }
}

static void a_bad_line_is_slow_and_no_more(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    w.chunk_bytes = 2048;
    unsigned line = world_join(&w, 0, 1);
    loss l = {.count = 0};
    world_fill(&w, 0, 0, 60, "hub");
    world_fill(&w, 1, 100, 60, "site");
    w.lines[0].loses = lose_some;
    w.lines[0].arg = &l;
    world_up(&w, line, false);
    for (unsigned i = 0; i < 200; i++) { /* every third frame */
        l.which = l.seen / 3 * 3 + 2;
        l.count = 1;
        (void)world_run(&w, 300);
    }
    l.count = 0;
    assert_true(world_run(&w, 600000));
    assert_true(world_is_equal(&w, 0, 1));
    world_free(&w);
}

/* A line that is cut after any of its frames: what has come does not come again. */
static void a_pass_goes_on_where_it_was_cut(void **state)
{
    (void)state;
    uint64_t once = 0, frames = 0;
    for (unsigned cut = 0; cut == 0 || cut < frames; cut++) { /* 0: never */
        world w;
        world_init(&w, 2);
        w.chunk_bytes = 1024;
        unsigned line = world_join(&w, 0, 1);
        world_fill(&w, 0, 0, 40, "hub");
        world_fill(&w, 1, 100, 10, "site");
        world_up(&w, line, cut % 2 == 0);
        w.stop_after = cut;
        if (cut > 0) {
            assert_false(world_run(&w, LONG_MS));
            world_down(&w, line);
            w.stop_after = 0;
            world_up(&w, line, cut % 4 == 1);
        }
        assert_true(world_run(&w, LONG_MS));
        assert_true(world_is_equal(&w, 0, 1));
        if (cut == 0) {
            once = w.came_bytes;
            frames = w.taken;
            assert_true(frames > 15);
        }
        assert_in_range(w.came_bytes, once - once / 50,
                        once + once / 50); /* keys share more, or less */
        world_free(&w);
    }
}

/* The hub of a pass that was cut is put back to before: what stood behind the end of that pass for values it
 * has again will never come from it. False: the pass was not cut. */
static bool put_back_after(unsigned frames)
{
    world w;
    kv_memory image = {0};
    world_init(&w, 3);
    unsigned far = world_join(&w, 0, 2);
    w.chunk_bytes = 1024;
    unsigned near = world_join(&w, 0, 1);
    world_fill(&w, 2, 0, 20, "first");
    world_up(&w, far, false);
    assert_true(world_run(&w, LONG_MS));
    assert_true(kv_memory_copy(&image, &w.nodes[0].disk));
    world_fill(&w, 2, 0, 10, "again");
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, far);
    w.stop_after = w.taken + frames;
    world_up(&w, near, false);
    bool is_cut = !world_run(&w, LONG_MS);
    w.stop_after = 0;
    world_down(&w, near);
    kv_memory_free(&w.nodes[0].disk);
    assert_true(kv_memory_copy(&w.nodes[0].disk, &image));
    world_up(&w, near, false);
    assert_true(world_run(&w, LONG_MS));
    assert_int_equal(world_load(&w, 1)->fingerprint.leaves, 20);
    world_compare(&w, 1); /* what it heard and nobody else has any more */
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_is_equal(&w, 0, 1));
    kv_memory_free(&image);
    world_free(&w);
    return is_cut;
}

static void a_pass_of_a_hub_that_went_back_begins_anew(void **state)
{
    (void)state;
    unsigned frames = 1;
    while (put_back_after(frames))
        frames++;
    assert_true(frames > 5);
}

static void a_node_that_may_only_read_changes_nothing(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    w.nodes[1].may_not_write = true;
    unsigned line = world_join(&w, 0, 1);
    world_set(&w, 0, "a", "of the hub");
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_is_equal(&w, 0, 1));
    world_set(&w, 1, "b", "not allowed");
    assert_true(world_run(&w, LONG_MS));
    assert_string_equal(world_value(&w, 0, "b"), "");
    assert_int_equal(w.lines[0].ends[0].reports[TMB_SYNC_REPORT_DENIED], 1);
    assert_int_equal(w.lines[0].ends[1].reports[TMB_SYNC_REPORT_REFUSED], 1);
    world_set(&w, 0, "c", "still heard");
    assert_true(world_run(&w, LONG_MS));
    assert_string_equal(world_value(&w, 1, "c"), "still heard");
    world_free(&w);
}

static void who_was_away_too_long_compares_ranges(void **state)
{
    (void)state;
    for (unsigned many = 0; many < 2; many++) {
        world w;
        world_init(&w, 3);
        unsigned line = world_join(&w, 0, 1), count = many ? 3000 : 100;
        char path[32];
        world_fill(&w, 0, 0, count, "hub");
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        assert_true(world_is_equal(&w, 0, 1));
        world_down(&w, line);
        for (unsigned i = 0; i < count; i += many ? 2 : 10) {
            snprintf(path, sizeof path, "line/%u/x%u", i % 7, i);
            world_op(&w, 0, TMB_VERB_DEL, path, NULL, 0);
        }
        world_set(&w, 1, "line/0/x0", "kept: concurrent");
        world_set(&w, 1, "new", "of the site");
        world_set(&w, 0, "new too", "of the hub");
        world_lapse(&w, 0);
        assert_false(tmb_context_is_empty(&world_load(&w, 0)->floor));
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        assert_int_equal(world_told(&w.lines[0], TMB_SYNC_REPORT_BELOW), 1);
        assert_int_equal(world_told(&w.lines[0], TMB_SYNC_REPORT_RANGED), 1);
        assert_true(world_is_equal(&w, 0, 1));
        assert_string_equal(world_value(&w, 1, "line/0/x0"), "kept: concurrent");
        assert_string_equal(world_value(&w, 1, "line/3/x10"), "");
        assert_string_equal(world_value(&w, 0, "new"), "of the site");
        print_message("%u leaves: %u and %u bytes\n", count, (unsigned)w.lines[0].ends[0].bytes,
                      (unsigned)w.lines[0].ends[1].bytes);
        world_free(&w);
    }
}

/* The hub has forgotten a removal. Who has nothing yet may be brought by another what was removed, so it is
 * compared, too, and takes on the floor. */
static void a_new_neighbour_is_compared_where_removals_were_forgotten(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    unsigned first = world_join(&w, 0, 1), second = world_join(&w, 0, 2);
    unsigned beside = world_join(&w, 2, 1);
    world_set(&w, 0, "kept", "1");
    world_set(&w, 0, "gone", "1");
    world_up(&w, first, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, first);
    world_op(&w, 0, TMB_VERB_DEL, "gone", NULL, 0);
    world_lapse(&w, 0);
    assert_string_equal(world_value(&w, 1, "gone"), "1");
    world_up(&w, second, false);
    assert_true(world_run(&w, LONG_MS));
    assert_int_equal(world_told(&w.lines[second], TMB_SYNC_REPORT_BELOW), 1);
    assert_int_equal(world_told(&w.lines[second], TMB_SYNC_REPORT_RANGED), 1);
    assert_true(world_is_equal(&w, 0, 2));
    assert_false(tmb_context_is_empty(&world_load(&w, 2)->floor));
    world_up(&w, beside, false);
    assert_true(world_run(&w, LONG_MS));
    for (unsigned node = 0; node < 3; node++)
        assert_string_equal(world_value(&w, node, "gone"), "");
    assert_true(world_is_equal(&w, 1, 2));
    assert_true(world_is_equal(&w, 0, 1));
    world_free(&w);
}

/* Any frame of that is lost: the same. */
static void a_comparison_outlives_losses(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 16; which++) {
        world w;
        char path[32];
        loss l = {.which = which, .count = 1};
        world_init(&w, 2);
        w.chunk_bytes = 1024;
        unsigned line = world_join(&w, 0, 1);
        world_fill(&w, 0, 0, 60, "hub");
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, line);
        for (unsigned i = 0; i < 60; i += 4) {
            snprintf(path, sizeof path, "line/%u/x%u", i % 7, i);
            world_op(&w, 0, TMB_VERB_DEL, path, NULL, 0);
        }
        world_fill(&w, 1, 100, 10, "site");
        world_lapse(&w, 0);
        w.lines[0].loses = lose_some;
        w.lines[0].arg = &l;
        world_up(&w, line, which % 2 == 0);
        assert_true(world_run(&w, LONG_MS));
        assert_true(world_is_equal(&w, 0, 1));
        world_free(&w);
    }
}

static void a_restored_node_goes_on_under_another_name(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        world w;
        kv_memory backup = {0};
        world_init(&w, 2);
        unsigned line = world_join(&w, 0, 1);
        world_set(&w, 0, "a", "1");
        world_set(&w, 1, "b", "1");
        world_op(&w, who, TMB_VERB_INC, "parts", NULL, 5);
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, line);
        assert_true(kv_memory_copy(&backup, &w.nodes[who].disk));
        world_up(&w, line, false);
        world_set(&w, who, "after", "the backup");
        world_op(&w, who, TMB_VERB_INC, "parts", NULL, 2);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, line);
        kv_memory_free(&w.nodes[who].disk);
        assert_true(kv_memory_copy(&w.nodes[who].disk, &backup));
        kv_memory_free(&backup);
        tmb_incarnation before = world_load(&w, who)->self;
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        assert_int_equal(w.lines[0].ends[who].reports[TMB_SYNC_REPORT_REBORN], 1);
        assert_int_equal(w.lines[0].ends[1 - who].reports[TMB_SYNC_REPORT_REBORN], 0);
        assert_false(tmb_incarnation_eq(before, world_load(&w, who)->self));
        assert_true(world_is_equal(&w, 0, 1));
        assert_string_equal(world_value(&w, who, "after"), "the backup");
        tmb_leaf_key key = {.path = tmb_bytes_str("parts"), .type = TMB_TYPE_PN_COUNTER};
        tmb_leaf leaf;
        bool is_saturated;
        assert_int_equal(tmb_scope_leaf(world_load(&w, 1 - who), &key, &leaf), TMB_OK);
        assert_int_equal(tmb_counter_read(TMB_TYPE_PN_COUNTER, &leaf, &is_saturated), 7);
        world_free(&w);
    }
}

/* All of an offline time comes to the neighbour in one chunk, so it knows no point inside of it; the image is
 * from the midst of that time. */
static void what_was_in_the_image_is_not_given_anew(void **state)
{
    (void)state;
    for (unsigned wrote = 0; wrote < 2; wrote++) {
        world w;
        kv_memory image = {0};
        world_init(&w, 2);
        unsigned line = world_join(&w, 0, 1);
        world_op(&w, 1, TMB_VERB_INC, "parts", NULL, 5);
        world_op(&w, 1, TMB_VERB_ADD, "orders", "wo-1", 0);
        assert_true(kv_memory_copy(&image, &w.nodes[1].disk));
        world_op(&w, 1, TMB_VERB_INC, "parts", NULL, 2);
        world_set(&w, 1, "after", "the image");
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        world_down(&w, line);
        world_op(&w, 0, TMB_VERB_RM, "orders", "wo-1", 0);
        kv_memory_free(&w.nodes[1].disk);
        assert_true(kv_memory_copy(&w.nodes[1].disk, &image));
        kv_memory_free(&image);
        tmb_scope_start(world_load(&w, 1));
        world_save(&w, 1);
        if (wrote)
            world_op(&w, 1, TMB_VERB_INC, "parts", NULL, 100);
        world_up(&w, line, false);
        assert_true(world_run(&w, LONG_MS));
        assert_int_equal(w.lines[0].ends[1].reports[TMB_SYNC_REPORT_REBORN], 1);
        assert_true(world_is_equal(&w, 0, 1));
        assert_string_equal(world_value(&w, 1, "after"), "the image");
        tmb_leaf_key parts = {.path = tmb_bytes_str("parts"), .type = TMB_TYPE_PN_COUNTER};
        tmb_leaf_key order = {tmb_bytes_str("orders"), TMB_TYPE_AW_SET, tmb_bytes_str("wo-1")};
        tmb_leaf leaf;
        assert_int_equal(tmb_scope_leaf(world_load(&w, 0), &parts, &leaf), TMB_OK);
        assert_int_equal(tmb_counter_read(TMB_TYPE_PN_COUNTER, &leaf, NULL), wrote ? 107 : 7);
        assert_int_equal(tmb_scope_leaf(world_load(&w, 1), &order, &leaf), TMB_OK);
        assert_false(tmb_type_is_in(TMB_TYPE_AW_SET, &leaf));
        world_free(&w);
    }
}

static void a_clone_that_wrote_keeps_what_it_wrote(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    unsigned first = world_join(&w, 0, 1), second = world_join(&w, 0, 2);
    world_set(&w, 1, "a", "1");
    world_op(&w, 1, TMB_VERB_INC, "parts", NULL, 5);
    world_up(&w, first, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, first);
    assert_true(kv_memory_copy(&w.nodes[2].disk, &w.nodes[1].disk));
    strcpy(w.nodes[2].name, w.nodes[1].name);
    world_set(&w, 1, "of", "the first");
    world_op(&w, 1, TMB_VERB_INC, "parts", NULL, 10);
    world_set(&w, 2, "of the second", "too");
    world_op(&w, 2, TMB_VERB_INC, "parts", NULL, 100);
    world_set(&w, 2, "and", "more");
    world_up(&w, first, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, first);
    world_up(&w, second, false);
    assert_true(world_run(&w, LONG_MS));
    assert_int_equal(w.lines[second].ends[1].reports[TMB_SYNC_REPORT_REBORN], 1);
    assert_true(world_is_equal(&w, 0, 2));
    assert_string_equal(world_value(&w, 0, "of"), "the first");
    assert_string_equal(world_value(&w, 0, "of the second"), "too");
    assert_string_equal(world_value(&w, 0, "and"), "more");
    tmb_leaf_key key = {.path = tmb_bytes_str("parts"), .type = TMB_TYPE_PN_COUNTER};
    tmb_leaf leaf;
    bool is_saturated;
    assert_int_equal(tmb_scope_leaf(world_load(&w, 0), &key, &leaf), TMB_OK);
    assert_int_equal(tmb_counter_read(TMB_TYPE_PN_COUNTER, &leaf, &is_saturated), 115);
    world_free(&w);
}

/* Whoever may only read must not be able to make the other end give up its incarnation. */
static void who_may_only_read_makes_nobody_begin_anew(void **state)
{
    (void)state;
    world w;
    kv_memory backup = {0};
    world_init(&w, 2);
    w.nodes[1].may_not_write = true;
    unsigned line = world_join(&w, 0, 1);
    world_set(&w, 0, "a", "1");
    world_up(&w, line, false);
    assert_true(world_run(&w, LONG_MS));
    assert_true(kv_memory_copy(&backup, &w.nodes[0].disk));
    world_set(&w, 0, "a", "2");
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, line);
    kv_memory_free(&w.nodes[0].disk);
    assert_true(kv_memory_copy(&w.nodes[0].disk, &backup));
    kv_memory_free(&backup);
    tmb_incarnation before = world_load(&w, 0)->self;
    world_up(&w, line, false);
    (void)world_run(&w, LONG_MS); /* the reader asks again, at longer and longer intervals */
    assert_int_equal(w.lines[0].ends[0].reports[TMB_SYNC_REPORT_REBORN], 0);
    assert_true(w.lines[0].ends[0].reports[TMB_SYNC_REPORT_FORKED] > 0);
    assert_true(tmb_incarnation_eq(before, world_load(&w, 0)->self));
    world_free(&w);
}

/* Nor to compare ranges with everybody: a floor comes with what it may write. */
static void who_may_only_read_raises_no_floor(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    w.nodes[1].may_not_write = true;
    unsigned line = world_join(&w, 0, 1);
    world_set(&w, 0, "a", "1");
    world_op(&w, 1, TMB_VERB_ADD, "set", "e", 0);
    world_op(&w, 1, TMB_VERB_RM, "set", "e", 0);
    world_lapse(&w, 1);
    assert_true(world_load(&w, 1)->floor.bases_count > 0);
    world_up(&w, line, false);
    (void)world_run(&w, LONG_MS);
    assert_int_equal(world_load(&w, 0)->floor.bases_count, 0);
    world_free(&w);
}

static tmb_sync_actions acted;

static bool begins_a_job(tmb_sync *sync, const tmb_frame *frame)
{
    tmb_sync_event event = {.type = TMB_SYNC_FRAME, .now = sync->now, .frame = frame};
    assert_int_equal(tmb_sync_step(sync, &event, &acted), TMB_OK);
    return tmb_sync_is_busy(sync);
}

static void job_is_done(tmb_sync *sync, tmb_job_kind kind, const tmb_frame *frame)
{
    tmb_job_result result = {.kind = kind, .is_complete = true, .is_all = true};
    tmb_sync_event event = {.type = TMB_SYNC_DONE, .now = sync->now, .result = &result};
    result.frames_count = frame != NULL;
    result.frames[0] = frame;
    assert_int_equal(tmb_sync_step(sync, &event, &acted), TMB_OK);
}

/* A machine in turn 1 whose neighbour is in turn 5, with one chunk out. */
static void frames_of_a_turn_that_is_over_do_nothing(void **state)
{
    (void)state;
    tmb_sync sync;
    tmb_sync_options options = {.may_write = true, .answer_ms = 10};
    static tmb_sync_room room;
    tmb_sync_event open = {.type = TMB_SYNC_OPEN, .session = 3, .speaks = true};
    tmb_sync_init(&sync, "fleet", &options);
    sync.room = &room;
    assert_int_equal(tmb_sync_step(&sync, &open, &acted), TMB_OK);
    tmb_frame out = {.type = TMB_FRAME_SCOPE}, scope = {.type = TMB_FRAME_SCOPE};
    job_is_done(&sync, TMB_JOB_GREET, &out);
    scope.u.scope = (tmb_frame_scope){.session = 3, .turn = 5, .answers = 1};
    assert_true(begins_a_job(&sync, &scope));
    job_is_done(&sync, TMB_JOB_MEET, NULL);
    assert_int_equal(acted.v[acted.n - 1].job.kind, TMB_JOB_SCAN);
    out.type = TMB_FRAME_LEAVES;
    job_is_done(&sync, TMB_JOB_SCAN, &out);
    assert_false(tmb_sync_is_busy(&sync));

    assert_false(begins_a_job(&sync, &scope)); /* said twice */
    tmb_frame stored = {.type = TMB_FRAME_STORED};
    stored.u.stored = (tmb_frame_stored){.session = 3, .turn = 4};
    assert_false(begins_a_job(&sync, &stored));
    assert_false(tmb_sync_is_quiet(&sync)); /* nothing is acknowledged */
    tmb_frame leaves = {.type = TMB_FRAME_LEAVES};
    leaves.u.leaves = (tmb_frame_leaves){.session = 3, .turn = 2};
    assert_false(begins_a_job(&sync, &leaves));
    tmb_frame ranges = {.type = TMB_FRAME_RANGES};
    ranges.u.ranges = (tmb_frame_ranges){.session = 3, .turn = 5, .round = 2};
    assert_false(begins_a_job(&sync, &ranges));

    ranges.u.ranges.turn = leaves.u.leaves.turn = 1;
    assert_true(begins_a_job(&sync, &ranges));
    job_is_done(&sync, TMB_JOB_RANGES, NULL);
    assert_true(begins_a_job(&sync, &leaves));
    job_is_done(&sync, TMB_JOB_JOIN, NULL);
    stored.u.stored.turn = 5;
    assert_true(begins_a_job(&sync, &stored)); /* the neighbour has all: to be written down */
    assert_int_equal(acted.v[acted.n - 1].job.kind, TMB_JOB_ACKED);
}

/* The machine's own pass, of one chunk, is on the neighbour's disk. */
static void pass_is_stored(tmb_sync *sync, uint32_t turn)
{
    tmb_frame leaves = {.type = TMB_FRAME_LEAVES}, stored = {.type = TMB_FRAME_STORED};
    job_is_done(sync, TMB_JOB_SCAN, &leaves);
    stored.u.stored = (tmb_frame_stored){.session = 3, .turn = turn};
    assert_true(begins_a_job(sync, &stored));
    job_is_done(sync, TMB_JOB_ACKED, NULL);
}

/* A chunk of each turn does not fit, whatever is said: after a few turns the machine asks at longer and
 * longer intervals, though the chunk before it was taken each time, and though the neighbour takes all of
 * ours. */
static void ask_for_what_never_fits(bool is_telling)
{
    tmb_sync sync;
    tmb_sync_options options = {.may_write = true, .answer_ms = 10};
    static tmb_sync_room room;
    tmb_sync_event open = {.type = TMB_SYNC_OPEN, .session = 3, .speaks = true};
    tmb_sync_init(&sync, "fleet", &options);
    sync.room = &room;
    assert_int_equal(tmb_sync_step(&sync, &open, &acted), TMB_OK);
    tmb_frame out = {.type = TMB_FRAME_SCOPE}, scope = {.type = TMB_FRAME_SCOPE};
    tmb_frame leaves = {.type = TMB_FRAME_LEAVES};
    unsigned turns = 0;
    int64_t waits_ms[8] = {0};
    while (turns < 8) {
        int64_t at = sync.now.ns;
        if (!tmb_sync_is_busy(&sync)) { /* it waits before it asks again */
            tmb_sync_event late = {.type = TMB_SYNC_TIMEOUT, .now = tmb_sync_deadline(&sync)};
            assert_int_equal(tmb_sync_step(&sync, &late, &acted), TMB_OK);
            waits_ms[turns] = (sync.now.ns - at) / 1000000;
        }
        turns++;
        job_is_done(&sync, TMB_JOB_GREET, &out);
        scope.u.scope = (tmb_frame_scope){.session = 3, .turn = turns, .answers = turns};
        assert_true(begins_a_job(&sync, &scope));
        tmb_job_result met = {.kind = TMB_JOB_MEET, .is_behind = true};
        tmb_sync_event done_meet = {.type = TMB_SYNC_DONE, .now = sync.now, .result = &met};
        assert_int_equal(tmb_sync_step(&sync, &done_meet, &acted), TMB_OK);
        if (is_telling)
            pass_is_stored(&sync, turns);
        else
            job_is_done(&sync, TMB_JOB_SCAN, NULL);
        for (unsigned n = 0; n < 2; n++) {
            tmb_job_result result = {.kind = TMB_JOB_JOIN, .is_behind = true, .is_stale = n == 1};
            tmb_sync_event done = {.type = TMB_SYNC_DONE, .now = sync.now, .result = &result};
            leaves.u.leaves = (tmb_frame_leaves){.session = 3, .turn = turns, .n = n};
            assert_true(begins_a_job(&sync, &leaves));
            assert_int_equal(tmb_sync_step(&sync, &done, &acted), TMB_OK);
            tmb_sync_event left = {.type = TMB_SYNC_SENT, .now = sync.now};
            while (sync.unsent > 0)
                assert_int_equal(tmb_sync_step(&sync, &left, &acted), TMB_OK);
        }
    }
    assert_int_equal(waits_ms[TMB_SYNC_TRIES_MAX - 1], 0);
    assert_true(waits_ms[TMB_SYNC_TRIES_MAX] > 10);
    assert_true(waits_ms[TMB_SYNC_TRIES_MAX + 1] > waits_ms[TMB_SYNC_TRIES_MAX]);
}

static void what_never_fits_is_asked_for_more_and_more_rarely(void **state)
{
    (void)state;
    ask_for_what_never_fits(false);
    ask_for_what_never_fits(true);
}

static void contracts_are_kept(void **state)
{
    (void)state;
    tmb_sync sync;
    tmb_sync_options options = {.may_write = true, .answer_ms = 10};
    static tmb_sync_actions actions;
    static tmb_sync_room room;
    static tmb_job_result result;
    tmb_sync_event event = {.type = TMB_SYNC_OPEN, .session = 3, .speaks = true};
    assert_true(sizeof(tmb_sync) < 300);
    tmb_sync_init(&sync, "fleet", &options);
    assert_true(tmb_sync_is_quiet(&sync));
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_EINVAL); /* no room */
    sync.room = &room;
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_OK);
    assert_int_equal(actions.n, 1);
    assert_int_equal(actions.v[0].job.kind, TMB_JOB_GREET);
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_EINVAL); /* busy */
    result.kind = TMB_JOB_SCAN;
    event = (tmb_sync_event){.type = TMB_SYNC_DONE, .result = &result};
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_EINVAL); /* of another job */
    result.kind = TMB_JOB_GREET;
    result.err = TMB_EIO;
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_OK);
    assert_int_equal(actions.v[0].report, TMB_SYNC_REPORT_FAILED);
    assert_int_equal(tmb_sync_deadline(&sync).ns, 10000000);
    event = (tmb_sync_event){.type = TMB_SYNC_TIMEOUT, .now = tmb_sync_deadline(&sync)};
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_OK);
    assert_int_equal(actions.v[0].job.kind, TMB_JOB_GREET); /* again */
    event = (tmb_sync_event){.type = TMB_SYNC_CLOSE, .now = sync.now};
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_OK);
    assert_true(tmb_sync_is_busy(&sync));
    event = (tmb_sync_event){.type = TMB_SYNC_DONE, .now = sync.now, .result = &result};
    assert_int_equal(tmb_sync_step(&sync, &event, &actions), TMB_OK);
    assert_true(tmb_sync_is_quiet(&sync));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_come_to_have_both),
        cmocka_unit_test(a_live_change_is_one_frame_and_one_back),
        cmocka_unit_test(what_is_changed_while_a_pass_is_out_goes_with_the_next),
        cmocka_unit_test(what_a_site_says_comes_to_another_through_the_hub),
        cmocka_unit_test(any_lost_frame_is_made_good),
        cmocka_unit_test(a_bad_line_is_slow_and_no_more),
        cmocka_unit_test(a_pass_goes_on_where_it_was_cut),
        cmocka_unit_test(a_pass_of_a_hub_that_went_back_begins_anew),
        cmocka_unit_test(a_node_that_may_only_read_changes_nothing),
        cmocka_unit_test(who_was_away_too_long_compares_ranges),
        cmocka_unit_test(a_new_neighbour_is_compared_where_removals_were_forgotten),
        cmocka_unit_test(a_comparison_outlives_losses),
        cmocka_unit_test(a_restored_node_goes_on_under_another_name),
        cmocka_unit_test(what_was_in_the_image_is_not_given_anew),
        cmocka_unit_test(a_clone_that_wrote_keeps_what_it_wrote),
        cmocka_unit_test(who_may_only_read_makes_nobody_begin_anew),
        cmocka_unit_test(who_may_only_read_raises_no_floor),
        cmocka_unit_test(frames_of_a_turn_that_is_over_do_nothing),
        cmocka_unit_test(what_never_fits_is_asked_for_more_and_more_rarely),
        cmocka_unit_test(contracts_are_kept),
    };
    return cmocka_run_group_tests_name("unit.state.sync", tests, NULL, NULL);
}
