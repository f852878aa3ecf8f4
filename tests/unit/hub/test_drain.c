// SPDX-License-Identifier: Apache-2.0
/* Grants: who may send how much, what is refused, what a slow hub does, and who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "syncd/hub/drain.h"

enum { KIB = 1024, MIB = 1024 * KIB };

static tmb_drain d;
static tmb_drain_child c[4];

static tmb_mono at_ms(int64_t ms)
{
    return (tmb_mono){ms * 1000000};
}

static void begin(uint64_t memory, unsigned children)
{
    memset(c, 0, sizeof c);
    tmb_drain_init(&d, memory, at_ms(0));
    for (unsigned i = 0; i < children; i++)
        tmb_drain_join(&d, &c[i], 1, at_ms(0));
}

static uint64_t granted(const tmb_drain_child *child, tmb_pool pool)
{
    return child->pools[pool].granted;
}

/* How many children are to be told at that time. */
static unsigned tell(int64_t ms)
{
    unsigned told = 0;
    while (tmb_drain_next(&d, at_ms(ms)))
        told++;
    return told;
}

/* A batch that comes, is committed, and took so long. */
static void carry(tmb_drain_child *child, uint64_t bytes, int64_t from_ms, int64_t to_ms)
{
    assert_int_equal(tmb_drain_take(&d, child, TMB_POOL_BACKLOG, bytes, 0, at_ms(from_ms)),
                     TMB_DRAIN_TAKEN);
    tmb_drain_done(&d, child, TMB_POOL_BACKLOG, bytes, true, at_ms(to_ms));
}

static void a_session_begins_with_a_live_window_and_no_backlog(void **state)
{
    (void)state;
    begin(64 * MIB, 1);
    assert_int_equal(granted(&c[0], TMB_POOL_LIVE), TMB_DRAIN_LIVE_MAX);
    assert_int_equal(granted(&c[0], TMB_POOL_BACKLOG), 0);
    assert_int_equal(tmb_drain_wait_ms(&d), 0);
    tmb_drain_run(&d, at_ms(1));
    assert_int_equal(granted(&c[0], TMB_POOL_BACKLOG), 0); /* it has none */
    assert_int_equal(tell(1), 0);
    tmb_drain_backlog(&d, &c[0], true, at_ms(2));
    assert_true(tmb_drain_wait_ms(&d) > 0);
    tmb_drain_run(&d, at_ms(2));
    assert_int_equal(granted(&c[0], TMB_POOL_BACKLOG), tmb_drain_limit(&d));
    assert_int_equal(tell(2), 1);
    assert_int_equal(tell(3), 0);
    tmb_drain_leave(&d, &c[0]);
    tmb_drain_leave(&d, &c[0]); /* harmless */
    assert_int_equal(d.counted, 0);
    assert_int_equal(d.children, 0);
    tmb_drain_check(&d);
}

static void live_windows_are_renewed_and_shrink_with_company(void **state)
{
    (void)state;
    begin(1 * MIB, 1);
    assert_int_equal(granted(&c[0], TMB_POOL_LIVE), 256 * KIB);
    begin(1 * MIB, 4);
    assert_int_equal(granted(&c[0], TMB_POOL_LIVE), 256 * KIB);
    assert_int_equal(granted(&c[3], TMB_POOL_LIVE), 64 * KIB);
    assert_int_equal(tmb_drain_take(&d, &c[3], TMB_POOL_LIVE, 20 * KIB, 0, at_ms(1)),
                     TMB_DRAIN_TAKEN);
    tmb_drain_run(&d, at_ms(1)); /* held counts like unused: nothing new */
    assert_int_equal(granted(&c[3], TMB_POOL_LIVE), 64 * KIB);
    tmb_drain_done(&d, &c[3], TMB_POOL_LIVE, 20 * KIB, true, at_ms(2));
    tmb_drain_run(&d, at_ms(2)); /* more than half is left */
    assert_int_equal(granted(&c[3], TMB_POOL_LIVE), 64 * KIB);
    assert_int_equal(tmb_drain_take(&d, &c[3], TMB_POOL_LIVE, 12 * KIB, 0, at_ms(3)),
                     TMB_DRAIN_TAKEN);
    tmb_drain_done(&d, &c[3], TMB_POOL_LIVE, 12 * KIB, true, at_ms(4));
    tmb_drain_run(&d, at_ms(4));
    assert_int_equal(granted(&c[3], TMB_POOL_LIVE), 96 * KIB);
    assert_int_equal(tell(4), 1);
}

