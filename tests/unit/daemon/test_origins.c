// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_origins.c - how far streams from farther down are: the highest counts, and what
 * does not fit is counted, not noted in another's place.
 */
#include "syncd/daemon/origins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "syncd/daemon/child.h"

/* Without a store nothing is kept. */
uint64_t tmb_binding_generation(const tmb_binding *binding)
{
    (void)binding;
    fail();
    return 0;
}

tmb_err tmb_binding_put(tmb_binding *binding, uint64_t generation, tmb_bytes node,
                        const tmb_incarnation *incarnation, tmb_bytes stream, uint64_t seq)
{
    (void)binding, (void)generation, (void)node, (void)incarnation, (void)stream, (void)seq;
    fail();
    return TMB_OK;
}

static const tmb_incarnation LIFE = {{1}}, OTHER_LIFE = {{2}};

typedef struct scene {
    tmb_daemon daemon;
    tmb_origins *origins;
} scene;

static int setup(void **state)
{
    scene *at = calloc(1, sizeof *at);
    assert_non_null(at);
    assert_int_equal(uv_loop_init(&at->daemon.loop), 0);
    assert_int_equal(tmb_origins_new(&at->daemon, NULL, &at->origins), TMB_OK);
    *state = at;
    return 0;
}

static int teardown(void **state)
{
    scene *at = *state;
    tmb_origins_stop(at->origins);
    (void)uv_run(&at->daemon.loop, UV_RUN_DEFAULT);
    tmb_origins_free(at->origins);
    assert_int_equal(uv_loop_close(&at->daemon.loop), 0);
    free(at);
    return 0;
}

static void note(scene *at, const char *node, uint64_t seq)
{
    tmb_commit_origin origin = {.stream = "a", .incarnation = LIFE, .seq = seq};
    (void)snprintf(origin.node, sizeof origin.node, "%s", node);
    tmb_origins_note(at->origins, &origin, 1);
}

static uint64_t find(const scene *at, const char *node, const char *stream)
{
    return tmb_origins_find(at->origins, tmb_bytes_str(node), &LIFE, tmb_bytes_str(stream));
}

static json_int_t told(const scene *at, const char *key)
{
    json_t *object = json_object();
    tmb_origins_stats(at->origins, object);
    json_int_t value = json_integer_value(json_object_get(object, key));
    json_decref(object);
    return value;
}

static void the_highest_of_a_stream_counts(void **state)
{
    scene *at = *state;
    note(at, "n", 5);
    note(at, "n", 9);
    note(at, "n", 7);
    assert_int_equal(find(at, "n", "a"), 9);
    assert_int_equal(find(at, "n", "b"), 0);
    assert_int_equal(find(at, "m", "a"), 0);
    assert_int_equal(
        tmb_origins_find(at->origins, tmb_bytes_str("n"), &OTHER_LIFE, tmb_bytes_str("a")), 0);
    assert_int_equal(told(at, "origins"), 1);
    tmb_origins_reset(at->origins);
    assert_int_equal(find(at, "n", "a"), 0);
    assert_int_equal(told(at, "origins"), 0);
}

static void one_more_than_fit_is_counted(void **state)
{
    scene *at = *state;
    char node[16];
    for (unsigned i = 0; i < TMB_ORIGINS_MAX; i++) {
        (void)snprintf(node, sizeof node, "n%u", i);
        note(at, node, 1 + i);
    }
    assert_int_equal(told(at, "origins"), TMB_ORIGINS_MAX);
    assert_int_equal(told(at, "origins_unnoted"), 0);
    note(at, "one-more", 5);
    assert_int_equal(find(at, "one-more", "a"), 0);
    assert_int_equal(told(at, "origins_unnoted"), 1);
    assert_int_equal(told(at, "origins"), TMB_ORIGINS_MAX);
    note(at, "n0", 77); /* known ones go on */
    assert_int_equal(find(at, "n0", "a"), 77);
    assert_int_equal(find(at, node, "a"), TMB_ORIGINS_MAX);
    assert_int_equal(told(at, "origins_unnoted"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_highest_of_a_stream_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(one_more_than_fit_is_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
