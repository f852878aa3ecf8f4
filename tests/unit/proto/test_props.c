// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/test_props.c - MQTT 5 properties as bytes, and the number of a numbered message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "proto/props.h"

/* Every property of a PUBLISH that travels, as MQTT 5 (section 2.2.2) writes it. */
static const uint8_t all[] = {
    1,  1,                                /* payload format */
    2,  0, 1, 2,   3,                     /* expiry */
    3,  0, 4, 't', 'e',  'x', 't',        /* content type */
    8,  0, 3, 'a', '/',  'b',             /* response topic */
    9,  0, 2, 0,   0xff,                  /* correlation data */
    38, 0, 1, 'k', 0,    2,   0xc3, 0xbc, /* user property */
    38, 0, 1, 'k', 0,    0,               /* another, empty value */
};

static tmb_bytes all_props(void)
{
    return tmb_bytes_of(all, sizeof(all));
}

static void reads_every_property(void **state)
{
    (void)state;
    tmb_reader r = tmb_reader_of(all_props());
    tmb_prop p;
    assert_int_equal(tmb_props_next(&r, &p), TMB_OK);
    assert_true(p.id == TMB_PROP_PAYLOAD_FORMAT && p.number == 1);
    assert_int_equal(tmb_props_next(&r, &p), TMB_OK);
    assert_true(p.id == TMB_PROP_EXPIRY && p.number == 0x00010203);
    assert_int_equal(tmb_props_next(&r, &p), TMB_OK);
    assert_true(p.id == TMB_PROP_CONTENT_TYPE && tmb_bytes_eq(p.value, tmb_bytes_str("text")));
    assert_int_equal(tmb_props_next(&r, &p), TMB_OK);
    assert_true(p.id == TMB_PROP_RESPONSE_TOPIC && tmb_bytes_eq(p.value, tmb_bytes_str("a/b")));
    assert_int_equal(tmb_props_next(&r, &p), TMB_OK);
    assert_true(p.id == TMB_PROP_CORRELATION && tmb_bytes_eq(p.value, tmb_bytes_of("\0\xff", 2)));
    assert_int_equal(tmb_props_next(&r, &p), TMB_OK);
    assert_true(p.id == TMB_PROP_USER && tmb_bytes_eq(p.name, tmb_bytes_str("k")));
    assert_true(tmb_bytes_eq(p.value, tmb_bytes_str("\xc3\xbc")));
    assert_int_equal(tmb_props_next(&r, &p), TMB_OK);
    assert_true(p.id == TMB_PROP_USER && p.value.len == 0);
    assert_int_equal(tmb_props_next(&r, &p), TMB_EAGAIN);
    assert_true(tmb_props_are_valid(all_props()));
    assert_true(tmb_props_are_valid(tmb_bytes_of(NULL, 0)));
}

static void writes_what_it_read(void **state)
{
    (void)state;
    uint8_t out[sizeof(all)];
    tmb_writer w = tmb_writer_of(out, sizeof(out));
    tmb_reader r = tmb_reader_of(all_props());
    tmb_prop p;
    while (!tmb_props_next(&r, &p)) {
        uint8_t *before = w.at;
        tmb_props_put(&w, &p);
        assert_int_equal(w.at - before, tmb_props_put_size(&p));
    }
    assert_false(w.bad);
    assert_ptr_equal(w.at, w.end);
    assert_memory_equal(out, all, sizeof(all));
}

/* A cut is fine exactly where a property ends. */
static void every_cut_is_noticed(void **state)
{
    (void)state;
    unsigned whole = 0;
    for (size_t cut = 0; cut < sizeof(all); cut++)
        whole += tmb_props_are_valid(tmb_bytes_of(all, cut));
    assert_int_equal(whole, 7);
}

static void refuses_hostile_properties(void **state)
{
    (void)state;
    const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x00", 1},             /* no such id */
        {"\x23\x00\x01", 3},     /* topic alias: never end to end */
        {"\x0b\x01", 2},         /* subscription identifier: the broker's own */
        {"\xa6\x00", 2},         /* an id in two bytes */
        {"\x01\x02", 2},         /* payload format 2 */
        {"\x03\x00\x01\xff", 4}, /* not UTF-8 */
        {"\x03\x00\x01\x00", 4}, /* NUL */
        {"\x08\xff\xff"
         "abc",
         6},                              /* longer than there is */
        {"\x26\x00\x01k\x00\x01\x80", 7}, /* value not UTF-8 */
        {"\x26\x00\x01\xc0\x00\x01v", 7}, /* name not UTF-8 */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tmb_reader r = tmb_reader_of(tmb_bytes_of(bad[i].bytes, bad[i].len));
        tmb_prop p = {.id = 99};
        assert_int_equal(tmb_props_next(&r, &p), TMB_ECORRUPT);
        assert_int_equal(p.id, 99);
        assert_true(r.bad);
        assert_int_equal(tmb_props_next(&r, &p), TMB_ECORRUPT);
    }
}

