// SPDX-License-Identifier: Apache-2.0
/* Properties from the broker's list to bytes and back: the same ones in the same order. Linked with
 * libmosquitto, whose property functions are the broker's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "base/limits.h"
#include "broker-plugin/props_bridge.h"
#include "proto/props.h"

static tmb_err to_bytes(const mosquitto_property *list, uint8_t *out, size_t cap, size_t *ret_len)
{
    tmb_writer w = tmb_writer_of(out, cap);
    unsigned marks = 9;
    tmb_err err = tmb_props_from_broker(list, &w, &marks);
    assert_int_equal(marks, err == TMB_OK ? 0 : 9);
    *ret_len = (size_t)(w.at - out);
    return err;
}

static mosquitto_property *sample(void)
{
    mosquitto_property *list = NULL;
    assert_int_equal(mosquitto_property_add_byte(&list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1), 0);
    assert_int_equal(mosquitto_property_add_string(&list, MQTT_PROP_CONTENT_TYPE, "text/\xc3\xbc"),
                     0);
    assert_int_equal(mosquitto_property_add_string(&list, MQTT_PROP_RESPONSE_TOPIC, "re/ply"), 0);
    assert_int_equal(mosquitto_property_add_binary(&list, MQTT_PROP_CORRELATION_DATA, "a\0b", 3),
                     0);
    assert_int_equal(mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY, "k", "v1"),
                     0);
    assert_int_equal(mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY, "k", "v2"),
                     0);
    assert_int_equal(mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY, "", ""), 0);
    return list;
}

static const uint8_t sample_bytes[] = {1,   1, 3,   0,   7,   't', 'e', 'x', 't', '/', 0xc3, 0xbc,
                                       8,   0, 6,   'r', 'e', '/', 'p', 'l', 'y', 9,   0,    3,
                                       'a', 0, 'b', 38,  0,   1,   'k', 0,   2,   'v', '1',  38,
                                       0,   1, 'k', 0,   2,   'v', '2', 38,  0,   0,   0,    0};

static void lists_become_bytes(void **state)
{
    (void)state;
    mosquitto_property *list = sample();
    uint8_t bytes[256];
    size_t len = 0;
    assert_int_equal(to_bytes(list, bytes, sizeof bytes, &len), TMB_OK);
    assert_int_equal(len, sizeof sample_bytes);
    assert_memory_equal(bytes, sample_bytes, len);
    mosquitto_property_free_all(&list);
    assert_int_equal(to_bytes(NULL, bytes, sizeof bytes, &len), TMB_OK);
    assert_int_equal(len, 0);
}

static void bytes_become_lists(void **state)
{
    (void)state;
    mosquitto_property *list = NULL;
    uint8_t bytes[256];
    size_t len = 0;
    tmb_bytes in = tmb_bytes_of(sample_bytes, sizeof sample_bytes);
    assert_int_equal(tmb_props_to_broker(in, &list), TMB_OK);
    assert_int_equal(to_bytes(list, bytes, sizeof bytes, &len), TMB_OK);
    assert_int_equal(len, sizeof sample_bytes);
    assert_memory_equal(bytes, sample_bytes, len);
    mosquitto_property_free_all(&list);
    assert_int_equal(tmb_props_to_broker(tmb_bytes_of(NULL, 0), &list), TMB_OK);
    assert_null(list);
}

static void what_is_between_client_and_broker_stays_there(void **state)
{
    (void)state;
    mosquitto_property *list = NULL;
    uint8_t bytes[64];
    size_t len = 9;
    assert_int_equal(mosquitto_property_add_int16(&list, MQTT_PROP_TOPIC_ALIAS, 3), 0);
    assert_int_equal(to_bytes(list, bytes, sizeof bytes, &len), TMB_OK);
    assert_int_equal(len, 0);
    mosquitto_property_free_all(&list);
}

static void marks_of_a_node_stay_out_both_ways(void **state)
{
    (void)state;
    static const char *const names[] = {"tombolo-id", "k", "tombolo-replay", "tombolo-i",
                                        "tombolo-id"};
    static const uint8_t wanted[] = {38,  0,   1,   'k', 0,   1,   '1', 38,  0, 9, 't',
                                     'o', 'm', 'b', 'o', 'l', 'o', '-', 'i', 0, 1, '1'};
    mosquitto_property *list = NULL;
    uint8_t bytes[256];
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(
            mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY, names[i], "1"), 0);
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    unsigned marks = 0;
    assert_int_equal(tmb_props_from_broker(list, &w, &marks), TMB_OK);
    assert_int_equal(marks, 3);
    assert_int_equal(w.at - bytes, sizeof wanted);
    assert_memory_equal(bytes, wanted, sizeof wanted);
    mosquitto_property_free_all(&list);
    static const uint8_t sent[] = {38,  0, 10, 't', 'o', 'm', 'b', 'o', 'l', 'o', '-', 'i',
                                   'd', 0, 1,  'x', 38,  0,   1,   'k', 0,   1,   'v'};
    assert_int_equal(tmb_props_to_broker(tmb_bytes_of(sent, sizeof sent), &list), TMB_OK);
    size_t len = 0;
    assert_int_equal(to_bytes(list, bytes, sizeof bytes, &len), TMB_OK);
    assert_int_equal(len, 7);
    assert_memory_equal(bytes, sent + 16, len);
    mosquitto_property_free_all(&list);
}

static void too_much_and_rubbish_are_errors(void **state)
{
    (void)state;
    mosquitto_property *list = sample();
    uint8_t bytes[256];
    size_t len = 0;
    for (size_t cap = 0; cap < sizeof sample_bytes; cap++)
        assert_int_equal(to_bytes(list, bytes, cap, &len), TMB_ELIMIT);
    mosquitto_property_free_all(&list);
    static const uint8_t rubbish[] = {1, 1, 99, 0};
    assert_int_equal(tmb_props_to_broker(tmb_bytes_of(rubbish, 4), &list), TMB_ECORRUPT);
    assert_null(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_become_bytes),
        cmocka_unit_test(bytes_become_lists),
        cmocka_unit_test(what_is_between_client_and_broker_stays_there),
        cmocka_unit_test(marks_of_a_node_stay_out_both_ways),
        cmocka_unit_test(too_much_and_rubbish_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
