// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_ahead.c - two lanes over one real log: each reads its own numbers and passes
 * the other's, what went ahead is on the disk first, and when the live lane jumps.
 */
#include "syncd/daemon/ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "syncd/daemon/pair.h"

#define STREAM "meters"

static const tmb_incarnation LIFE = {{4, 5, 6}};

typedef struct scene {
    tmb_daemon daemon;
    tmb_config config;
    char folder[64], node[8];
    tmb_ahead *ahead;
    tmb_journal *journal;
    tmb_journal_stream *stream;
    tmb_loader *loaders[2]; /* own, live */
    tmb_lane lanes[2];
    tmb_session session;
    uint64_t end;
} scene;

static void make_ahead(scene *at)
{
    tmb_ahead_free(at->ahead);
    assert_int_equal(tmb_ahead_new(&at->daemon, &at->ahead), TMB_OK);
    tmb_ahead_begin(at->ahead, &LIFE);
    for (unsigned i = 0; i < 2; i++)
        at->lanes[i].ahead = at->ahead;
}

static int setup(void **state)
{
    scene *at = calloc(1, sizeof *at);
    char text[200] = "";
    assert_non_null(at);
    strcpy(at->folder, "/tmp/tmb-ahead-XXXXXX");
    strcpy(at->node, "s1");
    assert_non_null(mkdtemp(at->folder));
    at->config.data_dir = at->folder;
    at->config.node = at->node;
    at->daemon.config = &at->config;
    tmb_journal_options options = {
        .root = at->folder, .node = "s1", .segment_bytes = 4096, .fresh_incarnation = LIFE};
    assert_int_equal(tmb_journal_open(&options, &at->journal, text, sizeof text), TMB_OK);
    assert_int_equal(tmb_journal_stream_open(at->journal, STREAM, &at->stream, text, sizeof text),
                     TMB_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(tmb_loader_open(at->folder, NULL, STREAM, STREAM, NULL, &at->loaders[i]),
                         TMB_OK);
        at->lanes[i].stream = STREAM;
        at->lanes[i].is_live = i == 1;
        at->lanes[i].index = i;
        at->lanes[i].is_known = true;
        at->lanes[i].first_seq = 1;
        at->session.lanes[i].is_greeted = true;
    }
    at->session.state = TMB_SESSION_STREAMING;
    at->session.version = 2;
    make_ahead(at);
    *state = at;
    return 0;
}

static int teardown(void **state)
{
    scene *at = *state;
    char command[96];
    for (unsigned i = 0; i < 2; i++)
        tmb_loader_close(at->loaders[i]);
    tmb_journal_close(at->journal);
    tmb_ahead_free(at->ahead);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", at->folder);
    free(at);
    return system(command);
}

static void append(scene *at, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        tmb_record r = {.qos = 1, .topic = tmb_bytes_str("a/b"), .payload = tmb_bytes_str("x")};
        tmb_wall now = {1000000 + (int64_t)i};
        assert_int_equal(tmb_journal_append(at->stream, &r, now, &at->end), TMB_OK);
    }
    assert_int_equal(tmb_journal_flush(at->stream), TMB_OK);
    at->lanes[0].last_seq = at->lanes[1].last_seq = at->end;
}

/* Numbers that are lost: the log goes on behind them. */
static void lose(scene *at, uint64_t until)
{
    tmb_wall now = {2000000};
    assert_int_equal(tmb_journal_skip(at->stream, until, TMB_GAP_MISSING, now), TMB_OK);
    at->end = until;
}

static void expect(scene *at, unsigned lane, uint64_t seq, uint64_t first, uint64_t last,
                   tmb_gap_reason reason)
{
    tmb_load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->seq = seq;
    l->incarnation = LIFE;
    l->bytes_max = 1u << 20;
    l->log_last = at->end;
    tmb_ahead_read(at->ahead, STREAM, lane == 1, at->loaders[lane], l);
    assert_int_equal(l->err, TMB_OK);
    assert_int_equal(l->batch.first_seq, first);
    assert_int_equal(l->batch.last_seq, last);
    assert_int_equal(l->batch.gap_reason, reason);
    assert_int_equal(l->batch.gap_first, reason == TMB_GAP_NONE ? 0 : seq);
    tmb_load_free(l);
}

static void jump(scene *at, uint64_t close, uint64_t first)
{
    assert_true(tmb_ahead_jump(at->ahead, STREAM, close, first, 0));
}

static void without_a_range_all_is_of_the_own_lane(void **state)
{
    scene *at = *state;
    append(at, 10);
    expect(at, 0, 1, 1, 10, TMB_GAP_NONE);
    expect(at, 1, 1, 11, 10, TMB_GAP_NONE); /* nothing: it waits for news */
    expect(at, 1, 20, 20, 19, TMB_GAP_NONE);
}

