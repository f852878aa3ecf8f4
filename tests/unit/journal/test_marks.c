// SPDX-License-Identifier: Apache-2.0
/* The parent's marks on disk: what was written comes back, the stored file reads for ever, and no cut, flip
 * or failing call gives a mark that was not written. Argument: the folder with the stored file. */
#include "tests/unit/journal/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/marks.h"
#include "journal/text.h"

static const char *golden;
static char root[TEST_PATH_BYTES];
static char file[TEST_PATH_BYTES + 32], aside[TEST_PATH_BYTES + 32];

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    snprintf(file, sizeof file, "%s/%s", root, TMB_MARKS_FILE);
    snprintf(aside, sizeof aside, "%s/%s.new", root, TMB_MARKS_FILE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    return 0;
}

static tmb_marks make_marks(void)
{
    tmb_marks marks = {
        .node = "s1", .parent = "hub.north_2", .is_parent_top = true, .streams_count = 3};
    for (size_t i = 0; i < sizeof marks.incarnation.bytes; i++)
        marks.incarnation.bytes[i] = (uint8_t)(0xa0 + i);
    marks.streams[0] = (tmb_uplink_mark){.stream = "default", .seq = 17};
    marks.streams[1] = (tmb_uplink_mark){.stream = "alarms", .seq = 0};
    marks.streams[2] = (tmb_uplink_mark){.stream = "bulk", .seq = TMB_SEQ_MAX};
    tmb_marks_add_gap(&marks, "default", 1, 2, TMB_GAP_NONE);
    tmb_marks_add_gap(&marks, "bulk", 40, TMB_SEQ_MAX - 1, TMB_GAP_RETENTION);
    tmb_marks_add_gap(&marks, "default", 5, 8, TMB_GAP_DAMAGED);
    return marks;
}

static bool are_equal(const tmb_marks *a, const tmb_marks *b)
{
    bool is_equal = strcmp(a->node, b->node) == 0 && strcmp(a->parent, b->parent) == 0 &&
                    memcmp(&a->incarnation, &b->incarnation, sizeof a->incarnation) == 0 &&
                    a->is_parent_top == b->is_parent_top && a->streams_count == b->streams_count;
    for (unsigned i = 0; is_equal && i < a->streams_count; i++)
        is_equal = strcmp(a->streams[i].stream, b->streams[i].stream) == 0 &&
                   a->streams[i].seq == b->streams[i].seq;
    is_equal = is_equal && a->gaps_count == b->gaps_count;
    for (unsigned i = 0; is_equal && i < a->gaps_count; i++)
        is_equal = strcmp(a->gaps[i].stream, b->gaps[i].stream) == 0 &&
                   a->gaps[i].first == b->gaps[i].first && a->gaps[i].last == b->gaps[i].last &&
                   a->gaps[i].reason == b->gaps[i].reason;
    return is_equal;
}

static void written_marks_come_back(void **state)
{
    (void)state;
    tmb_marks marks = make_marks(), back;
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_ENOENT);
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&marks, &back));
    marks.streams[0].seq = 3; /* a parent that has lost its disk: down again */
    marks.is_parent_top = false;
    marks.streams_count = 1;
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&marks, &back));
    assert_int_equal(tmb_marks_forget(NULL, root), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_ENOENT);
    assert_int_equal(tmb_marks_forget(NULL, root), TMB_OK);
}

static void the_largest_fits(void **state)
{
    (void)state;
    tmb_marks marks = make_marks(), back;
    memset(marks.node, 'n', TMB_NAME_BYTES_MAX);
    memset(marks.parent, 'p', TMB_NAME_BYTES_MAX);
    marks.node[TMB_NAME_BYTES_MAX] = marks.parent[TMB_NAME_BYTES_MAX] = '\0';
    marks.streams_count = TMB_STREAMS_MAX;
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++) {
        memset(marks.streams[i].stream, 's', TMB_STREAM_NAME_BYTES_MAX);
        marks.streams[i].stream[TMB_STREAM_NAME_BYTES_MAX] = '\0';
        marks.streams[i].stream[5] = (char)('a' + i % 26);
        marks.streams[i].stream[6] = (char)('a' + i / 26);
        marks.streams[i].seq = TMB_SEQ_MAX;
    }
    marks.gaps_count = TMB_MARKS_GAPS_MAX;
    for (unsigned i = 0; i < TMB_MARKS_GAPS_MAX; i++) {
        marks.gaps[i].first = marks.gaps[i].last = TMB_SEQ_MAX - TMB_MARKS_GAPS_MAX + i;
        marks.gaps[i].reason = TMB_GAP_RETENTION;
        memcpy(marks.gaps[i].stream, marks.streams[0].stream, sizeof marks.gaps[i].stream);
    }
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&marks, &back));
    marks.streams_count++;
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_EINVAL);
}

