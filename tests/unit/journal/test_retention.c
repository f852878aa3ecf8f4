// SPDX-License-Identifier: Apache-2.0
/* Dropping whole segments, by size and by age under clocks that are wrong, and readers that it passes. */
#include "tests/unit/journal/fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SEGMENT_BYTES 800

static char root[TEST_PATH_BYTES];
static tmb_journal *journal;
static tmb_journal_stream *stream;

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    journal = fixture_open(root, NULL, SEGMENT_BYTES);
    stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 60);
    return tmb_journal_sync(stream);
}

static int teardown(void **state)
{
    (void)state;
    tmb_journal_close(journal);
    fixture_remove(root);
    return 0;
}

/* Reads the first thing that a fresh reader is told. */
static uint64_t first_gap(tmb_tail_gap *gap)
{
    tmb_tail *tail = NULL;
    tmb_record record = {.seq = 0};
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, gap), TMB_EGAP);
    assert_int_equal(tmb_tail_next(tail, &record, &(tmb_tail_gap){0}), TMB_OK);
    tmb_tail_close(tail);
    return record.seq;
}

static void by_bytes(void **state)
{
    (void)state;
    tmb_retention rule = {.bytes_max = 3000};
    tmb_tail_gap gap;
    size_t before = fixture_segments(root, "data");
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_mono){0}, (tmb_wall){0}),
                     TMB_OK);
    size_t after = fixture_segments(root, "data");
    const tmb_journal_counts *counts = tmb_journal_counts_get(journal);
    tmb_verify_report report;
    assert_int_equal(tmb_verify_stream(root, "data", NULL, NULL, NULL, &report), TMB_OK);
    assert_true(report.bytes <= 3000 && report.bytes > 3000 - SEGMENT_BYTES);
    assert_int_equal(counts->dropped_segments, before - after);
    uint64_t first = first_gap(&gap);
    assert_int_equal(gap.first_seq, 1);
    assert_int_equal(gap.last_seq, first - 1);
    assert_int_equal(gap.reason, TMB_GAP_RETENTION);
    assert_int_equal(counts->dropped_records, first - 1);
}

static void never_what_must_be_kept(void **state)
{
    (void)state;
    tmb_retention rule = {.bytes_max = 1};
    tmb_tail_gap gap;
    size_t before = fixture_segments(root, "data");
    assert_int_equal(tmb_journal_retain(stream, &rule, 1, (tmb_mono){0}, (tmb_wall){0}), TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), before);
    assert_int_equal(tmb_journal_retain(stream, &rule, 30, (tmb_mono){0}, (tmb_wall){0}), TMB_OK);
    assert_true(first_gap(&gap) <= 30);
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_mono){0}, (tmb_wall){0}),
                     TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), 1);
}

/* ---- by age, whatever the clock says ---------------------------------------------------------------- */

#define DAY_MS  INT64_C(86400000)
#define TODAY   INT64_C(1790000000000) /* in 2026 */
#define IN_1970 INT64_C(60000)
#define IN_2099 INT64_C(4083900000000)

static const tmb_retention thirty_days = {.age_ms_max = 30 * DAY_MS};

static tmb_mono mono(int64_t ms)
{
    return (tmb_mono){ms * 1000000};
}

/* A port of its own per life, whose files say they were written at changed_ms. */
static test_port port;

static void live(int64_t changed_ms)
{
    tmb_journal_close(journal);
    test_port_init(&port);
    port.changed_ms = changed_ms;
    journal = fixture_open(root, &port.port, SEGMENT_BYTES);
    stream = fixture_stream(journal, "dated");
}

static void write_at(int64_t date_ms, uint64_t first, uint64_t last)
{
    uint64_t seq;
    for (uint64_t i = first; i <= last; i++) {
        tmb_record record = fixture_record(i);
        tmb_wall now = {date_ms + (int64_t)(i - first)};
        assert_int_equal(tmb_journal_append(stream, &record, now, &seq), TMB_OK);
    }
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
}

/* Retention at a date, and ms after the start of the steady clock; gives the segments left. */
static size_t retain_at(int64_t date_ms, int64_t steady_ms)
{
    assert_int_equal(
        tmb_journal_retain(stream, &thirty_days, UINT64_MAX, mono(steady_ms), (tmb_wall){date_ms}),
        TMB_OK);
    return fixture_segments(root, "dated");
}

