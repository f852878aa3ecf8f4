// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_schedule.c - which entry counts when, minute by minute.
 */
#include <inttypes.h>

#include "config/schedule.h"
#include "tests/unit/config/loading.h"

#define PARENT TLS "parent:\n  host: h\n  rate: 1Mbit/s\n"

static tmb_config *load(const char *schedule)
{
    char text[2048];
    snprintf(text, sizeof text, "%s%s  schedule: %s\n", GOOD, PARENT, schedule);
    return load_good(text);
}

static uint64_t rate_of(const tmb_config *config, unsigned day, unsigned hour, unsigned minute)
{
    return tmb_schedule_rate(&config->schedule, config->rate, day, hour * 60 + minute);
}

static void counts_within_its_hours(void **state)
{
    (void)state;
    tmb_config *c = load("[ { days: mon-fri, from: \"08:00\", to: \"18:00\", rate: 64kbit/s } ]");
    assert_int_equal(c->rate, 1000000);
    for (unsigned day = 0; day < 7; day++) {
        for (unsigned minute = 0; minute < 1440; minute++) {
            bool counts = day < 5 && minute >= 480 && minute < 1080;
            assert_int_equal(tmb_schedule_rate(&c->schedule, c->rate, day, minute),
                             counts ? 64000 : 1000000);
        }
    }
    tmb_config_free(c);
}

static void goes_over_midnight_and_around_the_week(void **state)
{
    (void)state;
    tmb_config *c = load("[ { days: sat-sun, from: \"22:00\", to: \"06:00\", rate: none },"
                         " { days: sun-mon, from: \"00:00\", to: \"24:00\", rate: 16KiB/s } ]");
    assert_int_equal(rate_of(c, 5, 21, 59), 1000000); /* Saturday */
    assert_int_equal(rate_of(c, 5, 22, 0), 0);
    assert_int_equal(rate_of(c, 6, 5, 59), 0); /* Sunday, since Saturday */
    assert_int_equal(rate_of(c, 6, 6, 0), 16 * 1024 * 8);
    assert_int_equal(rate_of(c, 0, 5, 59), 0); /* Monday, since Sunday */
    assert_int_equal(rate_of(c, 0, 23, 59), 16 * 1024 * 8);
    assert_int_equal(rate_of(c, 1, 0, 0), 1000000);
    tmb_config_free(c);
}

static void the_first_entry_decides(void **state)
{
    (void)state;
    tmb_config *c = load("[ { days: wed, from: \"12:00\", to: \"13:00\", rate: 2Mbit/s },"
                         " { days: daily, from: \"00:00\", to: \"24:00\", rate: 1kB/s } ]");
    assert_int_equal(rate_of(c, 2, 12, 30), 2000000);
    assert_int_equal(rate_of(c, 2, 13, 0), 8000);
    assert_int_equal(rate_of(c, 3, 12, 30), 8000);
    tmb_config_free(c);
}

static void takes_16_entries(void **state)
{
    (void)state;
    char list[4096] = "[ ";
    for (unsigned i = 0; i < TMB_SCHEDULE_MAX; i++)
        strcat(list, "{ days: sun, from: \"00:00\", to: \"01:00\", rate: none }, ");
    strcat(list, "]");
    char text[8192];
    snprintf(text, sizeof text, "%s%s  schedule: %s\n", GOOD, PARENT, list);
    tmb_config *c = load_good(text);
    assert_int_equal(c->schedule.count, TMB_SCHEDULE_MAX);
    tmb_config_free(c);
    list[strlen(list) - 1] = 0;
    snprintf(text, sizeof text,
             "%s%s  schedule:\n    %s\n      { days: sun, from: \"00:00\", to: \"01:00\", rate: "
             "none } ]\n",
             GOOD, PARENT, list);
    assert_told(text, strlen(text),
                "/etc/t/f:9:7: parent.schedule: more than 16; put days together\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_within_its_hours),
        cmocka_unit_test(goes_over_midnight_and_around_the_week),
        cmocka_unit_test(the_first_entry_decides),
        cmocka_unit_test(takes_16_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
