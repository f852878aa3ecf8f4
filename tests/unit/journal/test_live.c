// SPDX-License-Identifier: Apache-2.0
/* Which numbers went ahead: the file comes back and shows every damage, the stored ones read for ever, each
 * number is of one lane, and what the parent has is told by both. Argument: tests/golden. */
#include "tests/unit/journal/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "journal/live.h"
#include "journal/marks.h"

static const char *golden;
static char root[TEST_PATH_BYTES];
static char file[TEST_PATH_BYTES + 32];

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    snprintf(file, sizeof file, "%s/%s", root, TMB_LIVE_FILE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    return 0;
}

static tmb_live make_live(void)
{
    tmb_live live = {.node = "s1", .ranges_count = 3};
    for (size_t i = 0; i < sizeof live.incarnation.bytes; i++)
        live.incarnation.bytes[i] = (uint8_t)(0xa0 + i);
    live.ranges[0] = (tmb_live_range){"meters", 101, 200};
    live.ranges[1] = (tmb_live_range){"bulk", 1, 1};
    live.ranges[2] = (tmb_live_range){"meters", 301, 400};
    return live;
}

static bool are_equal(const tmb_live *a, const tmb_live *b)
{
    bool is_equal = strcmp(a->node, b->node) == 0 && a->ranges_count == b->ranges_count &&
                    memcmp(&a->incarnation, &b->incarnation, sizeof a->incarnation) == 0;
    for (unsigned i = 0; is_equal && i < a->ranges_count; i++)
        is_equal = strcmp(a->ranges[i].stream, b->ranges[i].stream) == 0 &&
                   a->ranges[i].first == b->ranges[i].first &&
                   a->ranges[i].last == b->ranges[i].last;
    return is_equal;
}

static void written_ranges_come_back(void **state)
{
    (void)state;
    tmb_live live = make_live(), back;
    assert_int_equal(tmb_live_read(NULL, root, &back), TMB_ENOENT);
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_OK);
    assert_int_equal(tmb_live_read(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&live, &back));
    live.ranges_count = TMB_LIVE_RANGES_MAX; /* the largest */
    memset(live.node, 'n', TMB_NAME_BYTES_MAX);
    live.node[TMB_NAME_BYTES_MAX] = '\0';
    for (unsigned i = 0; i < TMB_LIVE_RANGES_MAX; i++) {
        memset(live.ranges[i].stream, 's', TMB_STREAM_NAME_BYTES_MAX);
        live.ranges[i].stream[TMB_STREAM_NAME_BYTES_MAX] = '\0';
        live.ranges[i].first = live.ranges[i].last = TMB_SEQ_MAX - 2 * (TMB_LIVE_RANGES_MAX - i);
    }
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_OK);
    assert_int_equal(tmb_live_read(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&live, &back));
}

static void what_breaks_a_rule_is_not_written(void **state)
{
    (void)state;
    tmb_live live = make_live();
    live.ranges[2].first = 201; /* next to another: that would be one */
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_EINVAL);
    live = make_live();
    live.ranges[0].first = 0;
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_EINVAL);
    live = make_live();
    live.ranges[0].last = 100;
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_EINVAL);
    live = make_live();
    strcpy(live.ranges[1].stream, "Bulk");
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_EINVAL);
    live = make_live();
    live.ranges_count = TMB_LIVE_RANGES_MAX + 1;
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_EINVAL);
}

static void every_cut_and_every_flip_is_noticed(void **state)
{
    (void)state;
    uint8_t bytes[TMB_LIVE_TEXT_BYTES_MAX + 8], changed[sizeof bytes];
    tmb_live live = make_live(), back;
    assert_int_equal(tmb_live_write(NULL, root, &live), TMB_OK);
    size_t len = fixture_read(file, bytes, sizeof bytes);
    for (size_t cut = 0; cut < len; cut++) {
        fixture_write(file, bytes, cut);
        assert_int_not_equal(tmb_live_read(NULL, root, &back), TMB_OK);
    }
    for (size_t bit = 0; bit < 8 * len; bit++) {
        memcpy(changed, bytes, len);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        fixture_write(file, changed, len);
        assert_int_not_equal(tmb_live_read(NULL, root, &back), TMB_OK);
    }
    memset(changed, 'x', sizeof changed);
    fixture_write(file, changed, sizeof changed);
    assert_int_equal(tmb_live_read(NULL, root, &back), TMB_ECORRUPT);
}