static void by_age(void **state)
{
    (void)state;
    live(-1);
    for (int64_t day = 0; day < 40; day++) {
        write_at(TODAY + day * DAY_MS, (uint64_t)day * 15 + 1, (uint64_t)day * 15 + 15);
        (void)retain_at(TODAY + day * DAY_MS, day * DAY_MS);
    }
    /* Of 40 days of 15 records, those of the last thirty and their segments' neighbours. */
    static fixture_log log_start;
    fixture_read_log(root, "dated", &log_start);
    assert_int_equal(log_start.gaps_count, 1);
    assert_int_equal(log_start.gaps[0].reason, TMB_GAP_RETENTION);
    assert_true(log_start.gaps[0].last_seq > 8 * 15 && log_start.gaps[0].last_seq <= 10 * 15);
}

/* No clock at the start: all that was written is 56 years old when the date comes. It is not. */
static void a_backlog_of_1970_is_as_old_as_it_is(void **state)
{
    (void)state;
    live(-1);
    write_at(IN_1970, 1, 60);
    size_t all = fixture_segments(root, "dated");
    assert_int_equal(retain_at(IN_1970, 0), all);
    assert_int_equal(retain_at(TODAY, 10000), all);
    assert_int_equal(retain_at(TODAY + 30 * DAY_MS, 30 * DAY_MS), all);
    assert_int_equal(retain_at(TODAY + 31 * DAY_MS, 30 * DAY_MS + 1), 1);
}

/* The same, and the broker starts anew before the date comes, or after it. */
static void also_after_a_restart(void **state)
{
    (void)state;
    live(-1);
    write_at(IN_1970, 1, 60);
    size_t all = fixture_segments(root, "dated");
    live(IN_1970);
    assert_int_equal(retain_at(IN_1970, 0), all);
    assert_int_equal(retain_at(TODAY, 10000), all);
    live(IN_1970);
    assert_int_equal(retain_at(TODAY, 0), all);
    assert_int_equal(retain_at(TODAY + 31 * DAY_MS, 30 * DAY_MS + 1), 1);
}

static void a_clock_set_forward_makes_nothing_old(void **state)
{
    (void)state;
    live(-1);
    write_at(TODAY, 1, 60);
    live(TODAY);
    size_t all = fixture_segments(root, "dated");
    assert_int_equal(retain_at(TODAY, 0), all);
    assert_int_equal(retain_at(TODAY + 300 * DAY_MS, 1000), all);
    assert_int_equal(retain_at(TODAY, 2000), all);
    assert_int_equal(retain_at(TODAY + 300 * DAY_MS, 3000), all);
    assert_int_equal(retain_at(TODAY + 330 * DAY_MS, 30 * DAY_MS + 2000), 1);
}

/* A clock that was slow, not lost, and is set right before retention has looked once. What this process has
 * closed is not asked for its date; nor is the segment that it found and went on in. */
static void nor_does_one_that_was_slow_from_the_start(void **state)
{
    (void)state;
    live(-1);
    write_at(TODAY, 1, 3);
    assert_int_equal(fixture_segments(root, "dated"), 1);
    live(TODAY);
    write_at(TODAY + 1000, 4, 60);
    size_t all = fixture_segments(root, "dated");
    assert_true(all > 5);
    assert_int_equal(retain_at(TODAY + 60 * DAY_MS, 0), all);
    assert_int_equal(retain_at(TODAY + 90 * DAY_MS, 30 * DAY_MS), all);
    assert_int_equal(retain_at(TODAY + 91 * DAY_MS, 30 * DAY_MS + 1), 1);
}

static void a_clock_set_back_is_believed(void **state)
{
    (void)state;
    live(-1);
    write_at(TODAY, 1, 60);
    size_t all = fixture_segments(root, "dated");
    live(TODAY);
    assert_int_equal(retain_at(TODAY + 20 * DAY_MS, 0), all);
    assert_int_equal(retain_at(TODAY, 1000), all);
    assert_int_equal(retain_at(TODAY + 15 * DAY_MS, 15 * DAY_MS), all);
}

