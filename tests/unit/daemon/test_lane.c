// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_lane.c - looks and loads of one log side by side: a look that was overtaken by a
 * load does not say that the log ends before what is on its way to the parent already. It would be taken for
 * a restored backup, and the node fenced.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "syncd/daemon/lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/journal.h"

#define STREAM "default"

static const tmb_incarnation LIFE = {{4, 5, 6}};

typedef struct scene {
    tmb_daemon daemon;
    tmb_config config;
    char folder[64], root[80];
    tmb_journal *journal;
    tmb_journal_stream *stream;
    tmb_lane lane;
    unsigned looks, loads;
    uint64_t lowest_seq; /* that a look said the log ends with */
} scene;

/* The pool's look waits behind its last call until it may go on. */
static struct {
    const tmb_tail *held; /* NULL: nobody */
    uv_sem_t is_there, may_go;
} hold;

tmb_err __real_tmb_tail_range(tmb_tail *tail, uint64_t *ret_first, uint64_t *ret_last,
                              tmb_incarnation *ret_incarnation);
tmb_err __wrap_tmb_tail_range(tmb_tail *tail, uint64_t *ret_first, uint64_t *ret_last,
                              tmb_incarnation *ret_incarnation);

tmb_err __wrap_tmb_tail_range(tmb_tail *tail, uint64_t *ret_first, uint64_t *ret_last,
                              tmb_incarnation *ret_incarnation)
{
    tmb_err err = __real_tmb_tail_range(tail, ret_first, ret_last, ret_incarnation);
    if (tail == hold.held) {
        hold.held = NULL;
        uv_sem_post(&hold.is_there);
        uv_sem_wait(&hold.may_go);
    }
    return err;
}

static void on_looked(tmb_lane *lane)
{
    scene *at = lane->arg;
    at->looks++;
    assert_int_equal(lane->look.err, TMB_OK);
    if (lane->last_seq < at->lowest_seq)
        at->lowest_seq = lane->last_seq;
}

static void on_loaded(tmb_lane *lane, tmb_load *load)
{
    scene *at = lane->arg;
    at->loads++;
    assert_int_equal(load->err, TMB_OK);
    tmb_load_free(load);
}

static void append(scene *at, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t seq = 0;
        tmb_record r = {.qos = 1, .topic = tmb_bytes_str("a/b")};
        assert_int_equal(tmb_journal_append(at->stream, &r, (tmb_wall){1000000 + i}, &seq), TMB_OK);
    }
    assert_int_equal(tmb_journal_flush(at->stream), TMB_OK);
}

static void run_until(scene *at, const unsigned *count, unsigned wanted)
{
    while (*count < wanted)
        (void)uv_run(&at->daemon.loop, UV_RUN_ONCE);
}

static void load_all(scene *at)
{
    tmb_load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    load->seq = 1;
    load->incarnation = LIFE;
    load->bytes_max = 65536;
    tmb_lane_load(&at->lane, load);
    run_until(at, &at->loads, at->loads + 1);
}

static int setup(void **state)
{
    scene *at = calloc(1, sizeof *at);
    assert_non_null(at);
    strcpy(at->folder, "/tmp/tmb-lane-XXXXXX");
    assert_non_null(mkdtemp(at->folder));
    (void)snprintf(at->root, sizeof at->root, "%s/journal", at->folder);
    tmb_journal_options options = {.root = at->root, .node = "s1", .fresh_incarnation = LIFE};
    assert_int_equal(tmb_journal_open(&options, &at->journal, NULL, 0), TMB_OK);
    assert_int_equal(tmb_journal_stream_open(at->journal, STREAM, &at->stream, NULL, 0), TMB_OK);
    append(at, 3);
    at->config.data_dir = at->folder;
    at->config.node = "s1";
    at->daemon.config = &at->config;
    at->daemon.journal_root = at->root;
    assert_int_equal(uv_loop_init(&at->daemon.loop), 0);
    assert_int_equal(uv_sem_init(&hold.is_there, 0), 0);
    assert_int_equal(uv_sem_init(&hold.may_go, 0), 0);
    at->lane = (tmb_lane){.daemon = &at->daemon,
                          .stream = STREAM,
                          .name = STREAM,
                          .arg = at,
                          .looked = on_looked,
                          .loaded = on_loaded};
    assert_int_equal(tmb_lane_open(&at->lane), TMB_OK);
    tmb_lane_look(&at->lane, 0);
    run_until(at, &at->looks, 1);
    assert_int_equal(at->lane.last_seq, 3);
    at->lowest_seq = UINT64_MAX;
    *state = at;
    return 0;
}

static int teardown(void **state)
{
    scene *at = *state;
    char command[128];
    tmb_lane_stop(&at->lane);
    assert_int_equal(uv_run(&at->daemon.loop, UV_RUN_DEFAULT), 0);
    tmb_lane_close(&at->lane);
    assert_int_equal(uv_loop_close(&at->daemon.loop), 0);
    tmb_journal_close(at->journal);
    uv_sem_destroy(&hold.is_there);
    uv_sem_destroy(&hold.may_go);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", at->folder);
    free(at);
    return system(command);
}

static void a_load_that_reads_on_moves_the_end(void **state)
{
    scene *at = *state;
    append(at, 4);
    load_all(at);
    assert_int_equal(at->lane.last_seq, 7);
}

static void a_look_that_was_overtaken_takes_nothing_back(void **state)
{
    scene *at = *state;
    hold.held = at->lane.watch;
    tmb_lane_look(&at->lane, 0);
    uv_sem_wait(&hold.is_there);
    append(at, 4);
    load_all(at);
    uv_sem_post(&hold.may_go);
    run_until(at, &at->looks, 2);
    assert_int_equal(at->lowest_seq, 7);
}

/* What is missing for good is said: a backup that was restored. */
static void a_log_that_ends_earlier_is_told(void **state)
{
    scene *at = *state;
    char path[160];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/" STREAM "/00000000000000000001.seg", at->root);
    assert_int_equal(stat(path, &st), 0);
    append(at, 4);
    load_all(at);
    assert_int_equal(truncate(path, st.st_size), 0);
    tmb_lane_look(&at->lane, 0);
    run_until(at, &at->looks, 2);
    assert_int_equal(at->lane.last_seq, 3);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_load_that_reads_on_moves_the_end),
        CASE(a_look_that_was_overtaken_takes_nothing_back),
        CASE(a_log_that_ends_earlier_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