static tmb_marks make_marks(void)
{
    tmb_live live = make_live();
    tmb_marks marks = {.node = "s1", .parent = "hub", .is_parent_top = true};
    marks.incarnation = live.incarnation;
    marks.aheads_count = live.ranges_count;
    memcpy(marks.aheads, live.ranges, sizeof live.ranges);
    (void)tmb_marks_move(&marks, "meters", 50);
    (void)tmb_marks_move(&marks, "meters.live", 150);
    tmb_marks_add_gap(&marks, "meters.live", 110, 112, TMB_GAP_DAMAGED);
    return marks;
}

static void the_stored_files_are_read(void **state)
{
    (void)state;
    char folder[2 * TEST_PATH_BYTES];
    tmb_live live = make_live(), back;
    tmb_marks marks = make_marks(), marks_back;
    snprintf(folder, sizeof folder, "%s/live/v1", golden);
    if (getenv("TMB_MAKE_GOLDEN"))
        assert_int_equal(tmb_live_write(NULL, folder, &live), TMB_OK);
    assert_int_equal(tmb_live_read(NULL, folder, &back), TMB_OK);
    assert_true(are_equal(&live, &back));
    snprintf(folder, sizeof folder, "%s/marks/v2", golden);
    if (getenv("TMB_MAKE_GOLDEN"))
        assert_int_equal(tmb_marks_write(NULL, folder, &marks, false), TMB_OK);
    memset(&marks_back, 0, sizeof marks_back);
    assert_int_equal(tmb_marks_read(NULL, folder, &marks_back), TMB_OK);
    assert_memory_equal(&marks_back, &marks, sizeof marks);
}

/* A file that could not be replaced is there as it was; at worst it is the new one that may not last. */
static void a_write_that_fails_leaves_a_file(void **state)
{
    static const int ops[] = {TEST_OP_OPEN, TEST_OP_WRITE, TEST_OP_SYNC, TEST_OP_RENAME};
    static test_port port;
    (void)state;
    tmb_live before = make_live(), after = before, read;
    tmb_live_grow(&after, "meters", 9000);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        for (unsigned n = 1;; n++) {
            assert_int_equal(tmb_live_write(NULL, root, &before), TMB_OK);
            test_port_init(&port);
            port.fail_op = ops[i];
            port.fail_at = n;
            tmb_err err = tmb_live_write(&port.port, root, &after);
            assert_int_equal(tmb_live_read(NULL, root, &read), TMB_OK);
            bool is_old = err && (ops[i] != TEST_OP_SYNC || n == 1);
            assert_true(are_equal(&read, is_old ? &before : &after));
            if (!port.failed)
                break;
        }
    }
}

static void check_about(const tmb_marks *marks, uint64_t first, uint64_t last, uint64_t at_parent,
                        uint64_t not_there)
{
    tmb_marks_part part = tmb_marks_about(marks, &marks->incarnation, "meters", first, last);
    assert_int_equal(part.at_parent, at_parent);
    assert_int_equal(part.not_there, not_there);
    assert_int_equal(part.unknown, 0);
}

static void both_lanes_tell_what_the_parent_has(void **state)
{
    (void)state;
    tmb_marks marks = make_marks();
    const tmb_incarnation *life = &marks.incarnation;
    check_about(&marks, 1, 50, 50, 0);
    check_about(&marks, 51, 100, 0, 50);
    check_about(&marks, 101, 109, 9, 0);
    check_about(&marks, 40, 160, 11 + 47, 50 + 3 + 10);
    check_about(&marks, 390, 500, 0, 111); /* the open range has no end */
    assert_true(tmb_marks_has_losses(&marks, "meters"));
    assert_false(tmb_marks_has_losses(&marks, "bulk"));
    assert_int_equal(tmb_marks_find(&marks, life, "meters"), 50);
    (void)tmb_marks_move(&marks, "meters", 100); /* up to what went ahead */
    assert_int_equal(tmb_marks_find(&marks, life, "meters"), 150);
    (void)tmb_marks_move(&marks, "meters", 230); /* beyond it: the rest of the range is missing */
    assert_int_equal(tmb_marks_find(&marks, life, "meters"), 150);
    check_about(&marks, 101, 230, 47 + 30, 3 + 50);
    (void)tmb_marks_move(&marks, "meters.live", 320);
    assert_int_equal(tmb_marks_find(&marks, life, "meters"), 230);
    (void)tmb_marks_move(&marks, "meters", 300);
    assert_int_equal(tmb_marks_find(&marks, life, "meters"), 320);
}