/* A day in 2099 raises the stamps for good; what they name grows old all the same. */
static void a_stamp_far_ahead_does_not_keep_the_log_for_ever(void **state)
{
    (void)state;
    live(-1);
    write_at(IN_2099, 1, 30);
    write_at(TODAY, 31, 60);
    size_t all = fixture_segments(root, "dated");
    assert_int_equal(retain_at(TODAY, 0), all);
    assert_int_equal(retain_at(TODAY + 31 * DAY_MS, 30 * DAY_MS + 1), 1);
    write_at(TODAY + 31 * DAY_MS, 61, 90);
    all = fixture_segments(root, "dated");
    live(TODAY + 31 * DAY_MS); /* in the next life the files' own date decides */
    assert_int_equal(retain_at(TODAY + 60 * DAY_MS, 0), all);
    live(TODAY + 31 * DAY_MS);
    assert_int_equal(retain_at(TODAY + 62 * DAY_MS, 0), 1);
}

static void what_an_earlier_life_closed_has_the_date_of_its_file_or_stamp(void **state)
{
    (void)state;
    live(-1);
    write_at(TODAY, 1, 60);
    size_t all = fixture_segments(root, "dated");
    live(TODAY); /* a copy has a later one than its stamps */
    assert_int_equal(retain_at(TODAY + 30 * DAY_MS, 0), all);
    live(TODAY + 10 * DAY_MS);
    assert_int_equal(retain_at(TODAY + 31 * DAY_MS, 0), all);
    live(TODAY - 20 * DAY_MS); /* and an earlier one where the clock was wrong in between */
    assert_int_equal(retain_at(TODAY + 30 * DAY_MS, 0), all);
    live(IN_2099); /* one that cannot be is none: as old as this life */
    assert_int_equal(retain_at(TODAY + 31 * DAY_MS, 0), all);
    assert_int_equal(retain_at(TODAY + 61 * DAY_MS, 30 * DAY_MS + 1), 1);
    write_at(TODAY + 61 * DAY_MS, 61, 120);
    assert_true(fixture_segments(root, "dated") > 5);
    live(IN_1970); /* or lost: then the stamps say it */
    assert_int_equal(retain_at(TODAY + 92 * DAY_MS, 0), 1);
}

static void an_earlier_life_is_dropped_at_once_when_it_is_old(void **state)
{
    (void)state;
    live(-1);
    write_at(TODAY, 1, 60);
    size_t all = fixture_segments(root, "dated");
    live(TODAY);
    assert_int_equal(retain_at(IN_1970, 0), all); /* not before there is a date */
    assert_int_equal(retain_at(TODAY + 31 * DAY_MS, 5000), 1);
}

static void the_file_says_when_it_was_written(void **state)
{
    (void)state;
    const tmb_file_port *files = tmb_file_port_posix();
    char path[TEST_PATH_BYTES];
    struct timespec times[2] = {{1790000000, 250000000}, {1790000000, 250000000}};
    assert_true(fixture_newest(root, "data", path));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    int fd = files->open(files->context, path, O_RDONLY, 0);
    assert_true(fd >= 0);
    assert_int_equal(files->changed_ms(files->context, fd), INT64_C(1790000000250));
    files->close(files->context, fd);
    assert_true(files->changed_ms(files->context, fd) < 0);
}

/* The power goes right after it: no dropped segment comes back, above all not one of three, for the two that
 * stay away would be told as lost. */
static void what_is_dropped_stays_so_when_the_power_goes(void **state)
{
    (void)state;
    tmb_rng rng = {fixture_seed()};
    tmb_retention rule = {.bytes_max = 3000};
    tmb_journal_close(journal);
    for (unsigned round = 0; round < 10; round++) {
        fixture_remove(root);
        fixture_make(root);
        test_port_init(&port);
        journal = fixture_open(root, &port.port, SEGMENT_BYTES);
        stream = fixture_stream(journal, "data");
        fixture_append(stream, 1, 60);
        assert_int_equal(tmb_journal_sync(stream), TMB_OK);
        assert_int_equal(
            tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_mono){0}, (tmb_wall){0}), TMB_OK);
        assert_true(tmb_journal_counts_get(journal)->dropped_segments > 3);
        size_t left = fixture_segments(root, "data");
        test_port_lose_power(&port, &rng);
        assert_int_equal(fixture_segments(root, "data"), left);
        port.is_dead = true;
        tmb_journal_close(journal);
    }
    journal = NULL;
}