static void each_lane_reads_its_own_numbers(void **state)
{
    scene *at = *state;
    append(at, 20);
    jump(at, 0, 21);
    expect(at, 1, 1, 21, 20, TMB_GAP_LATER); /* no record behind the jump yet */
    append(at, 10);
    expect(at, 1, 1, 21, 30, TMB_GAP_LATER);
    expect(at, 1, 25, 25, 30, TMB_GAP_NONE);
    expect(at, 0, 1, 1, 20, TMB_GAP_NONE); /* and not into what went ahead */
    append(at, 10);
    jump(at, 30, 41); /* 31 to 40 wait in the own lane */
    append(at, 5);
    expect(at, 0, 15, 15, 20, TMB_GAP_NONE);
    expect(at, 0, 21, 31, 40, TMB_GAP_AHEAD);
    expect(at, 0, 33, 33, 40, TMB_GAP_NONE);
    expect(at, 1, 28, 28, 30, TMB_GAP_NONE);
    expect(at, 1, 31, 41, 45, TMB_GAP_LATER);
}

static void what_is_lost_at_a_border_is_told_and_passed(void **state)
{
    scene *at = *state;
    append(at, 10);
    lose(at, 15);
    append(at, 5); /* 16 to 20 */
    jump(at, 0, 13);
    jump(at, 18, 20); /* live: 13 to 18, and from 20 on */
    expect(at, 0, 1, 1, 10, TMB_GAP_NONE);
    expect(at, 0, 11, 19, 19, TMB_GAP_MISSING); /* 11 and 12 are gone, 13 to 18 the other lane's */
    expect(at, 1, 1, 16, 18, TMB_GAP_MISSING);  /* 13 to 15 are gone */
    expect(at, 1, 19, 20, 20, TMB_GAP_LATER);
}

static void the_open_range_is_on_the_disk_before_it_is_read(void **state)
{
    scene *at = *state;
    tmb_live live;
    append(at, 10);
    jump(at, 0, 11);
    assert_int_equal(tmb_live_read(NULL, at->folder, &live), TMB_OK);
    assert_int_equal(live.ranges[0].last, 10 + TMB_LIVE_CHUNK);
    append(at, TMB_LIVE_CHUNK + 100);
    expect(at, 1, 11, 11, at->end, TMB_GAP_NONE);
    assert_int_equal(tmb_live_read(NULL, at->folder, &live), TMB_OK);
    assert_int_equal(live.ranges[0].last, at->end + TMB_LIVE_CHUNK);
    make_ahead(at); /* a restart: all is as it was */
    expect(at, 0, 5, 5, 10, TMB_GAP_NONE);
    expect(at, 1, 1, 11, at->end, TMB_GAP_LATER);
}

static void what_cannot_be_written_does_not_go_ahead(void **state)
{
    scene *at = *state;
    char missing[96];
    append(at, 10);
    jump(at, 0, 11);
    (void)snprintf(missing, sizeof missing, "%s/none", at->folder);
    at->config.data_dir = missing;
    assert_false(tmb_ahead_jump(at->ahead, STREAM, 12, 15, 0));
    append(at, TMB_LIVE_CHUNK + 100);
    tmb_load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->seq = 11;
    l->incarnation = LIFE;
    l->bytes_max = 1000;
    l->log_last = at->end;
    tmb_ahead_read(at->ahead, STREAM, true, at->loaders[1], l);
    assert_int_not_equal(l->err, TMB_OK);
    tmb_load_free(l);
    at->config.data_dir = at->folder;
    expect(at, 1, 11, 11, at->end, TMB_GAP_NONE);
    json_t *stats = json_object();
    tmb_ahead_stats(at->ahead, stats);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(stats, "live"), "failures")), 2);
    json_decref(stats);
}

static void at_the_limit_nothing_jumps_until_something_is_through(void **state)
{
    scene *at = *state;
    for (uint64_t i = 0; i < TMB_LIVE_RANGES_MAX; i++)
        jump(at, 100 * i, 100 * i + 50);
    const uint64_t next = 100 * TMB_LIVE_RANGES_MAX;
    assert_false(tmb_ahead_jump(at->ahead, STREAM, next, next + 50, 99));
    tmb_live live;
    tmb_ahead_copy(at->ahead, &live);
    assert_int_equal(live.ranges_count, TMB_LIVE_RANGES_MAX);
    assert_true(tmb_ahead_jump(at->ahead, STREAM, next, next + 50, 300));
    tmb_ahead_copy(at->ahead, &live);
    assert_int_equal(live.ranges_count, TMB_LIVE_RANGES_MAX - 2);
}

