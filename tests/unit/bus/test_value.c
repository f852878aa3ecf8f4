// SPDX-License-Identifier: Apache-2.0
/* tests/unit/bus/test_value.c - leaves as payloads: what every type looks like, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "syncd/bus/answer.h"
#include "syncd/bus/value.h"

#define WRAP_REALLOC
#include "tests/unit/bus/memory.h"

static tmb_incarnation actor(uint8_t letter)
{
    tmb_incarnation a;
    memset(a.bytes, letter, sizeof a.bytes);
    return a;
}

/* A leaf with an entry; several calls add entries. */
static void put(tmb_leaf *leaf, uint8_t by, uint64_t seq, tmb_bytes value)
{
    tmb_entry entry = {.dot = {actor(by), seq}, .value = value};
    assert_int_equal(tmb_leaf_put(leaf, &entry), TMB_OK);
}

static void put_register(tmb_leaf *leaf, uint8_t by, uint64_t ms, const char *text)
{
    static uint8_t room[8][128];
    static unsigned turn = 0;
    uint8_t *at = room[turn++ % 8];
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)((ms << 16) >> (56 - 8 * i));
    memcpy(at + 8, text, strlen(text));
    put(leaf, by, 1, tmb_bytes_of(at, 8 + strlen(text)));
}

static tmb_value *fresh(uint64_t max)
{
    tmb_value *value = NULL;
    assert_int_equal(tmb_value_new(max, &value), TMB_OK);
    return value;
}

static void add(tmb_value *value, tmb_type type, const char *elem, const tmb_leaf *leaf)
{
    tmb_leaf_key key = {tmb_bytes_str("a/b"), type, tmb_bytes_str(elem)};
    assert_int_equal(tmb_value_add(value, &key, leaf), TMB_OK);
}

static void assert_payload(tmb_value *value, const char *want, bool is_json)
{
    tmb_bytes found;
    bool found_json;
    assert_int_equal(tmb_value_payload(value, &found, &found_json), TMB_OK);
    if (!tmb_bytes_eq(found, tmb_bytes_str(want)))
        fail_msg("%.*s is not %s", (int)found.len, (const char *)found.ptr, want);
    assert_int_equal(found_json, is_json);
}

static void add_element(tmb_value *value, tmb_type type, const char *elem, const char *entry)
{
    tmb_leaf leaf = {0};
    put(&leaf, 'a', 1, tmb_bytes_str(entry));
    add(value, type, elem, &leaf);
}

static void add_count(tmb_value *value, tmb_type type, uint64_t up, uint64_t down)
{
    tmb_leaf leaf = {0};
    uint8_t room[TMB_COUNTER_VALUE_MAX];
    put(&leaf, 'a', 1, tmb_bytes_of(room, tmb_counter_value(type, up, down, room)));
    add(value, type, "", &leaf);
}

static void add_number(tmb_value *value, tmb_type type, double number)
{
    tmb_leaf leaf = {0};
    uint8_t room[TMB_NUMBER_BYTES];
    tmb_number_order(number, room);
    put(&leaf, 'a', 1, tmb_bytes_of(room, sizeof room));
    add(value, type, "", &leaf);
}

static void show_every_type(void **state)
{
    (void)state;
    tmb_value *v = fresh(1024);
    assert_false(tmb_value_is_there(v));
    assert_payload(v, "", false);
    tmb_leaf leaf = {0};
    put_register(&leaf, 'a', 7, "21.50\n");
    add(v, TMB_TYPE_REGISTER, "", &leaf);
    assert_true(tmb_value_is_there(v));
    assert_payload(v, "21.50\n", false);
    tmb_value_reset(v);
    add_count(v, TMB_TYPE_G_COUNTER, 17, 0);
    assert_payload(v, "17", true);
    tmb_value_reset(v);
    add_count(v, TMB_TYPE_PN_COUNTER, 3, 20);
    assert_payload(v, "-17", true);
    tmb_value_reset(v);
    add_element(v, TMB_TYPE_AW_SET, "\"q\"", "");
    add_element(v, TMB_TYPE_AW_SET, "wo-17", "");
    assert_payload(v, "[\"\\\"q\\\"\",\"wo-17\"]", true);
    tmb_value_reset(v);
    add_element(v, TMB_TYPE_RW_SET, "a", "\x01");
    add_element(v, TMB_TYPE_RW_SET, "b", "");
    tmb_value_reset(v);
    add_number(v, TMB_TYPE_MAX, 21.5);
    assert_payload(v, "21.5", true);
    tmb_value_reset(v);
    add_number(v, TMB_TYPE_MIN, -3);
    assert_payload(v, "-3", true);
    tmb_value_reset(v);
    add_element(v, TMB_TYPE_MAP, "", "");
    assert_payload(v, "{}", true);
    tmb_value_free(v);
    tmb_value_free(NULL);
}

