// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_keeper.c - uplink.marks follows what is told, up and down, not at the speed of the
 * ACKs, and not for ever behind after a write that failed.
 */
#include "syncd/daemon/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct scene {
    tmb_daemon daemon;
    tmb_config config;
    char folder[64];
    tmb_keeper *keeper;
} scene;

static int setup(void **state)
{
    scene *at = calloc(1, sizeof *at);
    assert_non_null(at);
    strcpy(at->folder, "/tmp/tmb-keeper-XXXXXX");
    assert_non_null(mkdtemp(at->folder));
    at->config.data_dir = at->folder;
    at->daemon.config = &at->config;
    assert_int_equal(uv_loop_init(&at->daemon.loop), 0);
    assert_int_equal(tmb_keeper_new(&at->daemon, &at->keeper), TMB_OK);
    *state = at;
    return 0;
}

static void end(scene *at)
{
    tmb_keeper_stop(at->keeper);
    assert_int_equal(uv_run(&at->daemon.loop, UV_RUN_DEFAULT), 0);
    tmb_keeper_free(at->keeper);
    at->keeper = NULL;
}

static int teardown(void **state)
{
    scene *at = *state;
    if (at->keeper)
        end(at);
    assert_int_equal(uv_loop_close(&at->daemon.loop), 0);
    assert_int_equal(tmb_marks_forget(NULL, at->folder), TMB_OK);
    assert_int_equal(rmdir(at->folder), 0);
    free(at);
    return 0;
}

static void tell(scene *at, uint64_t seq)
{
    tmb_marks marks = {.node = "s1", .parent = "hub", .streams_count = 1};
    marks.streams[0] = (tmb_uplink_mark){.stream = "default", .seq = seq};
    tmb_keeper_tell(at->keeper, &marks);
}

static uint64_t count(const scene *at, const char *key)
{
    json_t *object = json_object();
    tmb_keeper_stats(at->keeper, object);
    uint64_t number = (uint64_t)json_integer_value(json_object_get(object, key));
    json_decref(object);
    return number;
}

/* UINT64_MAX: there is no file. */
static uint64_t stored(const scene *at)
{
    tmb_marks marks;
    tmb_err err = tmb_marks_read(NULL, at->folder, &marks);
    if (err == TMB_ENOENT)
        return UINT64_MAX;
    assert_int_equal(err, TMB_OK);
    return marks.streams[0].seq;
}

/* Until nothing is under way: the pause behind a write is a timer of the loop, too. */
static void settle(scene *at)
{
    assert_int_equal(uv_run(&at->daemon.loop, UV_RUN_DEFAULT), 0);
}

static void the_file_says_what_was_told_last(void **state)
{
    scene *at = *state;
    assert_int_equal(stored(at), UINT64_MAX);
    tell(at, 5);
    settle(at);
    assert_int_equal(stored(at), 5);
    for (uint64_t seq = 6; seq <= 1000; seq++)
        tell(at, seq);
    settle(at);
    assert_int_equal(stored(at), 1000);
    assert_in_range(count(at, "marks_written"), 2, 3); /* 5; 6; and all the others together */
    tell(at, 400);                                     /* the parent has lost its disk */
    settle(at);
    assert_int_equal(stored(at), 400);
    tmb_keeper_tell(at->keeper, NULL);
    settle(at);
    assert_int_equal(stored(at), UINT64_MAX);
    assert_int_equal(count(at, "mark_failures"), 0);
}

static void what_is_due_at_the_end_is_written(void **state)
{
    scene *at = *state;
    tell(at, 1);
    tell(at, 2);
    tell(at, 3);
    end(at);
    assert_int_equal(stored(at), 3);
}

/* A gap is on the disk when the call comes back, whatever the pool is about to write. */
static void a_gap_is_saved_at_once(void **state)
{
    scene *at = *state;
    tmb_marks marks = {.node = "s1", .parent = "hub", .streams_count = 1}, back;
    marks.streams[0] = (tmb_uplink_mark){.stream = "default", .seq = 9};
    tell(at, 9);
    tmb_marks_add_gap(&marks, "default", 3, 4, TMB_GAP_RETENTION);
    tmb_keeper_save_gap(at->keeper, &marks);
    assert_int_equal(tmb_marks_read(NULL, at->folder, &back), TMB_OK);
    assert_int_equal(back.gaps_count, 1);
    settle(at);
    assert_int_equal(tmb_marks_read(NULL, at->folder, &back), TMB_OK);
    assert_int_equal(back.gaps_count, 1);
    char path[96];
    snprintf(path, sizeof path, "%s/%s.new", at->folder, TMB_MARKS_FILE);
    assert_int_equal(mkdir(path, 0700),
                     0); /* it cannot be written: then there is none, it would lie */
    tmb_keeper_save_gap(at->keeper, &marks);
    assert_int_equal(stored(at), UINT64_MAX);
    assert_int_equal(rmdir(path), 0);
    settle(at);
    assert_int_equal(stored(at), 9);
}

static void a_failed_write_is_counted_and_tried_again(void **state)
{
    scene *at = *state;
    char away[80];
    snprintf(away, sizeof away, "%s-away", at->folder);
    tell(at, 1);
    settle(at);
    assert_int_equal(rename(at->folder, away), 0);
    tell(at, 2);
    while (count(at, "mark_failures") == 0)
        assert_int_not_equal(uv_run(&at->daemon.loop, UV_RUN_ONCE), 0);
    assert_int_equal(rename(away, at->folder), 0);
    assert_int_equal(stored(at), 1);
    settle(at); /* nobody tells it anything more */
    assert_int_equal(stored(at), 2);
    assert_int_equal(count(at, "mark_failures"), 1);
    assert_int_equal(count(at, "marks_written"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_file_says_what_was_told_last, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_due_at_the_end_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_is_saved_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_is_counted_and_tried_again, setup, teardown),
    };
    return cmocka_run_group_tests_name("unit.daemon.keeper", tests, NULL, NULL);
}
