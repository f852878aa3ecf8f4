// SPDX-License-Identifier: Apache-2.0
/* tests/unit/bus/test_ask.c - messages as operations: every form that is taken, and what is said of
 * others. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/props.h"
#include "syncd/bus/answer.h"
#include "syncd/bus/ask.h"
#include "tests/unit/bus/memory.h"

#define PROTOBUF "application/protobuf"

/* Asks; ret_ask is to be cleared, and points into topic and payload. */
static tmb_err ask_bytes(const char *topic, tmb_bytes payload, tmb_bytes props, tmb_ask *ret_ask)
{
    tmb_record record = {.topic = tmb_bytes_str(topic), .payload = payload, .props = props};
    return tmb_ask_read("state", &record, ret_ask);
}

static tmb_err ask(const char *verb, const char *payload, tmb_ask *ret_ask)
{
    static char topic[64];
    snprintf(topic, sizeof topic, "state/line-7/press/3/%s", verb);
    return ask_bytes(topic, tmb_bytes_str(payload), tmb_bytes_of(NULL, 0), ret_ask);
}

static void assert_bytes(tmb_bytes found, const char *want)
{
    if (!tmb_bytes_eq(found, tmb_bytes_str(want)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)found.len, (const char *)found.ptr, want);
}

static void assert_why(const char *verb, const char *payload, tmb_verdict verdict, const char *why)
{
    tmb_ask a;
    if (ask(verb, payload, &a) != TMB_EINVAL)
        fail_msg("%s %s is taken", verb, payload);
    if (strncmp(a.why, why, strlen(why)) != 0)
        fail_msg("%s %s: %s", verb, payload, a.why);
    assert_int_equal(a.verdict, verdict);
    assert_bytes(a.op.path, "press/3");
    tmb_ask_clear(&a);
}

static void take_a_register_as_it_comes(void **state)
{
    (void)state;
    static const struct {
        const char *payload, *bytes;
    } list[] = {
        {"on", "on"},
        {" on\n", " on\n"},
        {"", ""},
        {"   ", "   "},
        {"21.50", "21.50"},
        {"\"on\"", "\"on\""},
        {"[1, 2]", "[1, 2]"},
        {"{\"a\": 1}", "{\"a\": 1}"},
        {"{broken", "{broken"},
        {"{\"set\":\"on\"}", "on"},
        {"{\"set\":\"o\\u00e4\\n\"}", "o\xc3\xa4\n"},
        {" {\"id\":\"r:1\", \"set\" : 21.50 } ", "21.50"},
        {"{\"set\":{\"a\":[1,{\"set\":2}],\"b\":\"}\\\"\"} ,\"id\":\"r:1\"}",
         "{\"a\":[1,{\"set\":2}],\"b\":\"}\\\"\"}"},
        {"{\"set\":null}", "null"},
        {"{\"set\":[]}", "[]"},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        tmb_ask a;
        if (ask("set", list[i].payload, &a) != TMB_OK)
            fail_msg("%s: %s", list[i].payload, a.why);
        assert_int_equal(a.op.verb, TMB_VERB_SET);
        assert_bytes(a.op.scope, "line-7");
        assert_bytes(a.op.path, "press/3");
        assert_int_equal(a.op.values_count, 1);
        assert_bytes(a.op.values[0], list[i].bytes);
        tmb_ask_clear(&a);
    }
    tmb_ask a;
    assert_int_equal(ask("set", "{\"set\":\"a\\u0000b\",\"id\":\"r:1\"}", &a), TMB_OK);
    assert_true(tmb_bytes_eq(a.op.values[0], tmb_bytes_of((const uint8_t *)"a\0b", 3)));
    assert_bytes(a.id, "r:1");
    tmb_ask_clear(&a);
}