/* What a change makes of an empty leaf, so that nothing here knows how entries look. */
static tmb_leaf made_by(tmb_verb verb, tmb_delta *delta, uint8_t *room, size_t cap)
{
    tmb_leaf empty = {0};
    tmb_dot dot = {actor('a'), 1};
    tmb_change change = {.verb = verb};
    assert_int_equal(
        tmb_change_delta(tmb_verb_type(verb), &change, &empty, NULL, &dot, room, cap, delta),
        TMB_OK);
    return delta->leaf;
}

static void show_sets_and_flags_in_which_off_counts(void **state)
{
    (void)state;
    static const struct {
        tmb_verb verb;
        const char *payload;
    } list[] = {{TMB_VERB_ENABLE, "true"},    {TMB_VERB_PERMIT, "true"}, {TMB_VERB_FORBID, "false"},
                {TMB_VERB_ADMIT, "[\"x\"]"},  {TMB_VERB_REVOKE, "[]"},   {TMB_VERB_ADD, "[\"x\"]"},
                {TMB_VERB_INSERT, "[\"x\"]"}, {TMB_VERB_NEW, "{}"}};
    static tmb_delta delta;
    uint8_t room[64];
    tmb_value *v = fresh(1024);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        tmb_type type = tmb_verb_type(list[i].verb);
        tmb_leaf leaf = made_by(list[i].verb, &delta, room, sizeof room);
        tmb_value_reset(v);
        add(v, type, tmb_type_is_set(type) ? "x" : "", &leaf);
        assert_payload(v, list[i].payload, true);
    }
    tmb_value_free(v);
}

static const char *name_of(void *arg, const tmb_incarnation *by)
{
    return by->bytes[0] == 'c' ? arg : NULL;
}

static void show_who_set_it(void **state)
{
    (void)state;
    char node[] = "line-7";
    tmb_value *v = fresh(1024);
    tmb_bytes found;
    tmb_leaf leaf = {0};
    put_register(&leaf, 'a', 1000, "on");
    put_register(&leaf, 'c', 1000, "off");
    add(v, TMB_TYPE_REGISTER, "", &leaf);
    tmb_value_name(v, name_of, node);
    assert_int_equal(tmb_value_conflicts(v, &found), TMB_OK);
    assert_non_null(
        strstr((const char *)found.ptr,
               "\"by\":\"63636363636363636363636363636363\",\"node\":\"line-7\",\"read\":true}"));
    assert_non_null(strstr((const char *)found.ptr,
                           "\"by\":\"61616161616161616161616161616161\",\"read\":false}"));
    tmb_value_free(v);
}

static void show_what_was_set_at_once(void **state)
{
    (void)state;
    tmb_value *v = fresh(1024);
    tmb_bytes found;
    tmb_leaf leaf = {0};
    put_register(&leaf, 'a', 1000, "on");
    add(v, TMB_TYPE_REGISTER, "", &leaf);
    assert_int_equal(tmb_value_conflicts(v, &found), TMB_OK);
    assert_int_equal(found.len, 0);
    tmb_value_reset(v);
    put_register(&leaf, 'c', 61001, "off");
    put_register(&leaf, 'b', 1000, "\xff");
    add(v, TMB_TYPE_REGISTER, "", &leaf);
    assert_payload(v, "off", false);
    assert_int_equal(tmb_value_conflicts(v, &found), TMB_OK);
    static const char want[] =
        "[{\"value\":\"off\",\"at\":\"1970-01-01T00:01:01.001Z\",\"stamp\":\"00000000ee490000\","
        "\"by\":\"63636363636363636363636363636363\",\"read\":true},"
        "{\"value\":{\"base64\":\"/w==\"},\"at\":\"1970-01-01T00:00:01.000Z\",\"stamp\":"
        "\"0000000003e80000\",\"by\":\"62626262626262626262626262626262\",\"read\":false},"
        "{\"value\":\"on\",\"at\":\"1970-01-01T00:00:01.000Z\",\"stamp\":\"0000000003e80000\","
        "\"by\":\"61616161616161616161616161616161\",\"read\":false}]";
    if (!tmb_bytes_eq(found, tmb_bytes_str(want)))
        fail_msg("%.*s", (int)found.len, (const char *)found.ptr);
    tmb_bytes read = tmb_register_bytes(tmb_register_read(&leaf));
    assert_true(tmb_bytes_eq(read, tmb_bytes_str("off")));
    tmb_value_free(v);
}

