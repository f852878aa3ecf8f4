// SPDX-License-Identifier: Apache-2.0
/* tests/unit/session/test_turns.c - the order, the floor, the places that are kept, and seeded traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "syncd/session/turns.h"

#define LOAD_BYTES 1000u
#define ALL        TMB_INFLIGHT_BATCHES_MAX
#define LANES      6u

/* Busy with a backlog, and more of it waits. */
static tmb_turns_lane lane(tmb_class class_)
{
    return (tmb_turns_lane){.class_ = class_, .is_there = true, .wants = true};
}

static tmb_turns_lane fresh(tmb_class class_)
{
    return (tmb_turns_lane){
        .class_ = class_, .is_there = true, .is_live = true, .is_idle = true, .wants = true};
}

static unsigned next(const tmb_turns *turns, const tmb_turns_lane *lanes, unsigned count)
{
    return tmb_turns_next(turns, lanes, count, ALL, LOAD_BYTES);
}

static void nobody_wants(void **state)
{
    tmb_turns turns = {0};
    tmb_turns_lane lanes[2] = {lane(TMB_CLASS_BULK), lane(TMB_CLASS_ALARM)};
    (void)state;
    lanes[0].wants = lanes[1].wants = false;
    assert_int_equal(next(&turns, lanes, 2), 2);
    assert_int_equal(next(&turns, lanes, 0), 0);
    lanes[0].wants = lanes[1].wants = true;
    assert_int_equal(tmb_turns_next(&turns, lanes, 2, 0, LOAD_BYTES), 2);
}

static void the_order_is_by_class_and_live_first(void **state)
{
    tmb_turns turns = {0};
    tmb_turns_lane lanes[LANES] = {lane(TMB_CLASS_BULK),      lane(TMB_CLASS_TELEMETRY),
                                   lane(TMB_CLASS_TELEMETRY), lane(TMB_CLASS_STATE),
                                   lane(TMB_CLASS_ALARM),     lane(TMB_CLASS_CONTROL)};
    (void)state;
    lanes[2].is_live = true;
    const unsigned order[LANES] = {5, 4, 3, 2, 1, 0};
    for (unsigned k = 0; k < LANES; k++) {
        assert_int_equal(next(&turns, lanes, LANES), order[k]);
        lanes[order[k]].is_there = lanes[order[k]].wants = false;
    }
}

static void equals_take_turns(void **state)
{
    tmb_turns turns = {0};
    tmb_turns_lane lanes[3] = {lane(TMB_CLASS_BULK), lane(TMB_CLASS_BULK), lane(TMB_CLASS_BULK)};
    (void)state;
    for (unsigned k = 0; k < 9; k++) {
        assert_int_equal(next(&turns, lanes, 3), k % 3);
        tmb_turns_begin(&turns, k % 3, 3);
    }
    lanes[2].is_idle = true; /* it has had nothing yet */
    assert_int_equal(next(&turns, lanes, 3), 2);
}

static void a_flood_leaves_places_for_those_above(void **state)
{
    tmb_turns turns = {0};
    tmb_turns_lane lanes[LANES] = {lane(TMB_CLASS_BULK),      lane(TMB_CLASS_BULK),
                                   lane(TMB_CLASS_TELEMETRY), lane(TMB_CLASS_STATE),
                                   lane(TMB_CLASS_ALARM),     lane(TMB_CLASS_CONTROL)};
    (void)state;
    lanes[1].is_live = true;
    for (unsigned i = 1; i < LANES; i++)
        lanes[i].wants = false;
    /* four classes above, and live data of its own */
    assert_int_equal(tmb_turns_next(&turns, lanes, LANES, 5, LOAD_BYTES), LANES);
    assert_int_equal(tmb_turns_next(&turns, lanes, LANES, 6, LOAD_BYTES), 0);
    lanes[1].wants = true;
    assert_int_equal(tmb_turns_next(&turns, lanes, LANES, 4, LOAD_BYTES), LANES);
    assert_int_equal(tmb_turns_next(&turns, lanes, LANES, 5, LOAD_BYTES), 1);
    lanes[5].wants = true;
    assert_int_equal(tmb_turns_next(&turns, lanes, LANES, 1, LOAD_BYTES), 5);
    /* who is not there is kept no place */
    for (unsigned i = 1; i < LANES; i++)
        lanes[i].is_there = lanes[i].wants = false;
    assert_int_equal(tmb_turns_next(&turns, lanes, LANES, 1, LOAD_BYTES), 0);
}