static void what_breaks_a_rule_is_not_written(void **state)
{
    (void)state;
    tmb_marks marks = make_marks();
    strcpy(marks.parent, "Hub");
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_EINVAL);
    marks = make_marks();
    strcpy(marks.node, "");
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_EINVAL);
    marks = make_marks();
    strcpy(marks.streams[1].stream, "default");
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_EINVAL);
    marks = make_marks();
    marks.streams[1].seq = TMB_SEQ_MAX + 1;
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_EINVAL);
    marks = make_marks();
    marks.gaps[2].first = marks.gaps[0].last; /* overlapping */
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_EINVAL);
    marks = make_marks();
    marks.gaps[1].first = 0;
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_EINVAL);
    assert_int_equal(access(file, F_OK), -1);
}

static void a_mark_is_found_for_its_own_journal_alone(void **state)
{
    (void)state;
    tmb_marks marks = make_marks();
    tmb_incarnation other = marks.incarnation;
    other.bytes[15] ^= 1;
    assert_int_equal(tmb_marks_find(&marks, &marks.incarnation, "default"), 17);
    assert_int_equal(tmb_marks_find(&marks, &marks.incarnation, "alarms"), 0);
    assert_int_equal(tmb_marks_find(&marks, &marks.incarnation, "none"), 0);
    assert_int_equal(tmb_marks_find(&marks, &other, "default"), 0);
}

static void check_about(const tmb_marks *marks, const char *stream, uint64_t first, uint64_t last,
                        uint64_t at_parent, uint64_t not_there, uint64_t unknown)
{
    tmb_marks_part part = tmb_marks_about(marks, &marks->incarnation, stream, first, last);
    assert_int_equal(part.at_parent, at_parent);
    assert_int_equal(part.not_there, not_there);
    assert_int_equal(part.unknown, unknown);
}

static void a_range_is_told_number_by_number(void **state)
{
    (void)state;
    tmb_marks marks = make_marks(); /* default: mark 17, gap 5 to 8, nothing known of 1 and 2 */
    tmb_incarnation other = marks.incarnation;
    other.bytes[0] ^= 1;
    check_about(&marks, "default", 9, 17, 9, 0, 0);
    check_about(&marks, "default", 5, 8, 0, 4, 0);
    check_about(&marks, "default", 1, 20, 11, 7, 2);
    check_about(&marks, "default", 18, 20, 0, 3, 0);
    check_about(&marks, "default", 17, 18, 1, 1, 0);
    check_about(&marks, "default", 2, 2, 0, 0, 1);
    check_about(&marks, "alarms", 1, 3, 0, 3, 0);
    check_about(&marks, "none", 1, 3, 0, 3, 0);
    assert_int_equal(tmb_marks_about(NULL, &other, "default", 3, 4).unknown, 2);
    assert_int_equal(tmb_marks_about(&marks, &other, "default", 3, 4).unknown, 2);
    assert_true(tmb_marks_has_losses(&marks, "default"));
    assert_false(tmb_marks_has_losses(&marks, "alarms"));
    tmb_marks_add_gap(&marks, "alarms", 1, 3, TMB_GAP_TORN);
    assert_false(tmb_marks_has_losses(&marks, "alarms"));
}

static void check_words(const tmb_marks *marks, uint64_t first, uint64_t last, const char *words)
{
    char text[TMB_MARKS_SAY_BYTES];
    tmb_incarnation life = make_marks().incarnation;
    tmb_marks_say(marks, &life, "default", first, last, text, sizeof text);
    assert_string_equal(text, words);
}