static void take_counts(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        uint64_t amount;
    } list[] = {{"3", 3},
                {" 3\n", 3},
                {"", 1},
                {"0", 0},
                {"{\"inc\":3}", 3},
                {"9223372036854775807", INT64_MAX},
                {"{\"inc\":5,\"id\":\"plc:9\"}", 5}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        tmb_ask a;
        if (ask("inc", list[i].payload, &a) != TMB_OK)
            fail_msg("%s: %s", list[i].payload, a.why);
        assert_int_equal(a.op.amount, list[i].amount);
        assert_int_equal(a.op.values_count, 0);
        tmb_ask_clear(&a);
    }
    static const char *const bad[] = {"-3",
                                      "2.5",
                                      "3.0",
                                      "x",
                                      "true",
                                      "\"3\"",
                                      "[3]",
                                      "{\"inc\":-1}",
                                      "{\"inc\":\"3\"}",
                                      "9223372036854775808",
                                      "0x10",
                                      "+3",
                                      "03",
                                      "3 4",
                                      "null"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tmb_ask a;
        assert_int_equal(ask("inc", bad[i], &a), TMB_EINVAL);
        if (!strstr(a.why, "inc takes a whole number from 0 to 9223372036854775807, such as 3"))
            fail_msg("%s: %s", bad[i], a.why);
        tmb_ask_clear(&a);
    }
    assert_why("inc", "x", TMB_VERDICT_MALFORMED, "inc takes a whole");
    assert_why("inc", "{\n\"inc\": 3", TMB_VERDICT_MALFORMED,
               "line 2, column 8: no JSON; inc takes");
    assert_why("count", "{\"inc\":3}", TMB_VERDICT_MALFORMED,
               "the envelope lacks \"count\"; write {\"count\": ...}, which takes a whole number");
}

static void take_elements(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        unsigned count;
        const char *first, *last;
    } list[] = {{"wo-17", 1, "wo-17", "wo-17"},
                {" wo 17\n", 1, "wo 17", "wo 17"},
                {"17", 1, "17", "17"},
                {"\"[a\"", 1, "[a", "[a"},
                {"[\"a\",\"b\",\"\\u00e4\"]", 3, "a", "\xc3\xa4"},
                {"{\"add\":\"wo-17\"}", 1, "wo-17", "wo-17"},
                {"{\"add\":[\"a\",\"a\"]}", 2, "a", "a"}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        tmb_ask a;
        if (ask("add", list[i].payload, &a) != TMB_OK)
            fail_msg("%s: %s", list[i].payload, a.why);
        assert_int_equal(a.op.values_count, list[i].count);
        assert_bytes(a.op.values[0], list[i].first);
        assert_bytes(a.op.values[list[i].count - 1], list[i].last);
        tmb_ask_clear(&a);
    }
    assert_why("add", "", TMB_VERDICT_MALFORMED, "add takes a text or a list of texts");
    assert_why("add", "[]", TMB_VERDICT_MALFORMED, "add takes a text or a list of texts");
    assert_why("add", "[1]", TMB_VERDICT_MALFORMED, "add takes a text or a list of texts");
    assert_why("add", "{\"add\":17}", TMB_VERDICT_MALFORMED, "add takes a text or a list of texts");
    assert_why("add", "[\"a\",", TMB_VERDICT_MALFORMED, "line 1, column 5: no JSON; add takes");
    assert_why("add", "[\"\"]", TMB_VERDICT_MALFORMED, "an element is a text in UTF-8");
    assert_why("add", "\xff", TMB_VERDICT_MALFORMED, "an element is a text in UTF-8");
    assert_why("add", "[\"\\u0000\"]", TMB_VERDICT_MALFORMED, "an element is a text in UTF-8");
    assert_why("add", "{\"add\":\"a\",\"id\":\"r\\u0000:1\"}", TMB_VERDICT_MALFORMED, "id: write");
    assert_why("add", "{\"add\":\"a\",\"if\":\"\\u0000\"}", TMB_VERDICT_TOKEN, "no token");
    assert_why("add", "{\"rm\":\"a\"}", TMB_VERDICT_MALFORMED, "the envelope lacks \"add\"");
}

static void take_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        double number;
    } list[] = {{"21.5", 21.5},
                {"-3", -3},
                {"1e3", 1000},
                {"9007199254740992", 9007199254740992.0},
                {"{\"raise\":0.1}", 0.1}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        tmb_ask a;
        double number = 0;
        if (ask("raise", list[i].payload, &a) != TMB_OK)
            fail_msg("%s: %s", list[i].payload, a.why);
        assert_int_equal(a.op.values_count, 1);
        assert_int_equal(tmb_number_of_order(a.op.values[0], &number), TMB_OK);
        assert_true(number == list[i].number);
        tmb_ask_clear(&a);
    }
    static const char *const bad[] = {
        "9007199254740993",    "-9007199254740993", "nan", "1e999", "", "\"1\"", "true",
        "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tmb_ask a;
        assert_int_equal(ask("raise", bad[i], &a), TMB_EINVAL);
        assert_non_null(strstr(a.why, "raise takes a number, such as 21.5"));
        tmb_ask_clear(&a);
    }
}