static void show_two_types_at_one_path(void **state)
{
    (void)state;
    tmb_value *v = fresh(1024);
    tmb_leaf leaf = {0};
    put_register(&leaf, 'a', 1, "on");
    add(v, TMB_TYPE_REGISTER, "", &leaf);
    add_count(v, TMB_TYPE_PN_COUNTER, 3, 0);
    add_element(v, TMB_TYPE_MAP, "", "");
    assert_payload(v, "{\"clash\":{\"register\":\"on\",\"pn_counter\":3}}", true);
    tmb_value_reset(v);
    add_count(v, TMB_TYPE_PN_COUNTER, 3, 0);
    add_element(v, TMB_TYPE_MAP, "", "");
    assert_payload(v, "3", true);
    tmb_value_free(v);
}

static void stand_in_for_what_is_too_large(void **state)
{
    (void)state;
    char elem[16];
    tmb_value *v = fresh(100);
    for (unsigned i = 0; i < 9; i++) {
        snprintf(elem, sizeof elem, "element-%u", i);
        add_element(v, TMB_TYPE_AW_SET, elem, "");
    }
    assert_payload(v, "{\"too_large\":{\"type\":\"aw_set\",\"count\":9,\"bytes\":81,\"max\":100}}",
                   true);
    tmb_value_reset(v);
    for (unsigned i = 0; i < 6; i++) /* fits unescaped, and not as JSON */
        add_element(v, TMB_TYPE_AW_SET,
                    i == 0 ? "\x01\x02\x03\x04\x05\x06" : "\x05\x06\x07\x08\x09\x0a\x0b", "");
    assert_payload(v, "{\"too_large\":{\"type\":\"aw_set\",\"count\":6,\"bytes\":41,\"max\":100}}",
                   true);
    tmb_value_reset(v);
    char text[102];
    memset(text, 'x', sizeof text - 1);
    text[101] = '\0';
    for (int extra = 1; extra >= 0; extra--) {
        tmb_leaf leaf = {0};
        text[100 + extra] = '\0';
        tmb_value_reset(v);
        put_register(&leaf, 'a', 1, text);
        add(v, TMB_TYPE_REGISTER, "", &leaf);
        assert_payload(
            v,
            extra ? "{\"too_large\":{\"type\":\"register\",\"count\":1,\"bytes\":101,\"max\":100}}"
                  : text,
            extra == 1);
    }
    tmb_value_free(v);
}

static void count_elements_up_to_a_limit(void **state)
{
    (void)state;
    char elem[16];
    tmb_value *v = fresh(100);
    tmb_leaf leaf = {0};
    put(&leaf, 'a', 1, tmb_bytes_of(NULL, 0));
    for (unsigned i = 0; i <= TMB_VALUE_COUNT_MAX; i++) {
        snprintf(elem, sizeof elem, "%u", i);
        tmb_leaf_key key = {tmb_bytes_str("a"), TMB_TYPE_AW_SET, tmb_bytes_str(elem)};
        assert_int_equal(tmb_value_add(v, &key, &leaf),
                         i < TMB_VALUE_COUNT_MAX ? TMB_OK : TMB_ELIMIT);
    }
    tmb_bytes found;
    bool is_json;
    assert_int_equal(tmb_value_payload(v, &found, &is_json), TMB_OK);
    assert_non_null(strstr((const char *)found.ptr, "\"count\":100000,"));
    assert_non_null(strstr((const char *)found.ptr, ",\"more\":true}}"));
    tmb_value_free(v);
}

static void assert_protobuf(tmb_value *v, const char *want, size_t len)
{
    tmb_bytes found;
    assert_int_equal(tmb_value_protobuf(v, tmb_bytes_of("\x01\x02", 2), &found), TMB_OK);
    assert_int_equal(found.len, len);
    assert_memory_equal(found.ptr, want, len);
}

