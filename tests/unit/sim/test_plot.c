// SPDX-License-Identifier: Apache-2.0
/* The picture of a run: well-formed, all of it inside, with what it is about in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/plot.h"

static char picture[1 << 20];

static void draw(unsigned count, uint32_t live_milli, int64_t outage_ms)
{
    herd_options options[SIM_BACKOFFS];
    herd_result results[SIM_BACKOFFS];
    sim_plot_run runs[SIM_BACKOFFS];
    for (unsigned i = 0; i < count; i++) {
        herd_options_init(&options[i]);
        options[i].sites = 300;
        options[i].rate = 100;
        options[i].backoff = (sim_backoff)i;
        options[i].outage_ms = outage_ms;
        options[i].live_milli = live_milli;
        options[i].commit_per_s = 2000;
        assert_true(herd_run(&options[i], &results[i]));
        runs[i] = (sim_plot_run){&options[i], &results[i]};
    }
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(sim_plot_write(file, runs, count));
    rewind(file);
    size_t len = fread(picture, 1, sizeof picture - 1, file);
    picture[len] = '\0';
    fclose(file);
    for (unsigned i = 0; i < count; i++)
        herd_result_free(&results[i]);
}

static unsigned count_of(const char *what)
{
    unsigned count = 0;
    for (const char *at = picture; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

/* Every path and line stays within the picture's width. */
static void check_places(void)
{
    for (const char *at = picture; (at = strpbrk(at, "ML")) != NULL; at++) {
        double x, y;
        if (sscanf(at + 1, "%lf,%lf", &x, &y) != 2)
            continue;
        assert_true(x >= 83 && x <= 933);
        assert_true(y >= 0 && y <= 900);
    }
    assert_null(strstr(picture, "nan"));
    assert_null(strstr(picture, "inf"));
}

static void one_run_has_three_panels(void **state)
{
    (void)state;
    draw(1, 1000, 60000);
    assert_int_equal(count_of("<svg "), 1);
    assert_int_equal(count_of("</svg>"), 1);
    assert_int_equal(count_of("<text"), count_of("</text>"));
    assert_int_equal(count_of("<path"), 6);
    assert_non_null(strstr(picture, "300 sites come back to one hub"));
    assert_non_null(strstr(picture, "C = 100"));
    assert_non_null(strstr(picture, "Backlog"));
    assert_non_null(strstr(picture, "grey: it is away"));
    check_places();
}

/* Nothing ever waits: the panel has an axis all the same, its line at the bottom and not at the top. */
static void a_backlog_of_nothing_lies_on_the_ground(void **state)
{
    (void)state;
    draw(1, 1, 0);
    const char *panel = strstr(picture, "Backlog");
    assert_non_null(panel);
    assert_non_null(strstr(panel, ">1</text>"));
    check_places();
}

static void runs_beside_each_other_have_a_legend(void **state)
{
    (void)state;
    draw(SIM_BACKOFFS, 0, 0);
    assert_int_equal(count_of("<path"), 2 * SIM_BACKOFFS);
    assert_null(strstr(picture, "Backlog"));
    assert_null(strstr(picture, "grey"));
    assert_non_null(strstr(picture, "advertised window"));
    assert_non_null(strstr(picture, "full jitter"));
    assert_non_null(strstr(picture, "decorrelated jitter"));
    check_places();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_run_has_three_panels),
        cmocka_unit_test(a_backlog_of_nothing_lies_on_the_ground),
        cmocka_unit_test(runs_beside_each_other_have_a_legend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