static void take_verbs_without_a_value(void **state)
{
    (void)state;
    static const char *const verbs[] = {"reset",  "enable", "disable", "permit",
                                        "forbid", "new",    "del"};
    static const char *const good[] = {"", "true", " \n", "{}", "{\"id\":\"r:1\"}"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        tmb_ask a;
        char envelope[64];
        for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
            assert_int_equal(ask(verbs[i], good[k], &a), TMB_OK);
            tmb_ask_clear(&a);
        }
        snprintf(envelope, sizeof envelope, "{\"%s\":true}", verbs[i]);
        assert_int_equal(ask(verbs[i], envelope, &a), TMB_OK);
        tmb_ask_clear(&a);
    }
    assert_why("enable", "false", TMB_VERDICT_MALFORMED,
               "enable takes nothing: publish no payload, or true");
    assert_why("del", "3", TMB_VERDICT_MALFORMED, "del takes nothing");
    assert_why("new", "x", TMB_VERDICT_MALFORMED, "new takes nothing");
}

static void take_ids_and_tokens(void **state)
{
    (void)state;
    tmb_ask a;
    assert_int_equal(ask("inc", "{\"inc\":3,\"id\":\"press-3:a:17\",\"token\":\"AQI\"}", &a),
                     TMB_OK);
    assert_bytes(a.id, "press-3:a:17");
    assert_bytes(a.op.run, "press-3:a");
    assert_int_equal(a.op.number, 17);
    assert_bytes(a.op.token, "\x01\x02");
    assert_false(a.op.is_unchanged);
    tmb_ask_clear(&a);
    assert_int_equal(ask("set", "{\"set\":3,\"if\":\"AQI\"}", &a), TMB_OK);
    assert_true(a.op.is_unchanged);
    tmb_ask_clear(&a);
    assert_why("inc", "{\"inc\":3,\"id\":\"17\"}", TMB_VERDICT_MALFORMED, "id: write run:number");
    assert_why("inc", "{\"inc\":3,\"id\":\"a:0\"}", TMB_VERDICT_MALFORMED, "id: write run:number");
    assert_why("inc", "{\"inc\":3,\"id\":17}", TMB_VERDICT_MALFORMED, "id: a text in quotes");
    assert_why("inc", "{\"inc\":3,\"token\":\"A!\"}", TMB_VERDICT_TOKEN, "no token of this node");
    assert_why("inc", "{\"inc\":3,\"if\":\"AQI\",\"token\":\"AQI\"}", TMB_VERDICT_MALFORMED,
               "two tokens");
    assert_why("inc", "{\"inc\":3,\"by\":\"me\"}", TMB_VERDICT_MALFORMED,
               "an envelope has the members inc, id, token and if; another");
    assert_why("inc", "{\"inc\":3,\"inc\":4}", TMB_VERDICT_MALFORMED, "line 1, column");
}

static size_t put_prop(uint8_t *out, size_t cap, size_t len, uint8_t id, const char *name,
                       const char *value)
{
    tmb_prop prop = {.id = id, .name = tmb_bytes_str(name), .value = tmb_bytes_str(value)};
    tmb_writer w = tmb_writer_of(out + len, cap - len);
    tmb_props_put(&w, &prop);
    assert_false(w.bad);
    return len + tmb_props_put_size(&prop);
}

static void take_properties(void **state)
{
    (void)state;
    uint8_t props[512];
    tmb_ask a;
    size_t len = put_prop(props, sizeof props, 0, TMB_PROP_RESPONSE_TOPIC, "", "answers/plc");
    len = put_prop(props, sizeof props, len, TMB_PROP_CORRELATION, "", "c-1");
    len = put_prop(props, sizeof props, len, TMB_PROP_USER, "tombolo-if", "AQI");
    assert_int_equal(
        ask_bytes("state/line-7/a/set", tmb_bytes_str("1"), tmb_bytes_of(props, len), &a), TMB_OK);
    assert_bytes(a.response_topic, "answers/plc");
    assert_bytes(a.correlation, "c-1");
    assert_bytes(a.op.token, "\x01\x02");
    assert_true(a.op.is_unchanged);
    tmb_ask_clear(&a);
    /* A mistake in front of it does not hide where the answer goes. */
    len = put_prop(props, sizeof props, 0, TMB_PROP_USER, "tombolo-token", "!");
    len = put_prop(props, sizeof props, len, TMB_PROP_RESPONSE_TOPIC, "", "answers/plc");
    assert_int_equal(
        ask_bytes("state/line-7/a/set", tmb_bytes_str("1"), tmb_bytes_of(props, len), &a),
        TMB_EINVAL);
    assert_int_equal(a.verdict, TMB_VERDICT_TOKEN);
    assert_bytes(a.response_topic, "answers/plc");
    assert_bytes(a.op.path, "a");
    tmb_ask_clear(&a);
    len = put_prop(props, sizeof props, 0, TMB_PROP_CONTENT_TYPE, "", "application/json");
    assert_int_equal(
        ask_bytes("state/line-7/a/set", tmb_bytes_str("on"), tmb_bytes_of(props, len), &a),
        TMB_EINVAL);
    assert_string_equal(a.why, "set takes bytes, and with the content type application/json JSON");
    tmb_ask_clear(&a);
    assert_int_equal(
        ask_bytes("state/line-7/a/add", tmb_bytes_str("wo"), tmb_bytes_of(props, len), &a),
        TMB_EINVAL);
    tmb_ask_clear(&a);
}

