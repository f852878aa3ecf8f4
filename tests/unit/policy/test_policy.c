// SPDX-License-Identifier: Apache-2.0
/* tests/unit/policy/test_policy.c - the order of streams decides, and a child's stream finds its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/policy.h"

static char *alarm_topics[] = {"alarm/#", "+/alarm"};
static char *meter_topics[] = {"meter/+/kwh"};
static char *rest_topics[] = {"#"};

static tmb_policy *three_streams(void)
{
    static tmb_policy policy;
    policy = (tmb_policy){
        .streams = {{.name = "alarms", .topics = alarm_topics, .topics_count = 2},
                    {.name = "meters", .topics = meter_topics, .topics_count = 1},
                    {.name = "rest", .topics = rest_topics, .topics_count = 1}},
        .streams_count = 3,
    };
    return &policy;
}

static int stream_for(const tmb_policy *policy, const char *topic)
{
    return tmb_policy_stream_for_topic(policy, tmb_bytes_str(topic));
}

static void test_first_match_wins(void **state)
{
    (void)state;
    tmb_policy *policy = three_streams();
    assert_int_equal(stream_for(policy, "alarm/press-3"), 0);
    assert_int_equal(stream_for(policy, "alarm"), 0);
    assert_int_equal(stream_for(policy, "meter/alarm"), 0);
    assert_int_equal(stream_for(policy, "meter/7/kwh"), 1);
    assert_int_equal(stream_for(policy, "meter/7/kvar"), 2);
    assert_int_equal(stream_for(policy, "$SYS/broker/uptime"), -1);

    tmb_stream_policy first = policy->streams[0];
    policy->streams[0] = policy->streams[2];
    policy->streams[2] = first;
    assert_int_equal(stream_for(policy, "alarm/press-3"), 0);
}

static void test_not_captured(void **state)
{
    (void)state;
    tmb_policy *policy = three_streams();
    policy->streams_count = 2;
    assert_int_equal(stream_for(policy, "press/3"), -1);
    policy->streams_count = 0;
    assert_int_equal(stream_for(policy, "alarm/press-3"), -1);
}

static void test_stream_for_child(void **state)
{
    (void)state;
    tmb_policy *policy = three_streams();
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("alarms")), 0);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("meters")), 1);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("meter")), 2);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("")), 2);
    tmb_policy_add_ledger(policy);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("alarms.live")), 0);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("meter.live")), 2);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str(".live")), 2);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("loss")), 3);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("meter")), 2);
    assert_int_equal(tmb_policy_stream_for_topic(policy, tmb_bytes_str(TMB_LEDGER_TOPIC)), 2);
    policy->streams_count = 0;
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("alarms")), -1);
    tmb_policy_add_ledger(policy);
    assert_int_equal(tmb_policy_stream_for_child(policy, tmb_bytes_str("alarms")), -1);
}

static void test_ledger_topics(void **state)
{
    (void)state;
    static const char *const ours[] = {"tombolo/loss", "s1/tombolo/loss", "hub/s1/tombolo/loss",
                                       "tombolo/loss/from/s1", "xtombolo/loss/tombolo/loss"};
    static const char *const others[] = {
        "tombolo", "tombolo/lossy", "xtombolo/loss", "loss", "tombolo//loss", "s1/tombolo/los", ""};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_true(tmb_policy_is_ledger_topic(ours[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(tmb_policy_is_ledger_topic(others[i]));
}

static void test_durability_names(void **state)
{
    (void)state;
    assert_string_equal(tmb_durability_str(TMB_DURABILITY_STRICT), "strict");
    assert_string_equal(tmb_durability_str(TMB_DURABILITY_GROUP), "group");
    assert_string_equal(tmb_durability_str(TMB_DURABILITY_PROCESS), "process");
    assert_string_equal(tmb_durability_str(TMB_DURABILITY_NONE), "none");
    assert_string_equal(tmb_durability_str((tmb_durability)99), "unknown");
}

static void test_full_names(void **state)
{
    (void)state;
    assert_string_equal(tmb_full_str(TMB_FULL_REJECT), "reject");
    assert_string_equal(tmb_full_str(TMB_FULL_DROP_OLDEST), "drop-oldest");
    assert_string_equal(tmb_full_str(TMB_FULL_DROP_NEWEST), "drop-newest");
    assert_string_equal(tmb_full_str((tmb_full)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_match_wins), cmocka_unit_test(test_not_captured),
        cmocka_unit_test(test_stream_for_child), cmocka_unit_test(test_ledger_topics),
        cmocka_unit_test(test_durability_names), cmocka_unit_test(test_full_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