static void a_range_is_told_in_words(void **state)
{
    (void)state;
    tmb_marks marks = make_marks();
    strcpy(marks.parent, "hub");
    check_words(&marks, 9, 17, "at hub already, nothing lost");
    check_words(&marks, 18, 18, "not at hub: lost");
    check_words(&marks, 5, 8, "not at hub: lost");
    check_words(&marks, 15, 18, "3 of 4 at hub already, 1 not: lost");
    check_words(&marks, 1, 1, "not known whether hub has it");
    check_words(&marks, 1, 2, "not known whether hub has them");
    check_words(&marks, 1, 20, "11 of 20 at hub already, 7 not: lost, 2 not known");
    check_words(NULL, 3, 4, "not known whether the parent has them");
}

static void marks_move_both_ways_and_take_their_gaps_along(void **state)
{
    (void)state;
    tmb_marks marks = make_marks();
    assert_true(tmb_marks_move(&marks, "default", 30));
    check_about(&marks, "default", 3, 30, 24, 4, 0);
    assert_true(tmb_marks_move(&marks, "default", 6)); /* the parent has lost its disk */
    assert_int_equal(marks.gaps_count, 3);
    check_about(&marks, "default", 1, 8, 2, 4, 2);
    assert_true(tmb_marks_move(&marks, "default", 17)); /* and has it again, with 7 and 8 found */
    check_about(&marks, "default", 1, 17, 13, 2, 2);
    assert_true(tmb_marks_move(&marks, "default", 0));
    assert_int_equal(marks.gaps_count, 1);
    tmb_marks_add_gap(&marks, "default", 3, 5, TMB_GAP_MISSING);
    tmb_marks_add_gap(&marks, "default", 3, 6, TMB_GAP_MISSING); /* told again, longer */
    tmb_marks_add_gap(&marks, "default", 7, 9, TMB_GAP_MISSING);
    assert_int_equal(marks.gaps_count, 2);
    assert_int_equal(marks.gaps[1].first, 3);
    assert_int_equal(marks.gaps[1].last, 9);
    assert_true(tmb_marks_move(&marks, "new", 1));
    for (unsigned i = 4; i < TMB_STREAMS_MAX; i++)
        assert_true(
            tmb_marks_move(&marks, (char[]){'s', (char)('a' + i / 8), (char)('a' + i % 8), 0}, i));
    assert_false(tmb_marks_move(&marks, "one-too-many", 1));
}

/* At the limit nothing that was lost is ever taken for carried up. */
static void more_gaps_than_fit_become_unknown(void **state)
{
    (void)state;
    tmb_marks marks = make_marks(), back;
    marks.gaps_count = 0;
    assert_true(tmb_marks_move(&marks, "default", 100000));
    tmb_marks_add_gap(&marks, "alarms", 1, 1, TMB_GAP_MISSING);
    for (uint64_t i = 1; i <= 3 * TMB_MARKS_GAPS_MAX; i++) {
        tmb_marks_add_gap(&marks, "default", 10 * i, 10 * i + 1, TMB_GAP_RETENTION);
        for (uint64_t k = 1; k <= i; k++)
            assert_int_equal(
                tmb_marks_about(&marks, &marks.incarnation, "default", 10 * k, 10 * k + 1)
                    .at_parent,
                0);
        assert_int_equal(
            tmb_marks_about(&marks, &marks.incarnation, "default", 10 * i + 2, 100000).at_parent,
            100000 - (10 * i + 1));
    }
    assert_int_equal(marks.gaps_count, TMB_MARKS_GAPS_MAX);
    assert_int_equal(marks.gaps[0].reason, TMB_GAP_MISSING);
    assert_int_equal(tmb_marks_write(NULL, root, &marks, true), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&marks, &back));
}

/* What is there is damaged: told so, and nothing given. */
static void check_refused(void)
{
    tmb_marks back;
    memset(&back, 0x5a, sizeof back);
    tmb_marks untouched = back;
    tmb_err err = tmb_marks_read(NULL, root, &back);
    assert_true(err == TMB_ECORRUPT || err == TMB_EVERSION);
    assert_memory_equal(&back, &untouched, sizeof back);
}