static void what_is_owed_goes_first_and_is_bounded(void **state)
{
    tmb_turns turns = {0};
    tmb_turns_lane lanes[2] = {lane(TMB_CLASS_ALARM), lane(TMB_CLASS_BULK)};
    (void)state;
    for (unsigned k = 1; k < TMB_TURNS_FLOOR_PARTS; k++) {
        tmb_turns_took(&turns, lanes, 2, 0, LOAD_BYTES, LOAD_BYTES);
        assert_int_equal(next(&turns, lanes, 2), 0);
    }
    tmb_turns_took(&turns, lanes, 2, 0, LOAD_BYTES, LOAD_BYTES);
    assert_int_equal(next(&turns, lanes, 2), 1);
    /* and takes the last place */
    assert_int_equal(tmb_turns_next(&turns, lanes, 2, 1, LOAD_BYTES), 1);
    tmb_turns_took(&turns, lanes, 2, 1, LOAD_BYTES, LOAD_BYTES);
    assert_int_equal(turns.owed[TMB_CLASS_BULK], 0);
    assert_int_equal(next(&turns, lanes, 2), 0);
    tmb_turns_took(&turns, lanes, 2, 0, UINT32_MAX, LOAD_BYTES);
    assert_int_equal(turns.owed[TMB_CLASS_BULK], TMB_TURNS_OWED_MAX * LOAD_BYTES);
    assert_int_equal(turns.owed[TMB_CLASS_ALARM], 0);
}

static void who_does_not_wait_is_owed_nothing(void **state)
{
    tmb_turns turns = {0};
    tmb_turns_lane lanes[2] = {lane(TMB_CLASS_ALARM), lane(TMB_CLASS_BULK)};
    (void)state;
    lanes[1].wants = false;
    tmb_turns_took(&turns, lanes, 2, 0, 100 * LOAD_BYTES, LOAD_BYTES);
    assert_int_equal(turns.owed[TMB_CLASS_BULK], 0);
}

static void a_fresh_alarm_overtakes_what_is_owed_once(void **state)
{
    tmb_turns turns = {0};
    tmb_turns_lane lanes[2] = {fresh(TMB_CLASS_ALARM), lane(TMB_CLASS_BULK)};
    (void)state;
    turns.owed[TMB_CLASS_BULK] = LOAD_BYTES;
    assert_int_equal(next(&turns, lanes, 2), 0);
    lanes[0].is_idle = false;
    assert_int_equal(next(&turns, lanes, 2), 1);
    /* An alarm each time the one before has gone: what waits below gets its part all the same. */
    lanes[0].is_idle = true;
    turns.owed[TMB_CLASS_BULK] = TMB_TURNS_OWED_MAX * LOAD_BYTES;
    assert_int_equal(next(&turns, lanes, 2), 1);
}

/* Random lanes that all have more than the line takes, one place free at a time: each class gets its floor,
 * the highest a good part. */
static void seeded_floods_starve_nobody(void **state)
{
    const char *only = getenv("TMB_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, seeds = only ? 1 : 200;
    (void)state;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        tmb_rng rng = {.state = seed};
        tmb_turns turns = {0};
        tmb_turns_lane lanes[LANES];
        uint64_t bytes[TMB_CLASSES] = {0}, sum = 0;
        bool is_class[TMB_CLASSES] = {false};
        unsigned top = TMB_CLASSES;
        print_message("seed %llu\n", (unsigned long long)seed);
        for (unsigned i = 0; i < LANES; i++) {
            lanes[i] = lane((tmb_class)(tmb_rng_next(&rng) % TMB_CLASSES));
            is_class[lanes[i].class_] = true;
            top = lanes[i].class_ < top ? (unsigned)lanes[i].class_ : top;
        }
        for (unsigned step = 0; step < 2000; step++) {
            for (unsigned i = 0; i < LANES; i++)
                lanes[i].is_idle = tmb_rng_next(&rng) % 4 == 0;
            unsigned i = tmb_turns_next(&turns, lanes, LANES, 1, LOAD_BYTES);
            uint64_t size = 1 + tmb_rng_next(&rng) % LOAD_BYTES;
            assert_true(i < LANES);
            tmb_turns_begin(&turns, i, LANES);
            tmb_turns_took(&turns, lanes, LANES, i, size, LOAD_BYTES);
            bytes[lanes[i].class_] += size;
            sum += size;
        }
        for (unsigned c = 0; c < TMB_CLASSES; c++) {
            if (is_class[c] && c != top)
                assert_true(bytes[c] >= bytes[top] / (TMB_TURNS_FLOOR_PARTS + 1));
        }
        assert_true(bytes[top] >= sum / 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_wants),
        cmocka_unit_test(the_order_is_by_class_and_live_first),
        cmocka_unit_test(equals_take_turns),
        cmocka_unit_test(a_flood_leaves_places_for_those_above),
        cmocka_unit_test(what_is_owed_goes_first_and_is_bounded),
        cmocka_unit_test(who_does_not_wait_is_owed_nothing),
        cmocka_unit_test(a_fresh_alarm_overtakes_what_is_owed_once),
        cmocka_unit_test(seeded_floods_starve_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
