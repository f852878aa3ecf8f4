// SPDX-License-Identifier: Apache-2.0
/* The mark of a message: its text to the longest, and the properties that carry it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdlib.h>

#include "broker-plugin/mark.h"
#include "proto/props.h"

static const tmb_incarnation life = {{0xab, 0x01, 0x00, 0xff, 0x77}};

static void names_node_stream_number_and_life(void **state)
{
    (void)state;
    char text[TMB_MARK_BYTES_MAX + 1];
    tmb_mark_id mark = {"s1", "default", 17, &life};
    tmb_mark_text(&mark, text);
    assert_string_equal(text, "s1/default/17/ab0100ff");
}

static void the_longest_fits(void **state)
{
    (void)state;
    char text[TMB_MARK_BYTES_MAX + 1], node[TMB_NAME_BYTES_MAX + 1] = {0};
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1] = {0};
    memset(node, 'n', sizeof node - 1);
    memset(stream, 's', sizeof stream - 1);
    tmb_mark_id mark = {node, stream, TMB_SEQ_MAX, &life};
    tmb_mark_text(&mark, text);
    assert_int_equal(strlen(text), TMB_MARK_BYTES_MAX);
    assert_string_equal(strrchr(text, 's') + 1, "/9223372036854775807/ab0100ff");
}

static void assert_pair(const mosquitto_property *item, const char *name, const char *value)
{
    char *found_name = NULL, *found_value = NULL;
    assert_non_null(mosquitto_property_read_string_pair(item, MQTT_PROP_USER_PROPERTY, &found_name,
                                                        &found_value, false));
    assert_string_equal(found_name, name);
    assert_string_equal(found_value, value);
    free(found_name);
    free(found_value);
}

static void is_added_behind_what_is_there(void **state)
{
    (void)state;
    tmb_mark_id mark = {"s1", "default", 1, &life};
    mosquitto_property *list = NULL;
    assert_int_equal(mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY, "k", "v"),
                     0);
    assert_int_equal(tmb_mark_add(&mark, false, &list), TMB_OK);
    assert_int_equal(tmb_mark_add(&mark, true, &list), TMB_OK);
    const mosquitto_property *at = list;
    assert_pair(at, "k", "v");
    at = mosquitto_property_next(at);
    assert_pair(at, TMB_PROP_ID_NAME, "s1/default/1/ab0100ff");
    at = mosquitto_property_next(at);
    assert_pair(at, TMB_PROP_ID_NAME, "s1/default/1/ab0100ff");
    at = mosquitto_property_next(at);
    assert_pair(at, TMB_PROP_REPLAY_NAME, "1");
    assert_null(mosquitto_property_next(at));
    mosquitto_property_free_all(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_node_stream_number_and_life),
        cmocka_unit_test(the_longest_fits),
        cmocka_unit_test(is_added_behind_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