static void a_damaged_file_is_as_none_and_counted(void **state)
{
    scene *at = *state;
    char path[96];
    append(at, 10);
    jump(at, 0, 6);
    (void)snprintf(path, sizeof path, "%s/%s", at->folder, TMB_LIVE_FILE);
    assert_int_equal(truncate(path, 30), 0);
    make_ahead(at);
    json_t *stats = json_object();
    tmb_ahead_stats(at->ahead, stats);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "live"), "damaged")),
                     1);
    json_decref(stats);
    expect(at, 0, 1, 1, 10, TMB_GAP_NONE);
    /* The parent's mark says that something went ahead: what is new goes on in the live lane. */
    at->session.lanes[1].acked = 8;
    tmb_pair_decide(&at->lanes[0], &at->lanes[1], &at->session);
    expect(at, 1, 9, 11, 10, TMB_GAP_LATER);
    expect(at, 0, 1, 1, 10, TMB_GAP_NONE);
}

static bool has_jumped(scene *at)
{
    tmb_live_range range;
    tmb_pair_decide(&at->lanes[0], &at->lanes[1], &at->session);
    return tmb_ahead_last(at->ahead, STREAM, &range) && range.first == at->end + 1;
}

static void it_jumps_when_enough_waits(void **state)
{
    scene *at = *state;
    append(at, 300);
    at->session.lanes[0].acked = 300 - TMB_AHEAD_JUMP_RECORDS;
    assert_false(has_jumped(at));
    at->session.lanes[0].acked--;
    at->session.version = 1; /* such a parent knows of no live lane */
    assert_false(has_jumped(at));
    at->session.version = 2;
    at->session.lanes[1].is_greeted = false;
    assert_false(has_jumped(at));
    at->session.lanes[1].is_greeted = true;
    assert_true(has_jumped(at));
    uint64_t first = 0, last = 0;
    append(at, 400); /* 301 to 700 are the live lane's */
    tmb_pair_range(&at->lanes[0], &at->session, &first, &last);
    assert_int_equal(last, 300);
    tmb_pair_range(&at->lanes[1], &at->session, &first, &last);
    assert_int_equal(last, 700);
    assert_true(tmb_pair_is_late(&at->lanes[0], 300));
    assert_false(tmb_pair_is_late(&at->lanes[1], 700));
    assert_int_equal(tmb_pair_first_waiting(&at->lanes[0], &at->session, 10), 11);
    assert_int_equal(tmb_pair_first_waiting(&at->lanes[0], &at->session, 300), 0);
    assert_int_equal(tmb_pair_first_waiting(&at->lanes[1], &at->session, 0), 301);
    assert_int_equal(tmb_pair_first_waiting(&at->lanes[1], &at->session, 700), 0);
    /* The next outage: what may have left stays in the live lane, acknowledged or not. */
    at->lanes[1].sent_last = 420;
    at->session.lanes[1].acked = 400;
    assert_true(has_jumped(at));
    append(at, 1);
    expect(at, 1, 401, 401, 420, TMB_GAP_NONE);
    expect(at, 0, 301, 421, 700, TMB_GAP_AHEAD);
    expect(at, 1, 421, 701, 701, TMB_GAP_LATER);
}

/* A batch was read behind the last look: it has left in the own lane, and stays there. */
static void what_was_sent_unseen_does_not_go_ahead(void **state)
{
    scene *at = *state;
    append(at, 400);
    at->lanes[0].last_seq = at->lanes[1].last_seq = 390;
    at->lanes[0].sent_last = 400;
    at->session.lanes[0].acked = 20;
    assert_true(has_jumped(at)); /* to 401 */
    append(at, 5);
    expect(at, 0, 21, 21, 400, TMB_GAP_NONE);
    expect(at, 1, 1, 401, 405, TMB_GAP_LATER);
}

static void a_live_lane_that_was_never_used_has_an_empty_log(void **state)
{
    scene *at = *state;
    uint64_t first = 0, last = 0;
    append(at, 10);
    tmb_pair_range(&at->lanes[1], &at->session, &first, &last);
    assert_int_equal(first, 1);
    assert_int_equal(last, 0);
    at->session.state = TMB_SESSION_DIALING; /* the parent's mark is not known yet */
    tmb_pair_range(&at->lanes[1], &at->session, &first, &last);
    assert_int_equal(last, 10);
    /* The log has lost all that the own lane had: it is empty, and its range is one. */
    jump(at, 0, 4);
    at->lanes[0].first_seq = 7;
    tmb_pair_range(&at->lanes[0], &at->session, &first, &last);
    assert_int_equal(first, 4);
    assert_int_equal(last, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_range_all_is_of_the_own_lane, setup, teardown),
        cmocka_unit_test_setup_teardown(each_lane_reads_its_own_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_lost_at_a_border_is_told_and_passed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_open_range_is_on_the_disk_before_it_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_does_not_go_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(at_the_limit_nothing_jumps_until_something_is_through,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_as_none_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(it_jumps_when_enough_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_sent_unseen_does_not_go_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(a_live_lane_that_was_never_used_has_an_empty_log, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
