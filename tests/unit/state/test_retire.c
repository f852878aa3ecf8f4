// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_retire.c - a neighbour of which somebody said that it does not come back: nothing
 * waits for it, its place is free, and should it come, nothing of it is lost or back from the dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/state/world.h"

#define LONG_MS 120000

static const char *value_of(world *w, unsigned node, const char *path)
{
    static tmb_leaf leaf;
    static char text[64];
    tmb_leaf_key key = {.path = tmb_bytes_str(path), .type = TMB_TYPE_REGISTER};
    assert_int_equal(tmb_scope_leaf(world_load(w, node), &key, &leaf), TMB_OK);
    text[0] = 0;
    if (leaf.count > 0) {
        tmb_bytes bytes = tmb_register_bytes(tmb_register_read(&leaf));
        assert_true(bytes.len < sizeof text);
        memcpy(text, bytes.ptr, bytes.len);
        text[bytes.len] = 0;
    }
    return text;
}

static tmb_bytes name_of(const world *w, unsigned node)
{
    return tmb_bytes_str(w->nodes[node].name);
}

/* At node 0. */
static void retire(world *w, unsigned node)
{
    unsigned forgotten = 0;
    tmb_scope *scope = world_load(w, 0);
    assert_int_equal(tmb_scope_retire(scope, name_of(w, node)), TMB_OK);
    assert_int_equal(tmb_scope_forget(scope, 10000, &forgotten), TMB_OK);
    world_save(w, 0);
}

/* Others take its place: its row goes. */
static void fill_places(world *w)
{
    static tmb_neighbour other;
    char name[16];
    tmb_scope *scope = world_load(w, 0);
    tmb_neighbour_init(&other);
    other.state = TMB_MEMBER_LAPSED;
    for (unsigned i = 0; i < TMB_NEIGHBOURS_MAX; i++) {
        snprintf(name, sizeof name, "place-%u", i);
        tmb_err err = tmb_scope_neighbour_put(scope, tmb_bytes_str(name), &other);
        assert_true(err == TMB_OK || err == TMB_ELIMIT);
    }
    world_save(w, 0);
}

/* A hub, a site, and another that is always there; what is removed while the site is away. */
static void begin(world *w)
{
    world_init(w, 3);
    world_join(w, 0, 1);
    world_join(w, 0, 2);
    world_set(w, 0, "kept", "1");
    world_set(w, 1, "gone", "of the site");
    world_set(w, 0, "gone too", "of the hub");
    world_up(w, 0, false);
    world_up(w, 1, false);
    assert_true(world_run(w, LONG_MS));
    world_down(w, 0);
    world_op(w, 0, TMB_VERB_DEL, "gone", NULL, 0);
    world_op(w, 0, TMB_VERB_DEL, "gone too", NULL, 0);
    world_set(w, 1, "own", "of the time alone");
    world_op(w, 1, TMB_VERB_INC, "parts", NULL, 7);
    assert_true(world_run(w, LONG_MS));
}

static void nothing_waits_for_it(void **state)
{
    (void)state;
    static tmb_neighbour it;
    uint64_t held = 0;
    world w;
    begin(&w);
    assert_int_equal(tmb_scope_neighbour_get(world_load(&w, 0), name_of(&w, 1), &it), TMB_OK);
    assert_int_equal(tmb_scope_held_back(&w.scope, &it, 100, &held), TMB_OK);
    assert_int_equal(held, 2);
    assert_int_equal(tmb_scope_held_back(&w.scope, &it, 1, &held), TMB_OK);
    assert_int_equal(held, 1); /* counted so far */
    assert_int_equal(tmb_scope_behind(&w.scope, &it), 2);
    assert_int_equal(tmb_scope_retire(&w.scope, tmb_bytes_str("nobody")), TMB_ENOENT);
    assert_int_equal(tmb_scope_retire(&w.scope, tmb_bytes_str("")), TMB_EINVAL);
    retire(&w, 1);
    assert_int_equal(world_load(&w, 0)->removals, 0);
    assert_int_equal(tmb_scope_neighbour_get(&w.scope, name_of(&w, 1), &it), TMB_OK);
    assert_int_equal(it.state, TMB_MEMBER_RETIRED);
    assert_int_equal(tmb_scope_held_back(&w.scope, &it, 100, &held), TMB_OK);
    assert_int_equal(held, 0);
    assert_true(it.points_count > 0);
    retire(&w, 1); /* once more: the same */
    world_free(&w);
}

/* Who refuses says so, too: people look there for why a site has no state. */
static void one_without_a_place_is_refused_and_both_tell(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    world_join(&w, 0, 1);
    world_set(&w, 0, "kept", "1");
    fill_places(&w);
    world_up(&w, 0, false);
    assert_true(world_run(&w, LONG_MS));
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(w.lines[0].ends[side].reports[TMB_SYNC_REPORT_REFUSED], 1);
        assert_int_equal(w.lines[0].ends[side].sync.state, TMB_SYNC_RESTING);
    }
    assert_string_equal(value_of(&w, 1, "kept"), "");
    world_free(&w);
}