static void what_is_beyond_the_credit_is_refused(void **state)
{
    (void)state;
    begin(64 * MIB, 1);
    tmb_drain_backlog(&d, &c[0], true, at_ms(0));
    tmb_drain_run(&d, at_ms(0));
    uint64_t first = granted(&c[0], TMB_POOL_BACKLOG);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, first, 0, at_ms(0)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1, 0, at_ms(0)), TMB_DRAIN_OVER);
    assert_int_equal(c[0].over, 1);
    assert_int_equal(d.held, first); /* never memory */
    tmb_drain_owe(&c[0]);            /* as it was asked to send that again: one is taken */
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1, 0, at_ms(0)), TMB_DRAIN_TAKEN);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1, 0, at_ms(0)), TMB_DRAIN_OVER);
    /* Live: a window more for what is urgent, then no more. */
    uint64_t live = granted(&c[0], TMB_POOL_LIVE);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_LIVE, 2 * live, 0, at_ms(0)),
                     TMB_DRAIN_TAKEN);
    c[0].pools[TMB_POOL_LIVE].is_owed = false;
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_LIVE, 1, 0, at_ms(0)), TMB_DRAIN_OVER);
}

static void one_batch_alone_may_be_larger_than_the_window(void **state)
{
    (void)state;
    begin(64 * MIB, 1);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_LIVE, 17 * MIB, 0, at_ms(0)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_LIVE, 1, 0, at_ms(0)), TMB_DRAIN_OVER);
    tmb_drain_done(&d, &c[0], TMB_POOL_LIVE, 17 * MIB, true, at_ms(0));
    tmb_drain_backlog(&d, &c[0], true, at_ms(0));
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1, 0, at_ms(0)), TMB_DRAIN_OVER);
    tmb_drain_run(&d, at_ms(1));
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 17 * MIB, 0, at_ms(1)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1, 0, at_ms(1)), TMB_DRAIN_OVER);
    tmb_drain_done(&d, &c[0], TMB_POOL_BACKLOG, 17 * MIB, true, at_ms(2));
    tmb_drain_run(&d, at_ms(3)); /* the next grants go on behind what was overdrawn */
    assert_true(granted(&c[0], TMB_POOL_BACKLOG) > 17 * MIB);
}

static void memory_is_the_last_word(void **state)
{
    (void)state;
    begin(1 * MIB, 0); /* version 1: no credits */
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_LIVE, 3 * MIB, 0, at_ms(0)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(tmb_drain_take(&d, &c[1], TMB_POOL_LIVE, 1, 0, at_ms(0)), TMB_DRAIN_NO_ROOM);
    assert_int_equal(c[1].no_room, 1);
    tmb_drain_done(&d, &c[0], TMB_POOL_LIVE, 3 * MIB, false, at_ms(0));
    assert_int_equal(tmb_drain_take(&d, &c[1], TMB_POOL_LIVE, 1 * MIB, 0, at_ms(0)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_LIVE, 1, 0, at_ms(0)), TMB_DRAIN_NO_ROOM);
    assert_int_equal(d.held_max, 3 * MIB);
}

static void what_was_lost_on_the_way_is_known_by_the_next(void **state)
{
    (void)state;
    begin(64 * MIB, 1);
    tmb_drain_backlog(&d, &c[0], true, at_ms(0));
    tmb_drain_run(&d, at_ms(0));
    uint64_t limit = d.counted;
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1000, 100000, at_ms(0)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(c[0].pools[TMB_POOL_BACKLOG].spent, 100000);
    tmb_drain_done(&d, &c[0], TMB_POOL_BACKLOG, 1000, true, at_ms(1));
    assert_int_equal(d.counted, limit - 100000);
    /* One that lies gains nothing, and counters do not wrap. */
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1000, 1, at_ms(1)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(c[0].pools[TMB_POOL_BACKLOG].spent, 101000);
    (void)tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 1000, UINT64_MAX, at_ms(1));
    assert_true(c[0].pools[TMB_POOL_BACKLOG].spent < 64 * MIB);
}