/* The golden form: version 1, then the field, then the token. */
#define GOLDEN(field)           "\x08\x01\x12" field "\x1a\x02\x01\x02"
#define ASSERT_GOLDEN(v, field) assert_protobuf(v, GOLDEN(field), sizeof GOLDEN(field) - 1)

static void have_a_form_in_protobuf(void **state)
{
    (void)state;
    tmb_value *v = fresh(1024);
    tmb_bytes found;
    assert_int_equal(tmb_value_protobuf(v, tmb_bytes_of("\x01", 1), &found), TMB_OK);
    assert_int_equal(found.len, 0);
    tmb_leaf leaf = {0};
    put_register(&leaf, 'a', 1, "on");
    add(v, TMB_TYPE_REGISTER, "", &leaf);
    ASSERT_GOLDEN(v, "\x0e\x0a\x08register\x12\x02on");
    tmb_value_reset(v);
    put_register(&leaf, 'b', 2, "no");
    add(v, TMB_TYPE_REGISTER, "", &leaf);
    ASSERT_GOLDEN(v, "\x50\x0a\x08register\x12\x02no"
                     "\x4a\x1f\x0a\x02no\x11\0\0\x02\0\0\0\0\0\x1a\x10"
                     "bbbbbbbbbbbbbbbb"
                     "\x4a\x1f\x0a\x02on\x11\0\0\x01\0\0\0\0\0\x1a\x10"
                     "aaaaaaaaaaaaaaaa");
    tmb_value_reset(v);
    add_count(v, TMB_TYPE_PN_COUNTER, 3, 20);
    ASSERT_GOLDEN(v, "\x0e\x0a\x0apn_counter\x18\x21");
    tmb_value_reset(v);
    add_element(v, TMB_TYPE_AW_SET, "x", "");
    add_element(v, TMB_TYPE_AW_SET, "yy", "");
    ASSERT_GOLDEN(v, "\x11\x0a\x06"
                     "aw_set\x2a\x07\x0a\x01x\x0a\x02yy");
    tmb_value_reset(v);
    add_number(v, TMB_TYPE_MAX, 21.5);
    ASSERT_GOLDEN(v, "\x17\x0a\x0cmax_register\x21\0\0\0\0\0\x80\x35\x40");
    tmb_value_reset(v);
    add_element(v, TMB_TYPE_MAP, "", "");
    ASSERT_GOLDEN(v, "\x07\x0a\x03map\x38\x01");
    tmb_value_free(v);
}

static void survive_no_memory(void **state)
{
    (void)state;
    tmb_leaf leaf = {0};
    put_register(&leaf, 'a', 1, "on");
    put_register(&leaf, 'b', 1, "off");
    tmb_leaf_key keys[] = {{tmb_bytes_str("a"), TMB_TYPE_REGISTER, tmb_bytes_of(NULL, 0)},
                           {tmb_bytes_str("a"), TMB_TYPE_AW_SET, tmb_bytes_str("x")}};
    tmb_err err = TMB_ENOMEM;
    unsigned tries = 0;
    for (; err == TMB_ENOMEM; tries++) {
        tmb_value *v = NULL;
        tmb_bytes found;
        bool is_json;
        memory_left = tries;
        err = tmb_value_new(1024, &v);
        for (unsigned i = 0; i < 2 && err == TMB_OK; i++)
            err = tmb_value_add(v, &keys[i], &leaf);
        if (err == TMB_OK)
            err = tmb_value_payload(v, &found, &is_json);
        if (err == TMB_OK)
            err = tmb_value_conflicts(v, &found);
        if (err == TMB_OK)
            err = tmb_value_protobuf(v, tmb_bytes_of(NULL, 0), &found);
        memory_left = ULONG_MAX;
        tmb_value_free(v);
    }
    assert_int_equal(err, TMB_OK);
    assert_true(tries > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_every_type),
        cmocka_unit_test(show_sets_and_flags_in_which_off_counts),
        cmocka_unit_test(show_who_set_it),
        cmocka_unit_test(show_what_was_set_at_once),
        cmocka_unit_test(show_two_types_at_one_path),
        cmocka_unit_test(stand_in_for_what_is_too_large),
        cmocka_unit_test(count_elements_up_to_a_limit),
        cmocka_unit_test(have_a_form_in_protobuf),
        cmocka_unit_test(survive_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