static void jumps_end_grow_and_forget(void **state)
{
    (void)state;
    tmb_live live = make_live();
    assert_true(tmb_live_jump(&live, "meters", 333, 501));
    assert_int_equal(live.ranges_count, 4);
    assert_int_equal(live.ranges[2].last, 333);
    assert_int_equal(tmb_live_last(live.ranges, 4, "meters")->last, 501 + TMB_LIVE_CHUNK - 1);
    tmb_live_grow(&live, "meters", 9000);
    tmb_live_grow(&live, "meters", 8000);
    tmb_live_grow(&live, "none", 8000);
    assert_int_equal(tmb_live_last(live.ranges, 4, "meters")->last, 9000);
    assert_true(tmb_live_jump(&live, "meters", 400, 601)); /* nothing of the open one went */
    assert_int_equal(live.ranges_count, 4);
    assert_int_equal(tmb_live_last(live.ranges, 4, "meters")->first, 601);
    tmb_live_forget(&live, "meters", 332);
    assert_int_equal(live.ranges_count, 3);
    tmb_live_forget(&live, "meters", TMB_SEQ_MAX); /* never the open one */
    assert_int_equal(live.ranges_count, 2);
    assert_true(tmb_live_ranges_are_valid(live.ranges, live.ranges_count));
    for (uint64_t i = 3; live.ranges_count < TMB_LIVE_RANGES_MAX; i++)
        assert_true(tmb_live_jump(&live, "meters", 10000 * i, 10000 * i + 2000));
    tmb_live before = live;
    assert_false(tmb_live_jump(&live, "meters", TMB_SEQ_MAX - 9000, TMB_SEQ_MAX - 4000));
    assert_memory_equal(&before, &live, sizeof live);
}

/* Random jumps: walking the parts of both lanes meets each number once. */
static void every_number_is_of_one_lane(void **state)
{
    const char *only = getenv("TMB_SEED");
    uint64_t first_seed = only ? strtoull(only, NULL, 10) : 1, seeds = only ? 1 : 100;
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        tmb_rng rng = {.state = seed};
        tmb_live live = {.node = "s1"};
        uint64_t end = 1 + tmb_rng_next(&rng) % 50, sent = 0;
        static uint8_t seen[200000];
        memset(seen, 0, sizeof seen);
        print_message("seed %llu\n", (unsigned long long)seed);
        for (unsigned k = 0; k < 20; k++) {
            assert_true(tmb_live_jump(&live, "x", sent, end + 1));
            sent = end + tmb_rng_next(&rng) % 600;
            tmb_live_grow(&live, "x", sent + TMB_LIVE_CHUNK);
            end = sent + 1 + tmb_rng_next(&rng) % 600;
        }
        tmb_live_grow(&live, "x", end);
        for (int is_live = 0; is_live < 2; is_live++) {
            uint64_t seq = 1, first = 0, last = 0;
            while (seq <= end && tmb_live_part(live.ranges, live.ranges_count, "x", is_live, seq,
                                               &first, &last)) {
                assert_true(first >= seq && last >= first);
                for (uint64_t n = first; n <= last && n <= end; n++)
                    seen[n]++;
                seq = last + 1;
            }
        }
        for (uint64_t n = 1; n <= end; n++)
            assert_int_equal(seen[n], 1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_ranges_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(what_breaks_a_rule_is_not_written, setup, teardown),
        cmocka_unit_test_setup_teardown(every_cut_and_every_flip_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_a_file, setup, teardown),
        cmocka_unit_test(the_stored_files_are_read),
        cmocka_unit_test(both_lanes_tell_what_the_parent_has),
        cmocka_unit_test(jumps_end_grow_and_forget),
        cmocka_unit_test(every_number_is_of_one_lane),
    };
    if (argc != 2)
        return 2;
    golden = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