static void grants_follow_the_rate_of_commits(void **state)
{
    (void)state;
    begin(64 * MIB, 1);
    tmb_drain_backlog(&d, &c[0], true, at_ms(0));
    tmb_drain_run(&d, at_ms(0));
    carry(&c[0], 200 * KIB, 0, 200); /* 1000 KiB/s */
    tmb_drain_run(&d, at_ms(200));
    assert_in_range(d.rate, 1000 * KIB, 1000 * KIB);
    assert_int_equal(tmb_drain_limit(&d), d.rate * TMB_DRAIN_AHEAD_MS / 1000);
    tmb_drain_run(&d, at_ms(5000)); /* nothing to do: nothing learnt */
    assert_in_range(d.rate, 1000 * KIB, 1000 * KIB);
    carry(&c[0], 600 * KIB, 5000, 5200); /* faster: believed by half */
    assert_in_range(d.rate, 2000 * KIB, 2000 * KIB);
    /* The broker stops: what is held waits, and within seconds nobody is granted anything. */
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 9 * KIB, 0, at_ms(5200)),
                     TMB_DRAIN_TAKEN);
    for (int64_t ms = 5220; ms < 15000; ms += 20)
        tmb_drain_run(&d, at_ms(ms));
    assert_int_equal(tmb_drain_limit(&d), TMB_DRAIN_LEAST_BYTES);
    uint64_t then = granted(&c[0], TMB_POOL_BACKLOG);
    tmb_drain_run(&d, at_ms(15000));
    assert_int_equal(granted(&c[0], TMB_POOL_BACKLOG), then);
    /* It goes on. */
    tmb_drain_done(&d, &c[0], TMB_POOL_BACKLOG, 9 * KIB, true, at_ms(15000));
    int64_t ms = 15000;
    for (unsigned i = 0; i < 200 && tmb_drain_limit(&d) < 500 * KIB; i++, ms += 10) {
        tmb_drain_run(&d, at_ms(ms));
        tmb_drain_pool *p = &c[0].pools[TMB_POOL_BACKLOG];
        if (p->granted > p->spent)
            carry(&c[0], 8 * KIB, ms, ms + 8);
    }
    assert_in_range(tmb_drain_limit(&d), 500 * KIB, 2 * MIB);
}

static void a_grant_that_is_not_used_does_not_keep_others_waiting(void **state)
{
    (void)state;
    begin(4 * MIB, 2);
    tmb_drain_backlog(&d, &c[0], true, at_ms(0));
    tmb_drain_run(&d, at_ms(0));
    uint64_t all = granted(&c[0], TMB_POOL_BACKLOG);
    assert_int_equal(all, tmb_drain_limit(&d));
    tmb_drain_backlog(&d, &c[1], true, at_ms(1));
    tmb_drain_run(&d, at_ms(TMB_DRAIN_LAPSE_MS - 1));
    assert_int_equal(granted(&c[1], TMB_POOL_BACKLOG), 0); /* all is given away */
    tmb_drain_run(&d, at_ms(TMB_DRAIN_LAPSE_MS));
    assert_true(granted(&c[1], TMB_POOL_BACKLOG) > 0);
    assert_true(c[0].is_lapsed);
    /* It is still good, and then counts again. */
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, all / 2, 0, at_ms(20000)),
                     TMB_DRAIN_TAKEN);
    assert_false(c[0].is_lapsed);
    assert_int_equal(c[0].counted, all);
    /* Nobody can use a grant for what he has not. */
    tmb_drain_done(&d, &c[0], TMB_POOL_BACKLOG, all / 2, true, at_ms(20001));
    tmb_drain_backlog(&d, &c[0], false, at_ms(20001));
    assert_int_equal(c[0].counted, 0);
}

static void credits_are_told_again_while_they_can_be_used(void **state)
{
    (void)state;
    begin(64 * MIB, 2);
    tmb_drain_backlog(&d, &c[1], true, at_ms(0));
    tmb_drain_run(&d, at_ms(0));
    assert_int_equal(tell(0), 1);
    assert_int_equal(tell(TMB_DRAIN_TELL_MS - 1), 0);
    assert_int_equal(tell(TMB_DRAIN_TELL_MS), 1);
    assert_int_equal(tell(TMB_DRAIN_TELL_MS), 0);
    assert_int_equal(tell(2 * TMB_DRAIN_TELL_MS), 1);
    tmb_drain_backlog(&d, &c[1], false, at_ms(0));
    assert_int_equal(tell(9 * TMB_DRAIN_TELL_MS), 0);
}

