// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_state_twins.c - deltas among the values, said once a list; one twin more than can be
 * watched is said like the others and counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/kv_memory.h"
#include "syncd/daemon/state_twins.h"

#define WATCHED_MAX 2000 /* TMB_STATE_TWINS_MAX takes a while */

typedef struct scene {
    tmb_config config;
    tmb_daemon daemon;
    tmb_state state;
    kv_memory disk;
    tmb_kv kv;
    tmb_scope_room room;
    tmb_scope scope;
    tmb_state_twins *twins;
    tmb_said_list said;
} scene;

/* main.c's, which is the program. */
uint64_t tmb_daemon_seed(const tmb_daemon *d, uint64_t what)
{
    (void)d;
    return what;
}

static char own_name[] = "line-7", root[] = "state";

static int begin(void **state)
{
    scene *at = calloc(1, sizeof *at);
    assert_non_null(at);
    at->config.node = own_name;
    at->config.state.root = root;
    at->config.state.value_max = 4096;
    at->daemon.config = &at->config;
    at->state.daemon = &at->daemon;
    at->kv = kv_memory_port(&at->disk);
    tmb_incarnation self = {{1}};
    assert_int_equal(tmb_scope_load(&at->scope, &at->kv, &at->room, tmb_bytes_str(own_name), self),
                     TMB_OK);
    assert_int_equal(tmb_state_twins_new(&at->state, WATCHED_MAX, &at->twins), TMB_OK);
    *state = at;
    return 0;
}

static int end(void **state)
{
    scene *at = *state;
    tmb_said_clear(&at->said);
    free(at->said.v);
    tmb_state_twins_free(at->twins);
    kv_memory_free(&at->disk);
    free(at);
    return 0;
}

static void set(scene *at, const char *path, const char *value)
{
    tmb_bytes bytes = tmb_bytes_str(value);
    tmb_op op = {.verb = TMB_VERB_SET, .scope = tmb_bytes_str(own_name)};
    op.path = tmb_bytes_str(path);
    op.values_count = 1;
    op.values = &bytes;
    tmb_verdict verdict;
    assert_int_equal(tmb_scope_apply(&at->scope, &op, true, &verdict, NULL), TMB_OK);
    assert_int_equal(verdict, TMB_VERDICT_DONE);
}

static void say(scene *at, const char *path)
{
    assert_int_equal(tmb_state_twins_say(at->twins, &at->scope, tmb_bytes_str(path), 3, &at->said),
                     TMB_OK);
}

static int64_t told(scene *at, const char *name)
{
    json_t *all = json_object();
    tmb_state_twins_stats(at->twins, all);
    int64_t found = json_integer_value(json_object_get(json_object_get(all, "twins"), name));
    json_decref(all);
    return found;
}

static void a_twin_is_said_once_a_list(void **state)
{
    scene *at = *state;
    set(at, "twin/a/desired/speed", "80");
    set(at, "twin/a/reported/online", "true");
    say(at, "other/path");
    assert_int_equal(at->said.count, 0);
    say(at, "twin/a/desired/speed");
    say(at, "twin/a/reported/online");
    assert_int_equal(at->said.count, 1);
    assert_int_equal(at->said.v[0].item, 3);
    assert_string_equal(at->said.v[0].topic, "state/line-7/twin/a/delta");
    static const char wanted[] = "{\"delta\":{\"speed\":80},\"online\":true,";
    assert_memory_equal(at->said.v[0].payload, wanted, sizeof wanted - 1);
    assert_int_equal(told(at, "watched"), 1);
}

static void what_is_gone_is_watched_no_more(void **state)
{
    scene *at = *state;
    set(at, "twin/a/reported/online", "true");
    say(at, "twin/a/reported/online");
    tmb_op del = {.verb = TMB_VERB_DEL, .scope = tmb_bytes_str(own_name)};
    del.path = tmb_bytes_str("twin/a");
    tmb_verdict verdict;
    assert_int_equal(tmb_scope_apply(&at->scope, &del, true, &verdict, NULL), TMB_OK);
    tmb_said_clear(&at->said);
    say(at, "twin/a");
    assert_int_equal(at->said.count, 1);
    assert_int_equal(at->said.v[0].len, 0);
    assert_int_equal(told(at, "watched"), 0);
}

static void one_more_than_can_be_watched_is_counted(void **state)
{
    scene *at = *state;
    for (unsigned i = 0; i <= WATCHED_MAX; i++) {
        char path[64];
        snprintf(path, sizeof path, "twin/d%06u/reported/online", i);
        set(at, path, "true");
        tmb_said_clear(&at->said);
        say(at, path);
        assert_int_equal(at->said.count, 1);
        assert_true(at->said.v[0].len > 0);
    }
    assert_int_equal(told(at, "watched"), WATCHED_MAX);
    assert_int_equal(told(at, "untracked"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_twin_is_said_once_a_list, begin, end),
        cmocka_unit_test_setup_teardown(what_is_gone_is_watched_no_more, begin, end),
        cmocka_unit_test_setup_teardown(one_more_than_can_be_watched_is_counted, begin, end),
    };
    return cmocka_run_group_tests_name("unit.daemon.state_twins", tests, NULL, NULL);
}