static bool put_fails(tmb_prop prop)
{
    static uint8_t out[3 * 65536];
    tmb_writer w = tmb_writer_of(out, sizeof(out));
    tmb_props_put(&w, &prop);
    return w.bad;
}

static void does_not_write_what_it_would_not_read(void **state)
{
    (void)state;
    static char big[65536];
    memset(big, 'a', sizeof(big));
    assert_true(put_fails((tmb_prop){.id = 35, .number = 1}));
    assert_int_equal(tmb_props_put_size(&(tmb_prop){.id = 35}), 0);
    assert_true(put_fails((tmb_prop){.id = TMB_PROP_PAYLOAD_FORMAT, .number = 2}));
    assert_true(put_fails((tmb_prop){.id = TMB_PROP_CONTENT_TYPE, .value = tmb_bytes_str("\xff")}));
    tmb_prop user = {.id = TMB_PROP_USER, .name = tmb_bytes_of(big, 65535)};
    user.value = tmb_bytes_of(big, 65535);
    assert_false(put_fails(user));
    user.value.len++;
    assert_true(put_fails(user));
    assert_true(
        put_fails((tmb_prop){.id = TMB_PROP_CORRELATION, .value = {(uint8_t *)big, 65536}}));

    uint8_t small[6];
    tmb_writer w = tmb_writer_of(small, sizeof(small));
    tmb_props_put(&w, &(tmb_prop){.id = TMB_PROP_CONTENT_TYPE, .value = tmb_bytes_str("text")});
    assert_true(w.bad);
}

static void finds_the_first_user_property(void **state)
{
    (void)state;
    tmb_bytes value = tmb_bytes_str("untouched");
    assert_int_equal(tmb_props_find_user(all_props(), "none", &value), TMB_ENOENT);
    assert_true(tmb_bytes_eq(value, tmb_bytes_str("untouched")));
    assert_int_equal(tmb_props_find_user(all_props(), "k", &value), TMB_OK);
    assert_true(tmb_bytes_eq(value, tmb_bytes_str("\xc3\xbc")));
    assert_int_equal(tmb_props_find_user(tmb_bytes_of(all, sizeof(all) - 1), "k", &value),
                     TMB_ENOENT);
    assert_int_equal(tmb_props_find_user(tmb_bytes_of(NULL, 0), "k", &value), TMB_ENOENT);
}

static void reads_numbers(void **state)
{
    (void)state;
    const struct {
        const char *value;
        const char *run;
        uint64_t number;
    } good[] = {
        {"1", "", 1},
        {"17", "", 17},
        {"0017", "", 17},
        {"run-a:17", "run-a", 17},
        {"a:b:3", "a:b", 3},
        {"9223372036854775807", "", TMB_SEQ_MAX},
        {"0123456789012345678901234567890123456789012345678901234567890123:1",
         "0123456789012345678901234567890123456789012345678901234567890123", 1},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        tmb_bytes run;
        uint64_t number = 0;
        assert_int_equal(tmb_props_number(tmb_bytes_str(good[i].value), &run, &number), TMB_OK);
        assert_true(tmb_bytes_eq(run, tmb_bytes_str(good[i].run)));
        assert_true(number == good[i].number);
    }
    assert_int_equal(strlen(good[6].run), TMB_RUN_BYTES_MAX);
}

static void refuses_what_is_no_number(void **state)
{
    (void)state;
    const char *bad[] = {
        "",
        "0",
        "-1",
        "+1",
        " 1",
        "1 ",
        "0x1",
        "1.0",
        "a",
        ":",
        ":1",
        "run:",
        "run:0",
        "run:a",
        "1:",
        "9223372036854775808",
        "18446744073709551617",
        "99999999999999999999999999",
        "01234567890123456789012345678901234567890123456789012345678901234:1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tmb_bytes run = tmb_bytes_str("untouched");
        uint64_t number = 5;
        assert_int_equal(tmb_props_number(tmb_bytes_str(bad[i]), &run, &number), TMB_EINVAL);
        assert_true(run.len == 9 && number == 5);
    }
}

static void knows_the_marks_of_a_node(void **state)
{
    (void)state;
    assert_true(tmb_props_is_late(tmb_bytes_str("tombolo-late")));
    assert_true(tmb_props_is_late(tmb_bytes_str("tombolo-time")));
    assert_false(tmb_props_is_late(tmb_bytes_str("tombolo-id")));
    assert_true(tmb_props_is_mark(tmb_bytes_str("tombolo-id")));
    assert_true(tmb_props_is_mark(tmb_bytes_str("tombolo-replay")));
    static const char *const others[] = {"", "tombolo-i", "tombolo-id ", "Tombolo-id",
                                         "tombolo-seq"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(tmb_props_is_mark(tmb_bytes_str(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_property),
        cmocka_unit_test(writes_what_it_read),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(refuses_hostile_properties),
        cmocka_unit_test(does_not_write_what_it_would_not_read),
        cmocka_unit_test(finds_the_first_user_property),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(refuses_what_is_no_number),
        cmocka_unit_test(knows_the_marks_of_a_node),
    };
    return cmocka_run_group_tests_name("unit.proto.props", tests, NULL, NULL);
}
