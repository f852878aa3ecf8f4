// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_state_service.c - moments that come seldom, stepped by hand: a value that fails
 * is tried again, what was said before a cut is cleared behind it.
 */
#include "tests/unit/daemon/state_service.h"

#define QUIET_MS 100 /* longer than values wait for each other */

static void begin_and_come_up(scene *at)
{
    run_job(TMB_OK);
    assert_true(at->state->is_begun);
    come_up();
    go_on(at, QUIET_MS);
    assert_string_not_equal(kept("$tombolo/v1/state/mark"), "");
}

/* No second is told: what is tried again is so by itself. */
static void wait_for(scene *at, const char *topic, const char *payload)
{
    for (unsigned i = 0; i < 100 && strcmp(kept(topic), payload) != 0; i++)
        go_on(at, QUIET_MS);
    assert_string_equal(kept(topic), payload);
}

static void a_refused_value_is_said_again(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    apply(at, TMB_VERB_SET, "press/speed", "80");
    wait_for_job(at);
    run_job(TMB_OK); /* gathered, and said */
    assert_string_equal(broker->sent[broker->sent_count - 1].topic, "state/line-7/press/speed");
    assert_true(take_message(0x97, true));
    assert_string_equal(kept("state/line-7/press/speed"), "");
    wait_for(at, "state/line-7/press/speed", "80"); /* though nothing else changes */
}

static void values_that_could_not_be_read_are_read_again(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    apply(at, TMB_VERB_SET, "press/speed", "80");
    wait_for_job(at);
    run_job(TMB_EIO);
    wait_for(at, "state/line-7/press/speed", "80");
}

static int begin_with_protobuf(void **state)
{
    int err = begin(state);
    ((scene *)*state)->config.state.protobuf = true;
    return err;
}

static void what_was_said_before_a_cut_is_cleared(void **state)
{
    scene *at = *state;
    begin_and_come_up(at);
    apply(at, TMB_VERB_SET, "press/speed", "80");
    wait_for_job(at);
    run_job(TMB_OK);
    while (take_message(0, false)) { /* it has them, and nobody hears of it */
    }
    assert_string_not_equal(kept("state/line-7/press/speed/pb"), "");
    go_down();
    apply(at, TMB_VERB_DEL, "press/speed", NULL);
    come_up();
    go_on(at, QUIET_MS);
    assert_string_equal(kept("state/line-7/press/speed"), "");
    assert_string_equal(kept("state/line-7/press/speed/pb"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_refused_value_is_said_again, begin, end),
        cmocka_unit_test_setup_teardown(values_that_could_not_be_read_are_read_again, begin, end),
        cmocka_unit_test_setup_teardown(what_was_said_before_a_cut_is_cleared, begin_with_protobuf,
                                        end),
    };
    return cmocka_run_group_tests_name("unit.daemon.state_service", tests, NULL, NULL);
}