static void every_cut_and_every_flip_is_noticed(void **state)
{
    (void)state;
    uint8_t bytes[TMB_MARKS_TEXT_BYTES_MAX + 8], changed[sizeof bytes];
    tmb_marks marks = make_marks();
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    size_t len = fixture_read(file, bytes, sizeof bytes);
    assert_in_range(len, 100, 600);
    for (size_t cut = 0; cut < len; cut++) {
        fixture_write(file, bytes, cut);
        check_refused();
    }
    for (size_t bit = 0; bit < 8 * len; bit++) {
        memcpy(changed, bytes, len);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        fixture_write(file, changed, len);
        check_refused();
    }
    memcpy(changed, bytes, len);
    changed[len] = '\n';
    fixture_write(file, changed, len + 1);
    check_refused();
    memset(changed, 'x', sizeof changed); /* longer than any version writes */
    fixture_write(file, changed, sizeof changed);
    check_refused();
}

/* Sealed by somebody else: the checksum is right, the text is not what would be written. */
static void other_words_with_a_right_checksum_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tmb_err err;
    } cases[] = {
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\nstream a 1\n",
         TMB_OK},
        {"tombolo-uplink 2\nnode s1\n", TMB_ECORRUPT},
        {"tombolo-uplink 3\nnode s1\n", TMB_EVERSION},
        {"tombolo-journal 1\nnode s1\n", TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\nstream a 1\nstream a 2\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\nstream a 01\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\nstream a -1\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\nstream a 9223372036854775808\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "2\nstream a 1\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090A0b0c0d0e0f\nparent hub\ntop "
         "1\nstream a 1\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1 incarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\nstream a 1\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\ngap a 1 3 torn\ngap b 1 3 torn\n",
         TMB_OK},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\ngap a 1 3 torn\ngap a 2 3 torn\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\ngap a 1 3 eaten\n",
         TMB_ECORRUPT},
        {"tombolo-uplink 1\nnode s1\nincarnation 000102030405060708090a0b0c0d0e0f\nparent hub\ntop "
         "1\nbucket a 1\n",
         TMB_ECORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TMB_MARKS_TEXT_BYTES_MAX];
        tmb_marks back;
        size_t len = strlen(cases[i].text);
        memcpy(text, cases[i].text, len);
        len = tmb_text_seal(text, len, sizeof text);
        fixture_write(file, (const uint8_t *)text, len);
        assert_int_equal(tmb_marks_read(NULL, root, &back), cases[i].err);
    }
}

/* Each call of a write fails once: the old marks stay, and nothing is left beside them. */
static void a_failed_write_leaves_the_old(void **state)
{
    (void)state;
    static const int ops[] = {TEST_OP_OPEN, TEST_OP_WRITE, TEST_OP_SYNC, TEST_OP_CLOSE,
                              TEST_OP_RENAME};
    static const int errors[] = {EIO, ENOSPC, EACCES};
    tmb_marks old = make_marks(), new = make_marks(), back;
    new.streams[0].seq = 18;
    assert_int_equal(tmb_marks_write(NULL, root, &old, false), TMB_OK);
    for (size_t i = 0; i < 6 * sizeof ops / sizeof ops[0]; i++) {
        test_port port;
        test_port_init(&port);
        port.fail_op = ops[i / 6];
        port.fail_at = 1;
        port.error = errors[i % 3];
        port.is_short = i % 6 >= 3;
        port.fails_on = port.is_short; /* a short write alone is gone on with */
        tmb_err err = tmb_marks_write(&port.port, root, &new, true);
        assert_true(port.failed);
        assert_int_equal(err, i % 3 == 0 ? TMB_EIO : i % 3 == 1 ? TMB_ENOSPC : TMB_EDENIED);
        assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_OK);
        assert_true(are_equal(&old, &back));
        assert_int_equal(access(aside, F_OK), -1);
    }
    assert_int_equal(tmb_marks_write(NULL, root, &new, false), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&new, &back));
}

