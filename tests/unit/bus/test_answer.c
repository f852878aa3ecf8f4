// SPDX-License-Identifier: Apache-2.0
/* tests/unit/bus/test_answer.c - what a client is told, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "syncd/bus/answer.h"
#include "syncd/bus/text.h"

static void assert_answer(const tmb_ask *ask, tmb_verdict verdict, const char *why, tmb_bytes token,
                          const char *want)
{
    char *text = NULL;
    assert_int_equal(tmb_answer_json(ask, verdict, why, token, &text), TMB_OK);
    assert_string_equal(text, want);
    free(text);
}

static void say_what_became_of_it(void **state)
{
    (void)state;
    tmb_bytes none = {0};
    tmb_ask ask = {.op = {.verb = TMB_VERB_SET, .path = tmb_bytes_str("press/3/\"a\"")},
                   .id = tmb_bytes_str("run:7")};
    assert_answer(&ask, TMB_VERDICT_STALE, "read again", none,
                  "{\"ok\":false,\"verdict\":\"stale\",\"why\":\"read again\",\"op\":\"set\","
                  "\"path\":\"press/3/\\\"a\\\"\",\"id\":\"run:7\"}");
    tmb_ask bare = {0};
    assert_answer(&bare, TMB_VERDICT_SAME, "same", none, "{\"ok\":true,\"verdict\":\"same\"}");
    assert_answer(&bare, TMB_VERDICT_DONE, NULL, tmb_bytes_of("\x01\x02", 2),
                  "{\"ok\":true,\"verdict\":\"done\",\"token\":\"AQI\"}");
    assert_answer(&bare, TMB_VERDICT_MALFORMED, "x", none,
                  "{\"ok\":false,\"verdict\":\"malformed\",\"why\":\"x\"}");
}

static void carry_long_tokens(void **state)
{
    (void)state;
    uint8_t bytes[200], back[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    tmb_ask bare = {0};
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(
        tmb_answer_json(&bare, TMB_VERDICT_SAME, NULL, tmb_bytes_of(bytes, sizeof bytes), &text),
        TMB_OK);
    char *token = strstr(text, "\"token\":\"") + 9;
    assert_int_equal(
        tmb_token_bytes(tmb_bytes_of(token, strlen(token) - 2), back, sizeof back, &len), TMB_OK);
    assert_int_equal(len, sizeof bytes);
    assert_memory_equal(back, bytes, len);
    free(text);
}

static void are_good_or_bad(void **state)
{
    (void)state;
    static const tmb_verdict good[] = {TMB_VERDICT_DONE, TMB_VERDICT_SAME, TMB_VERDICT_REPEAT,
                                       TMB_VERDICT_SATURATED};
    unsigned count = 0;
    for (int v = TMB_VERDICT_DONE; v <= TMB_VERDICT_SATURATED; v++)
        count += tmb_verdict_is_ok((tmb_verdict)v);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(tmb_verdict_is_ok(good[i]));
}

static void texts_are_json(void **state)
{
    (void)state;
    tmb_text text = {0};
    tmb_text_put_json(&text, tmb_bytes_of("a\"\\\b\f\n\r\t\x01\0\x7f\xc3\xa4", 13));
    assert_string_equal(text.ptr, "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u0000\x7f\xc3\xa4\"");
    static const char *const base64[] = {"/w==", "//8=", "////", "/////w=="};
    for (size_t len = 1; len <= 4; len++) {
        char want[64];
        tmb_text_clear(&text);
        tmb_text_put_json(&text, tmb_bytes_of("\xff\xff\xff\xff", len));
        snprintf(want, sizeof want, "{\"base64\":\"%s\"}", base64[len - 1]);
        assert_string_equal(text.ptr, want);
    }
    tmb_text_clear(&text);
    tmb_text_put_json(&text, tmb_bytes_of(NULL, 0));
    assert_string_equal(text.ptr, "\"\"");
    tmb_text_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(say_what_became_of_it),
        cmocka_unit_test(carry_long_tokens),
        cmocka_unit_test(are_good_or_bad),
        cmocka_unit_test(texts_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