static void a_new_session_counts_from_nothing(void **state)
{
    (void)state;
    begin(64 * MIB, 1);
    tmb_drain_backlog(&d, &c[0], true, at_ms(0));
    tmb_drain_run(&d, at_ms(0));
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_BACKLOG, 5000, 0, at_ms(1)),
                     TMB_DRAIN_TAKEN);
    tmb_drain_join(&d, &c[0], 7, at_ms(2));
    assert_false(c[0].has_backlog);
    assert_int_equal(granted(&c[0], TMB_POOL_BACKLOG), 0);
    assert_int_equal(c[0].pools[TMB_POOL_BACKLOG].spent, 0);
    assert_int_equal(d.held, 5000); /* what is here is here */
    assert_int_equal(d.counted, 5000);
    tmb_drain_done(&d, &c[0], TMB_POOL_BACKLOG, 5000, true, at_ms(3));
    assert_int_equal(d.counted, 0);
    tmb_drain_check(&d);
}

static void weights_make_parts(void **state)
{
    (void)state;
    begin(64 * MIB, 0);
    tmb_drain_join(&d, &c[0], 3, at_ms(0));
    tmb_drain_join(&d, &c[1], 1, at_ms(0));
    tmb_drain_backlog(&d, &c[0], true, at_ms(0));
    tmb_drain_backlog(&d, &c[1], true, at_ms(0));
    tmb_drain_run(&d, at_ms(0));
    uint64_t limit = tmb_drain_limit(&d);
    assert_int_equal(granted(&c[0], TMB_POOL_BACKLOG), limit / 4 * 3);
    assert_int_equal(granted(&c[1], TMB_POOL_BACKLOG), limit / 4);
}

/* A record of a megabyte takes minutes on a slow line; an alarm behind it does not wait for its end. */
static void a_batch_in_pieces_does_not_keep_others_waiting(void **state)
{
    (void)state;
    begin(64 * MIB, 1);
    tmb_drain_part(&d, &c[0], TMB_POOL_LIVE, MIB, at_ms(1));
    tmb_drain_run(&d, at_ms(1));
    assert_int_equal(granted(&c[0], TMB_POOL_LIVE), MIB + TMB_DRAIN_LIVE_MAX);
    assert_int_equal(tell(1), 1);
    assert_int_equal(d.held, 0);
    tmb_drain_part(&d, &c[0], TMB_POOL_LIVE, MIB, at_ms(2));
    assert_int_equal(tmb_drain_take(&d, &c[0], TMB_POOL_LIVE, 1000, MIB + 1000, at_ms(3)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(tmb_drain_take_joined(&d, &c[0], TMB_POOL_LIVE, MIB, MIB, at_ms(4)),
                     TMB_DRAIN_TAKEN);
    assert_int_equal(d.held, MIB + 1000);
    assert_int_equal(c[0].over, 0);
    tmb_drain_check(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_begins_with_a_live_window_and_no_backlog),
        cmocka_unit_test(live_windows_are_renewed_and_shrink_with_company),
        cmocka_unit_test(what_is_beyond_the_credit_is_refused),
        cmocka_unit_test(one_batch_alone_may_be_larger_than_the_window),
        cmocka_unit_test(memory_is_the_last_word),
        cmocka_unit_test(what_was_lost_on_the_way_is_known_by_the_next),
        cmocka_unit_test(grants_follow_the_rate_of_commits),
        cmocka_unit_test(a_grant_that_is_not_used_does_not_keep_others_waiting),
        cmocka_unit_test(credits_are_told_again_while_they_can_be_used),
        cmocka_unit_test(a_new_session_counts_from_nothing),
        cmocka_unit_test(weights_make_parts),
        cmocka_unit_test(a_batch_in_pieces_does_not_keep_others_waiting),
    };
    return cmocka_run_group_tests_name("unit.hub.drain", tests, NULL, NULL);
}
