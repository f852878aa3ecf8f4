// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_asks.c - questions upwards: each is answered once, by what is told, by time or by
 * the end; one more than may wait is not asked. The uplink is the test's.
 */
#include "syncd/daemon/asks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "syncd/daemon/uplink.h"

#define LONG_MS 600000

static bool can_ask;
static unsigned asked, told, unanswered;
static uint64_t last_id, told_id;

bool tmb_uplink_can_ask(const tmb_uplink *u)
{
    (void)u;
    return can_ask;
}

bool tmb_uplink_ask(tmb_uplink *u, const tmb_frame *frame)
{
    (void)u;
    assert_int_equal(frame->type, TMB_FRAME_ASK);
    asked++;
    last_id = frame->u.ask.id;
    return true;
}

static void done(void *arg, const tmb_frame_told *frame)
{
    (void)arg;
    if (frame) {
        told++;
        told_id = frame->id;
    } else {
        unanswered++;
    }
}

typedef struct scene {
    tmb_daemon daemon;
    tmb_asks *asks;
} scene;

static int setup(void **state)
{
    scene *at = calloc(1, sizeof *at);
    assert_non_null(at);
    can_ask = true;
    asked = told = unanswered = 0;
    last_id = told_id = 0;
    assert_int_equal(uv_loop_init(&at->daemon.loop), 0);
    assert_int_equal(tmb_asks_new(&at->daemon, &at->asks), TMB_OK);
    *state = at;
    return 0;
}

static int teardown(void **state)
{
    scene *at = *state;
    tmb_asks_stop(at->asks);
    (void)uv_run(&at->daemon.loop, UV_RUN_DEFAULT);
    tmb_asks_free(at->asks);
    assert_int_equal(uv_loop_close(&at->daemon.loop), 0);
    free(at);
    return 0;
}

static bool ask(scene *at, uint64_t wait_ms)
{
    static const tmb_frame_ask question = {.session = 1};
    return tmb_asks_send(at->asks, &question, wait_ms, done, NULL);
}

static void tell(scene *at, uint64_t id)
{
    tmb_frame_told frame = {.id = id};
    tmb_asks_told(at->asks, &frame);
}

static json_int_t counted(const scene *at, const char *key)
{
    json_t *object = json_object();
    tmb_asks_stats(at->asks, object);
    json_int_t value = json_integer_value(json_object_get(json_object_get(object, "asks"), key));
    json_decref(object);
    return value;
}

static void an_answer_is_given_once(void **state)
{
    scene *at = *state;
    assert_true(ask(at, LONG_MS));
    uint64_t id = last_id;
    assert_true(ask(at, LONG_MS));
    assert_true(id != last_id);
    tell(at, id + 1000);
    tell(at, 0);
    assert_int_equal(told, 0);
    tell(at, id);
    tell(at, id);
    assert_int_equal(told, 1);
    assert_int_equal(told_id, id);
    assert_int_equal(counted(at, "told"), 1);
}

static void nobody_is_asked_where_nobody_can_be(void **state)
{
    scene *at = *state;
    can_ask = false;
    assert_false(ask(at, LONG_MS));
    assert_int_equal(asked + told + unanswered, 0);
}

static void one_that_is_not_answered_ends_in_time(void **state)
{
    scene *at = *state;
    assert_true(ask(at, 1));
    while (unanswered == 0)
        (void)uv_run(&at->daemon.loop, UV_RUN_ONCE);
    tell(at, last_id); /* too late */
    assert_int_equal(told, 0);
    assert_int_equal(unanswered, 1);
    assert_int_equal(counted(at, "unanswered"), 1);
}

static void one_more_than_may_wait_is_not_asked(void **state)
{
    scene *at = *state;
    for (unsigned i = 0; i < TMB_ASKS_MAX; i++)
        assert_true(ask(at, LONG_MS));
    uint64_t id = last_id;
    assert_false(ask(at, LONG_MS));
    assert_int_equal(asked, TMB_ASKS_MAX);
    assert_int_equal(counted(at, "unasked"), 1);
    assert_int_equal(told + unanswered, 0);
    tell(at, id); /* makes room */
    assert_true(ask(at, LONG_MS));
    assert_true(last_id > id);
    tmb_asks_stop(at->asks);
    assert_int_equal(unanswered, TMB_ASKS_MAX);
    assert_false(ask(at, LONG_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_is_given_once, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_asked_where_nobody_can_be, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_not_answered_ends_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(one_more_than_may_wait_is_not_asked, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
