// SPDX-License-Identifier: Apache-2.0
/* tests/unit/bus/test_twin.c - what is missing of a twin, who is there, and when he was heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "syncd/bus/twin.h"

#define NOW INT64_C(1763769600000) /* 2025-11-22T00:00:00Z */

static tmb_twin *twin;
static tmb_incarnation self = {{7}};
static uint64_t last;

static int begin(void **state)
{
    (void)state;
    last = 0;
    assert_int_equal(tmb_twin_new(4096, &twin), TMB_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tmb_twin_free(twin);
    return 0;
}

static void add_leaf(const char *path, tmb_type type, tmb_change change)
{
    static tmb_delta delta;
    static tmb_leaf empty;
    uint8_t room[512];
    tmb_dot dot = {self, ++last};
    assert_int_equal(tmb_change_delta(type, &change, &empty, NULL, &dot, room, sizeof room, &delta),
                     TMB_OK);
    tmb_leaf_key key = {tmb_bytes_str(path), type, tmb_bytes_of(NULL, 0)};
    assert_int_equal(tmb_twin_add(twin, &key, &delta.leaf), TMB_OK);
}

static void set_at(const char *path, const char *value, int64_t ms)
{
    tmb_change change = {.verb = TMB_VERB_SET, .value = tmb_bytes_str(value)};
    change.stamp.u64 = (uint64_t)ms << 16;
    add_leaf(path, TMB_TYPE_REGISTER, change);
}

static void set(const char *path, const char *value)
{
    set_at(path, value, NOW - 1000);
}

static void says(bool is_reachable, int64_t now, const char *wanted)
{
    tmb_bytes payload;
    char text[4096];
    assert_int_equal(tmb_twin_payload(twin, is_reachable, (tmb_wall){now}, &payload), TMB_OK);
    snprintf(text, sizeof text, "%.*s", (int)payload.len, (const char *)payload.ptr);
    assert_string_equal(text, wanted);
}

static void reset(void)
{
    tmb_twin_reset(twin, tmb_bytes_str("twin/press-3"));
}

static void path_tells_the_twin(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"twin/a", "twin/a"}, {"twin/a/desired/x", "twin/a"}, {"twin/a/reported/x/y", "twin/a"},
        {"twin/a/other", ""}, {"twin/a/desired", ""},         {"twin", ""},
        {"twin/", ""},        {"twins/a/desired/x", ""},      {"x/twin/a/desired/x", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(
            tmb_bytes_eq(tmb_twin_of(tmb_bytes_str(cases[i][0])), tmb_bytes_str(cases[i][1])));
}

static void delta_is_desired_less_reported(void **state)
{
    (void)state;
    reset();
    set("twin/press-3/desired/mode", "eco");
    set("twin/press-3/desired/night/mode", "off");
    set("twin/press-3/desired/speed", "80");
    set("twin/press-3/desired/text", "\"eco\"");
    set("twin/press-3/reported/mode", "full");
    set("twin/press-3/reported/speed", "80.0");
    set("twin/press-3/reported/temperature", "21.5");
    set("twin/press-3/reported/text", "eco");
    says(true, NOW,
         "{\"delta\":{\"mode\":\"eco\",\"night/mode\":\"off\"},\"online\":null,"
         "\"seen\":\"2025-11-21T23:59:59.000Z\"}");
}

static void nothing_reported_is_all_missing_and_nothing_at_all_is_no_twin(void **state)
{
    (void)state;
    reset();
    says(true, NOW, "");
    reset();
    set("twin/press-3/desired/speed", "80");
    says(true, NOW, "{\"delta\":{\"speed\":80},\"online\":null,\"seen\":null}");
    reset();
    add_leaf("twin/press-3", TMB_TYPE_MAP, (tmb_change){.verb = TMB_VERB_NEW});
    says(true, NOW, "{\"delta\":{},\"online\":null,\"seen\":null}");
}

static void flags_and_counters_are_compared_too(void **state)
{
    (void)state;
    reset();
    add_leaf("twin/press-3/desired/light", TMB_TYPE_EW_FLAG, (tmb_change){.verb = TMB_VERB_ENABLE});
    add_leaf("twin/press-3/desired/lock", TMB_TYPE_DW_FLAG, (tmb_change){.verb = TMB_VERB_FORBID});
    set("twin/press-3/reported/light", "true");
    set("twin/press-3/reported/lock", "true");
    says(true, NOW,
         "{\"delta\":{\"lock\":false},\"online\":null,\"seen\":\"2025-11-21T23:59:59.000Z\"}");
}

static void offline_by_its_will_by_the_link_or_by_silence(void **state)
{
    (void)state;
    static const char online[] =
        "{\"delta\":{},\"online\":true,\"seen\":\"2025-11-21T23:59:50.000Z\"}";
    static const char offline[] =
        "{\"delta\":{},\"online\":false,\"seen\":\"2025-11-21T23:59:50.000Z\"}";
    int64_t heard = NOW - 10000;
    reset();
    set_at("twin/press-3/reported/online", "false", heard);
    says(true, NOW, offline);
    reset();
    set_at("twin/press-3/reported/online", "true", heard);
    says(true, NOW, online);
    assert_true(tmb_twin_silent_at(twin) == INT64_MAX);
    says(false, NOW, offline);
    assert_true(tmb_twin_says_online(twin));
    reset();
    assert_false(tmb_twin_says_online(twin));
    set_at("twin/press-3/reported/every", "5", heard - 1);
    set_at("twin/press-3/reported/online", "true", heard);
    says(true, heard + 14999, online);
    assert_true(tmb_twin_silent_at(twin) == heard + 15000);
    says(true, heard + 15000, offline);
    assert_true(tmb_twin_silent_at(twin) == INT64_MAX);
}

static void values_that_are_no_text_and_too_many_fields_have_their_form(void **state)
{
    (void)state;
    reset();
    tmb_change raw = {.verb = TMB_VERB_SET, .value = tmb_bytes_of("\xff\x00\x01", 3)};
    add_leaf("twin/press-3/desired/raw", TMB_TYPE_REGISTER, raw);
    says(true, NOW, "{\"delta\":{\"raw\":{\"base64\":\"_wAB\"}},\"online\":null,\"seen\":null}");
    reset();
    for (unsigned i = 0; i <= TMB_TWIN_FIELDS_MAX; i++) {
        char path[64];
        snprintf(path, sizeof path, "twin/press-3/desired/f%05u", i);
        set(path, "1");
    }
    tmb_bytes payload;
    assert_int_equal(tmb_twin_payload(twin, true, (tmb_wall){NOW}, &payload), TMB_OK);
    assert_true(payload.len > 13 && strstr((const char *)payload.ptr, "\"more\":true"));
    assert_non_null(strstr((const char *)payload.ptr, "\"f01023\""));
    assert_null(strstr((const char *)payload.ptr, "\"f01024\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(path_tells_the_twin, begin, end),
        cmocka_unit_test_setup_teardown(delta_is_desired_less_reported, begin, end),
        cmocka_unit_test_setup_teardown(
            nothing_reported_is_all_missing_and_nothing_at_all_is_no_twin, begin, end),
        cmocka_unit_test_setup_teardown(flags_and_counters_are_compared_too, begin, end),
        cmocka_unit_test_setup_teardown(offline_by_its_will_by_the_link_or_by_silence, begin, end),
        cmocka_unit_test_setup_teardown(values_that_are_no_text_and_too_many_fields_have_their_form,
                                        begin, end),
    };
    return cmocka_run_group_tests_name("unit.bus.twin", tests, NULL, NULL);
}