/* With its row, and when the row is gone, too. */
static void who_comes_back_after_all_brings_its_own_and_nothing_removed(void **state)
{
    (void)state;
    for (unsigned is_row_gone = 0; is_row_gone < 2; is_row_gone++) {
        static tmb_neighbour it;
        world w;
        begin(&w);
        retire(&w, 1);
        assert_false(tmb_context_is_empty(&world_load(&w, 0)->floor));
        if (is_row_gone)
            fill_places(&w);
        assert_int_equal(tmb_scope_neighbour_get(world_load(&w, 0), name_of(&w, 1), &it),
                         is_row_gone ? TMB_ENOENT : TMB_OK);
        if (is_row_gone) /* somebody has to go in turn */
            assert_int_equal(tmb_scope_retire(&w.scope, tmb_bytes_str("place-7")), TMB_OK);
        world_save(&w, 0);
        world_up(&w, 0, false);
        assert_true(world_run(&w, LONG_MS));
        world_line *line = &w.lines[0];
        assert_int_equal(line->ends[0].reports[TMB_SYNC_REPORT_BELOW] +
                             line->ends[1].reports[TMB_SYNC_REPORT_BELOW],
                         1);
        assert_int_equal(line->ends[0].reports[TMB_SYNC_REPORT_RANGED] +
                             line->ends[1].reports[TMB_SYNC_REPORT_RANGED],
                         1);
        assert_true(world_is_equal(&w, 0, 1));
        assert_true(world_is_equal(&w, 0, 2));
        for (unsigned node = 0; node < 3; node++) {
            assert_string_equal(value_of(&w, node, "gone"), "");
            assert_string_equal(value_of(&w, node, "gone too"), "");
            assert_string_equal(value_of(&w, node, "kept"), "1");
            assert_string_equal(value_of(&w, node, "own"), "of the time alone");
        }
        assert_int_equal(tmb_scope_neighbour_get(world_load(&w, 0), name_of(&w, 1), &it), TMB_OK);
        assert_int_equal(it.state, TMB_MEMBER_ACTIVE);
        world_op(&w, 0, TMB_VERB_DEL, "kept", NULL, 0);
        assert_true(world_run(&w, LONG_MS));
        assert_true(world_is_equal(&w, 0, 1));
        world_free(&w);
    }
}

/* A box is retired, and years later an image of it from its first day is put to use, and written to: by the
 * points of its past in the row the two are told apart, and both keep what they wrote. */
static void an_old_image_of_it_is_told_from_it(void **state)
{
    (void)state;
    world w;
    kv_memory image = {0};
    world_init(&w, 2);
    world_join(&w, 0, 1);
    world_set(&w, 1, "a", "1");
    world_up(&w, 0, false);
    assert_true(world_run(&w, LONG_MS));
    world_down(&w, 0);
    assert_true(kv_memory_copy(&image, &w.nodes[1].disk));
    world_up(&w, 0, false);
    for (unsigned i = 0; i < 3; i++) {
        world_set(&w, 1, "b", i % 2 ? "then" : "of the box");
        assert_true(world_run(&w, LONG_MS));
    }
    world_down(&w, 0);
    retire(&w, 1);
    assert_true(kv_memory_copy(&w.nodes[1].disk, &image));
    kv_memory_free(&image);
    for (unsigned i = 0; i < 5; i++) { /* as many as the box, and more: numbers alone say nothing */
        char path[8];
        snprintf(path, sizeof path, "c%u", i);
        world_set(&w, 1, path, "of the image");
    }
    world_up(&w, 0, false);
    assert_true(world_run(&w, LONG_MS));
    assert_true(world_is_equal(&w, 0, 1));
    for (unsigned node = 0; node < 2; node++) {
        assert_string_equal(value_of(&w, node, "b"), "of the box");
        for (unsigned i = 0; i < 5; i++) {
            char path[8];
            snprintf(path, sizeof path, "c%u", i);
            assert_string_equal(value_of(&w, node, path), "of the image");
        }
    }
    world_free(&w);
}

static void its_place_goes_to_a_new_one_the_one_heard_longest_ago_first(void **state)
{
    (void)state;
    static tmb_neighbour it;
    world w;
    char name[16];
    world_init(&w, 1);
    tmb_scope *scope = world_load(&w, 0);
    tmb_neighbour_init(&it);
    it.state = TMB_MEMBER_ACTIVE;
    for (unsigned i = 0; i < TMB_NEIGHBOURS_MAX; i++) {
        snprintf(name, sizeof name, "child-%u", i);
        it.heard_ms = 1000 - i;
        assert_int_equal(tmb_scope_neighbour_put(scope, tmb_bytes_str(name), &it), TMB_OK);
    }
    assert_int_equal(tmb_scope_neighbour_put(scope, tmb_bytes_str("one-more"), &it), TMB_ELIMIT);
    assert_int_equal(tmb_scope_retire(scope, tmb_bytes_str("child-3")), TMB_OK);
    assert_int_equal(tmb_scope_retire(scope, tmb_bytes_str("child-200")), TMB_OK);
    tmb_neighbour_init(&it);
    it.state = TMB_MEMBER_ACTIVE;
    assert_int_equal(tmb_scope_neighbour_put(scope, tmb_bytes_str("one-more"), &it), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(scope, tmb_bytes_str("child-200"), &it), TMB_ENOENT);
    assert_int_equal(tmb_scope_neighbour_get(scope, tmb_bytes_str("child-3"), &it), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(scope, tmb_bytes_str("child-255"), &it), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_put(scope, tmb_bytes_str("and-one"), &it), TMB_OK);
    assert_int_equal(tmb_scope_neighbour_get(scope, tmb_bytes_str("child-3"), &it), TMB_ENOENT);
    tmb_neighbour_init(&it);
    assert_int_equal(tmb_scope_neighbour_put(scope, tmb_bytes_str("too-many"), &it), TMB_ELIMIT);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_for_it),
        cmocka_unit_test(one_without_a_place_is_refused_and_both_tell),
        cmocka_unit_test(who_comes_back_after_all_brings_its_own_and_nothing_removed),
        cmocka_unit_test(an_old_image_of_it_is_told_from_it),
        cmocka_unit_test(its_place_goes_to_a_new_one_the_one_heard_longest_ago_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
