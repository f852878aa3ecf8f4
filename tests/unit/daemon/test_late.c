// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_late.c - the mark of late records: the time as text, in place of another's mark. */
#include "syncd/daemon/late.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/props.h"

static tmb_hlc at_ms(uint64_t ms)
{
    return (tmb_hlc){ms << 16 | 7};
}

static void times_are_written_with_milliseconds(void **state)
{
    char text[TMB_LATE_TIME_BYTES];
    (void)state;
    tmb_late_time(at_ms(0), text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    tmb_late_time(at_ms(UINT64_C(1795299300123)), text);
    assert_string_equal(text, "2026-11-21T22:15:00.123Z");
    tmb_late_time((tmb_hlc){UINT64_MAX}, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void put(tmb_writer *w, const char *name, const char *value)
{
    tmb_prop prop = {
        .id = TMB_PROP_USER, .name = tmb_bytes_str(name), .value = tmb_bytes_str(value)};
    tmb_props_put(w, &prop);
}

static void the_mark_replaces_what_was_there(void **state)
{
    uint8_t in[256], out[256], wanted[256];
    tmb_writer w = tmb_writer_of(in, sizeof in), want = tmb_writer_of(wanted, sizeof wanted);
    tmb_bytes found = {0};
    (void)state;
    put(&w, "a", "1");
    put(&w, TMB_PROP_LATE_NAME, "yes");
    put(&w, TMB_PROP_TIME_NAME, "never");
    put(&w, "b", "2");
    put(&want, "a", "1");
    put(&want, "b", "2");
    put(&want, TMB_PROP_LATE_NAME, "1");
    put(&want, TMB_PROP_TIME_NAME, "1970-01-01T00:00:01.000Z");
    tmb_bytes props = tmb_bytes_of(in, (size_t)(w.at - in));
    assert_true(tmb_late_mark(props, at_ms(1000), out, sizeof out, &found));
    assert_true(tmb_bytes_eq(found, tmb_bytes_of(wanted, (size_t)(want.at - wanted))));
    size_t len = found.len;
    found.len = 0;
    assert_false(tmb_late_mark(props, at_ms(1000), out, len - 1, &found));
    assert_int_equal(found.len, 0);
    assert_true(tmb_late_mark(props, at_ms(1000), out, len, &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_with_milliseconds),
        cmocka_unit_test(the_mark_replaces_what_was_there),
    };
    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