static void no_rule_drops_nothing(void **state)
{
    (void)state;
    tmb_retention rule = {0, 0};
    size_t before = fixture_segments(root, "data");
    assert_int_equal(
        tmb_journal_retain(stream, &rule, UINT64_MAX, tmb_mono_never(), (tmb_wall){INT64_MAX}),
        TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), before);
}

static void it_passes_a_reader(void **state)
{
    (void)state;
    tmb_tail *tail = NULL;
    tmb_record record;
    tmb_tail_gap gap;
    tmb_retention rule = {.bytes_max = 1};
    assert_int_equal(tmb_tail_open(root, "data", NULL, &tail), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_OK);
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_mono){0}, (tmb_wall){0}),
                     TMB_OK);
    /* It has the first file open and reads it to its end; behind that, it is told. */
    uint64_t last = record.seq;
    tmb_err err;
    while ((err = tmb_tail_next(tail, &record, &gap)) == TMB_OK)
        assert_int_equal(record.seq, ++last);
    assert_int_equal(err, TMB_EGAP);
    assert_int_equal(gap.first_seq, last + 1);
    assert_int_equal(gap.reason, TMB_GAP_RETENTION);
    assert_int_equal(tmb_tail_next(tail, &record, &(tmb_tail_gap){0}), TMB_OK);
    assert_int_equal(record.seq, gap.last_seq + 1);
    assert_true(fixture_is(&record, record.seq));
    /* A seek into what is gone tells from where it asked. */
    assert_int_equal(tmb_tail_seek(tail, 5), TMB_OK);
    assert_int_equal(tmb_tail_next(tail, &record, &gap), TMB_EGAP);
    assert_int_equal(gap.first_seq, 5);
    assert_int_equal(gap.reason, TMB_GAP_RETENTION);
    uint64_t first, newest;
    tmb_incarnation incarnation;
    assert_int_equal(tmb_tail_range(tail, &first, &newest, &incarnation), TMB_OK);
    assert_int_equal(first, gap.last_seq + 1);
    assert_int_equal(newest, 60);
    tmb_tail_close(tail);
}

static void numbers_go_on_after_all_was_dropped(void **state)
{
    (void)state;
    tmb_retention rule = {.bytes_max = 1};
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_mono){0}, (tmb_wall){0}),
                     TMB_OK);
    tmb_journal_close(journal);
    journal = fixture_open(root, NULL, SEGMENT_BYTES);
    stream = fixture_stream(journal, "data");
    assert_int_equal(fixture_append(stream, 61, 61), 61);
    /* What was dropped before is known again after opening. */
    fixture_append(stream, 62, 90);
    assert_int_equal(tmb_journal_retain(stream, &rule, UINT64_MAX, (tmb_mono){0}, (tmb_wall){0}),
                     TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), 1);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(by_bytes),
        CASE(never_what_must_be_kept),
        CASE(by_age),
        CASE(a_backlog_of_1970_is_as_old_as_it_is),
        CASE(also_after_a_restart),
        CASE(a_clock_set_forward_makes_nothing_old),
        CASE(nor_does_one_that_was_slow_from_the_start),
        CASE(a_clock_set_back_is_believed),
        CASE(a_stamp_far_ahead_does_not_keep_the_log_for_ever),
        CASE(what_an_earlier_life_closed_has_the_date_of_its_file_or_stamp),
        CASE(an_earlier_life_is_dropped_at_once_when_it_is_old),
        CASE(the_file_says_when_it_was_written),
        CASE(what_is_dropped_stays_so_when_the_power_goes),
        CASE(no_rule_drops_nothing),
        CASE(it_passes_a_reader),
        CASE(numbers_go_on_after_all_was_dropped),
    };
    return cmocka_run_group_tests_name("journal.retention", tests, NULL, NULL);
}