/* StateOp by hand (proto/state.proto): tag, value. */
#define V1          "\x08\x01"
#define BYTES(s)    "\x12" s
#define AMOUNT(s)   "\x18" s
#define ELEMENTS(s) "\x2a" s

static void take_protobuf(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *bytes;
        size_t len;
        const char *why; /* NULL: taken */
    } list[] = {
        {"set", V1 BYTES("\x02on"), 6, NULL},
        {"inc", V1 AMOUNT("\x07"), 4, NULL},
        {"inc", V1 AMOUNT("\x07") "\x32\x03r:1", 9, NULL},
        {"raise", V1 "\x21\0\0\0\0\0\x80\x35\x40", 11, NULL},
        {"add", V1 ELEMENTS("\x06\x0a\x01x\x0a\x01y"), 10, NULL},
        {"del", V1, 2, NULL},
        {"set", V1 BYTES("\x02on") "\x3a\x02\x01\x02", 10, NULL},
        {"inc", AMOUNT("\x07"), 2, "version 0 of StateOp; this node knows 1"},
        {"inc", "\x08\x02" AMOUNT("\x07"), 4, "version 2 of StateOp"},
        {"inc", V1 BYTES("\x02on"), 6, "inc takes amount of StateOp"},
        {"inc", V1 AMOUNT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 13,
         "inc takes an amount up to 9223372036854775807 of StateOp"},
        {"set", V1, 2, "set takes bytes of StateOp"},
        {"add", V1 ELEMENTS("\x00"), 4, "add takes a text or a list of texts"},
        {"raise", V1 "\x21\0\0\0\0\0\0\xf8\x7f", 11, "raise takes a finite number of StateOp"},
        {"del", V1 AMOUNT("\x07"), 4, "del takes no value of StateOp"},
        {"inc", "\xff", 1, "no StateOp of proto/state.proto"},
        {"inc", V1 AMOUNT("\x07") "\x32\x01r", 7, "id: write run:number"},
    };
    uint8_t props[64];
    size_t props_len = put_prop(props, sizeof props, 0, TMB_PROP_CONTENT_TYPE, "", PROTOBUF);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        tmb_ask a;
        char topic[64];
        snprintf(topic, sizeof topic, "state/line-7/a/%s", list[i].verb);
        tmb_err err = ask_bytes(topic, tmb_bytes_of(list[i].bytes, list[i].len),
                                tmb_bytes_of(props, props_len), &a);
        if ((err == TMB_OK) != (list[i].why == NULL) ||
            (list[i].why && strncmp(a.why, list[i].why, strlen(list[i].why)) != 0))
            fail_msg("%zu: %s", i, a.why);
        assert_true(a.is_protobuf);
        if (i == 1)
            assert_int_equal(a.op.amount, 7);
        if (i == 4)
            assert_bytes(a.op.values[1], "y");
        tmb_ask_clear(&a);
    }
}