static void what_cannot_be_read_is_not_taken_for_none(void **state)
{
    (void)state;
    tmb_marks marks = make_marks(), back;
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    for (int op = TEST_OP_OPEN; op <= TEST_OP_PREAD; op += TEST_OP_PREAD - TEST_OP_OPEN) {
        test_port port;
        test_port_init(&port);
        port.fail_op = op;
        port.fail_at = 1;
        port.error = EIO;
        assert_int_equal(tmb_marks_read(&port.port, root, &back), TMB_EIO);
        assert_true(port.failed);
    }
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_EIO);
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false),
                     TMB_EIO); /* nor is a folder replaced */
    assert_int_equal(rmdir(file), 0);
}

static void the_stored_file_reads_and_is_written_as_ever(void **state)
{
    (void)state;
    uint8_t stored[TMB_MARKS_TEXT_BYTES_MAX], written[TMB_MARKS_TEXT_BYTES_MAX];
    char path[1024];
    tmb_marks marks = make_marks(), back;
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    size_t len = fixture_read(file, written, sizeof written);
    snprintf(path, sizeof path, "%s/%s", golden, TMB_MARKS_FILE);
    if (getenv("TMB_GOLDEN_WRITE") && access(path, F_OK) != 0)
        fixture_write(path, written, len);
    assert_int_equal(fixture_read(path, stored, sizeof stored), len);
    assert_memory_equal(stored, written, len);
    assert_int_equal(tmb_marks_read(NULL, golden, &back), TMB_OK);
    assert_true(are_equal(&marks, &back));
}

static void a_chain_comes_back_and_goes_with_the_next_mark(void **state)
{
    (void)state;
    tmb_marks marks = make_marks(), back;
    uint8_t chain[TMB_CHAIN_BYTES] = {0, 0xff, 0x10};
    tmb_marks_set_chain(&marks, "default", chain);
    tmb_marks_set_chain(&marks, "unknown", chain); /* no such stream: nothing */
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_OK);
    assert_true(back.streams[0].has_chain);
    assert_memory_equal(back.streams[0].chain, chain, sizeof chain);
    assert_false(back.streams[1].has_chain);
    assert_true(tmb_marks_move(&back, "default", 17)); /* the same number */
    assert_true(back.streams[0].has_chain);
    assert_true(tmb_marks_move(&back, "default", 18));
    assert_false(back.streams[0].has_chain);
}

static void set_aside_it_is_read_as_such_alone(void **state)
{
    (void)state;
    tmb_marks marks = make_marks(), back;
    assert_int_equal(tmb_marks_set_aside(NULL, root), TMB_OK); /* none: nothing */
    assert_int_equal(tmb_marks_read_aside(NULL, root, &back), TMB_ENOENT);
    assert_int_equal(tmb_marks_write(NULL, root, &marks, false), TMB_OK);
    assert_int_equal(tmb_marks_set_aside(NULL, root), TMB_OK);
    assert_int_equal(tmb_marks_read(NULL, root, &back), TMB_ENOENT);
    assert_int_equal(tmb_marks_read_aside(NULL, root, &back), TMB_OK);
    assert_int_equal(tmb_marks_set_aside(NULL, root), TMB_OK); /* keeps what there is */
    assert_int_equal(tmb_marks_read_aside(NULL, root, &back), TMB_OK);
    assert_true(are_equal(&marks, &back));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    golden = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_marks_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(the_largest_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(what_breaks_a_rule_is_not_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_comes_back_and_goes_with_the_next_mark, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(set_aside_it_is_read_as_such_alone, setup, teardown),
        cmocka_unit_test(a_mark_is_found_for_its_own_journal_alone),
        cmocka_unit_test(a_range_is_told_number_by_number),
        cmocka_unit_test(a_range_is_told_in_words),
        cmocka_unit_test(marks_move_both_ways_and_take_their_gaps_along),
        cmocka_unit_test_setup_teardown(more_gaps_than_fit_become_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(every_cut_and_every_flip_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(other_words_with_a_right_checksum_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_not_taken_for_none, setup, teardown),
        cmocka_unit_test_setup_teardown(the_stored_file_reads_and_is_written_as_ever, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("unit.journal.marks", tests, NULL, NULL);
}