static void have_limits(void **state)
{
    (void)state;
    tmb_ask a;
    size_t cap = (9u << 20);
    char *payload = malloc(cap);
    assert_non_null(payload);
    memset(payload, 'x', cap);
    tmb_bytes none = {0};
    for (size_t extra = 0; extra < 2; extra++) {
        tmb_err want = extra ? TMB_EINVAL : TMB_OK;
        assert_int_equal(ask_bytes("state/a/b/set",
                                   tmb_bytes_of(payload, TMB_REGISTER_BYTES_MAX + extra), none, &a),
                         want);
        assert_true(!extra || a.verdict == TMB_VERDICT_LIMIT);
        tmb_ask_clear(&a);
        assert_int_equal(ask_bytes("state/a/b/add",
                                   tmb_bytes_of(payload, TMB_ELEMENT_BYTES_MAX + extra), none, &a),
                         want);
        assert_true(!extra || a.verdict == TMB_VERDICT_LIMIT);
        tmb_ask_clear(&a);
        size_t len = (size_t)snprintf(payload, cap, "[\"a\"");
        for (size_t i = 1; i < TMB_OP_VALUES_MAX + extra; i++)
            len += (size_t)snprintf(payload + len, cap - len, ",\"a\"");
        payload[len++] = ']';
        assert_int_equal(ask_bytes("state/a/b/add", tmb_bytes_of(payload, len), none, &a), want);
        assert_true(!extra || a.verdict == TMB_VERDICT_LIMIT);
        tmb_ask_clear(&a);
        memset(payload, 'x', len);
    }
    assert_int_equal(ask_bytes("state/a/b/add", tmb_bytes_of(payload, (8u << 20) + 1), none, &a),
                     TMB_EINVAL);
    assert_int_equal(a.verdict, TMB_VERDICT_LIMIT);
    tmb_ask_clear(&a);
    char id[128];
    for (int extra = 0; extra < 2; extra++) {
        memset(payload, 'r', TMB_RUN_BYTES_MAX + 1);
        snprintf(id, sizeof id, "{\"inc\":1,\"id\":\"%.*s:1\"}", TMB_RUN_BYTES_MAX + extra,
                 payload);
        assert_int_equal(ask("inc", id, &a), extra ? TMB_EINVAL : TMB_OK);
        tmb_ask_clear(&a);
    }
    free(payload);
}

static void refuse_topics_that_are_none(void **state)
{
    (void)state;
    tmb_ask a;
    tmb_bytes none = {0};
    assert_int_equal(ask_bytes("state/line-7/parts/incr", none, none, &a), TMB_EINVAL);
    assert_int_equal(a.verdict, TMB_VERDICT_MALFORMED);
    assert_true(strncmp(a.why, "no verb; write", 14) == 0);
    assert_bytes(a.op.path, "parts/incr");
    tmb_ask_clear(&a);
    assert_int_equal(ask_bytes("state/Line/parts/inc", none, none, &a), TMB_EINVAL);
    assert_int_equal(a.op.scope.len + a.op.path.len, 0);
    tmb_ask_clear(&a);
    assert_int_equal(ask_bytes("elsewhere", none, none, &a), TMB_EINVAL);
    tmb_ask_clear(&a);
}

static void survive_no_memory(void **state)
{
    (void)state;
    uint8_t props[64];
    size_t len = put_prop(props, sizeof props, 0, TMB_PROP_CONTENT_TYPE, "", PROTOBUF);
    static const char proto[] = V1 ELEMENTS("\x06\x0a\x01x\x0a\x01y");
    static const char json[] = "{\"add\":[\"a\",\"b\"],\"token\":\"AQI\"}";
    for (unsigned form = 0; form < 2; form++) {
        tmb_err err = TMB_ENOMEM;
        unsigned tries = 0;
        for (; err == TMB_ENOMEM; tries++) {
            tmb_ask a;
            memory_left = tries;
            err = form ? ask_bytes("state/a/b/add", tmb_bytes_str(json), tmb_bytes_of(NULL, 0), &a)
                       : ask_bytes("state/a/b/add", tmb_bytes_of(proto, sizeof proto - 1),
                                   tmb_bytes_of(props, len), &a);
            memory_left = ULONG_MAX;
            if (err == TMB_OK)
                tmb_ask_clear(&a);
            else
                assert_null(a.memory);
        }
        assert_int_equal(err, TMB_OK);
        assert_true(tries > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_a_register_as_it_comes),
        cmocka_unit_test(take_counts),
        cmocka_unit_test(take_elements),
        cmocka_unit_test(take_numbers),
        cmocka_unit_test(take_verbs_without_a_value),
        cmocka_unit_test(take_ids_and_tokens),
        cmocka_unit_test(take_properties),
        cmocka_unit_test(take_protobuf),
        cmocka_unit_test(have_limits),
        cmocka_unit_test(refuse_topics_that_are_none),
        cmocka_unit_test(survive_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
