// SPDX-License-Identifier: Apache-2.0
/* What the application has had: in order, out of order, across jumps, at both edges of the window, and at the
 * limit of sources. The storm compares with a plain set, by seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "clients/c/dedupe.h"

enum { WINDOW = 128, SOURCES = 3, SEQS = 4000, STEPS = 20000, SEEDS = 20 };

typedef struct table {
    tmb_dedupe d;
    tmb_dedupe_source sources[SOURCES];
    uint64_t words[SOURCES * WINDOW / 64];
} table;

static void begin(table *t)
{
    memset(t, 0xff, sizeof *t); /* what was in the memory before does not matter */
    tmb_dedupe_init(&t->d, t->sources, SOURCES, t->words, WINDOW);
}

static tmb_msgid at(const char *stream, uint64_t seq)
{
    tmb_msgid id = {.node = "s1", .seq = seq, .life = 7};
    (void)snprintf(id.stream, sizeof id.stream, "%s", stream);
    return id;
}

static tmb_dedupe_answer ask(table *t, const char *stream, uint64_t seq)
{
    tmb_msgid id = at(stream, seq);
    return tmb_dedupe_ask(&t->d, &id);
}

static void mark(table *t, const char *stream, uint64_t seq)
{
    tmb_msgid id = at(stream, seq);
    tmb_dedupe_mark(&t->d, &id);
}

static void knows_what_it_has_had(void **state)
{
    (void)state;
    table t;
    begin(&t);
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        assert_int_equal(ask(&t, "a", seq), TMB_DEDUPE_NEW);
        mark(&t, "a", seq);
        assert_int_equal(ask(&t, "a", seq), TMB_DEDUPE_REPEAT);
        assert_int_equal(ask(&t, "b", seq), TMB_DEDUPE_NEW);
    }
}

static void asking_marks_nothing(void **state)
{
    (void)state;
    table t;
    begin(&t);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&t, "a", 9), TMB_DEDUPE_NEW);
    assert_int_equal(t.d.source_count, 0);
}

/* A replay that brings what was overtaken: seen once, it must come. */
static void a_gap_below_the_highest_is_new(void **state)
{
    (void)state;
    table t;
    begin(&t);
    mark(&t, "a", 500);
    mark(&t, "a", 503);
    assert_int_equal(ask(&t, "a", 501), TMB_DEDUPE_NEW);
    assert_int_equal(ask(&t, "a", 499), TMB_DEDUPE_NEW); /* before the first that came */
    mark(&t, "a", 499);
    assert_int_equal(ask(&t, "a", 499), TMB_DEDUPE_REPEAT);
    assert_int_equal(ask(&t, "a", 500), TMB_DEDUPE_REPEAT);
    assert_int_equal(ask(&t, "a", 502), TMB_DEDUPE_NEW);
}

static void below_the_window_nobody_can_tell(void **state)
{
    (void)state;
    table t;
    begin(&t);
    mark(&t, "a", 1000);
    assert_int_equal(ask(&t, "a", 1000 - WINDOW + 1), TMB_DEDUPE_NEW);
    assert_int_equal(ask(&t, "a", 1000 - WINDOW), TMB_DEDUPE_OLD);
    mark(&t, "a", 1000 - WINDOW); /* would have the bit of 1000 */
    assert_int_equal(ask(&t, "a", 1000 - WINDOW), TMB_DEDUPE_OLD);
    mark(&t, "a", 1001);
    assert_int_equal(ask(&t, "a", 1000 - WINDOW + 1), TMB_DEDUPE_OLD);
}

static void a_jump_leaves_no_bits_of_the_round_before(void **state)
{
    (void)state;
    table t;
    begin(&t);
    for (uint64_t seq = 1; seq <= WINDOW; seq++)
        mark(&t, "a", seq);
    mark(&t, "a", WINDOW + 64); /* less than a round */
    assert_int_equal(ask(&t, "a", WINDOW + 10), TMB_DEDUPE_NEW);
    assert_int_equal(ask(&t, "a", 100), TMB_DEDUPE_REPEAT);
    mark(&t, "a", TMB_SEQ_MAX); /* many rounds */
    assert_int_equal(ask(&t, "a", TMB_SEQ_MAX - 5), TMB_DEDUPE_NEW);
    assert_int_equal(ask(&t, "a", TMB_SEQ_MAX), TMB_DEDUPE_REPEAT);
}

static void lives_and_nodes_are_apart(void **state)
{
    (void)state;
    table t;
    begin(&t);
    tmb_msgid id = at("a", 5);
    tmb_dedupe_mark(&t.d, &id);
    id.life = 8;
    assert_int_equal(tmb_dedupe_ask(&t.d, &id), TMB_DEDUPE_NEW);
    id.life = 7;
    (void)snprintf(id.node, sizeof id.node, "s2");
    assert_int_equal(tmb_dedupe_ask(&t.d, &id), TMB_DEDUPE_NEW);
}

static void at_the_limit_the_longest_silent_source_is_forgotten(void **state)
{
    (void)state;
    table t;
    begin(&t);
    mark(&t, "a", 1);
    mark(&t, "b", 1);
    mark(&t, "c", 1);
    mark(&t, "a", 2);
    assert_int_equal(t.d.forgotten, 0);
    mark(&t, "d", 1);
    assert_int_equal(t.d.forgotten, 1);
    assert_int_equal(ask(&t, "a", 2), TMB_DEDUPE_REPEAT);
    assert_int_equal(ask(&t, "b", 1), TMB_DEDUPE_NEW); /* again, rather than never */
    assert_int_equal(ask(&t, "d", 1), TMB_DEDUPE_REPEAT);
    assert_int_equal(ask(&t, "d", 2), TMB_DEDUPE_NEW); /* nothing of b's bits */
}

/* The oracle keeps a plain set of every source and knows the highest: nothing unseen is ever called a repeat,
 * nothing seen in the window is ever called new. */
static void storm(uint64_t seed)
{
    static bool seen[SOURCES][SEQS + 1];
    static const char *const names[SOURCES] = {"a", "b", "c"};
    uint64_t highest[SOURCES] = {0};
    memset(seen, 0, sizeof seen);
    table t;
    begin(&t);
    tmb_rng rng = {seed};
    for (int i = 0; i < STEPS; i++) {
        size_t s = (size_t)tmb_rng_below(&rng, SOURCES);
        uint64_t top = highest[s] + 1 + tmb_rng_below(&rng, tmb_rng_below(&rng, 50) == 0 ? 300 : 3);
        uint64_t low = highest[s] > 2 * WINDOW ? highest[s] - 2 * WINDOW : 1;
        uint64_t seq = tmb_rng_below(&rng, 3) == 0 ? top : low + tmb_rng_below(&rng, top - low + 1);
        if (seq > SEQS)
            continue;
        tmb_dedupe_answer answer = ask(&t, names[s], seq);
        bool is_old = seq + WINDOW <= highest[s];
        if (is_old)
            assert_int_equal(answer, TMB_DEDUPE_OLD);
        else
            assert_int_equal(answer, seen[s][seq] ? TMB_DEDUPE_REPEAT : TMB_DEDUPE_NEW);
        if (tmb_rng_below(&rng, 4) == 0)
            continue; /* asked, and not delivered after all */
        mark(&t, names[s], seq);
        seen[s][seq] = true;
        if (seq > highest[s])
            highest[s] = seq;
    }
}

static void agrees_with_a_plain_set(void **state)
{
    (void)state;
    const char *given = getenv("TMB_SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + (given ? 1 : SEEDS); seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        storm(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_it_has_had),
        cmocka_unit_test(asking_marks_nothing),
        cmocka_unit_test(a_gap_below_the_highest_is_new),
        cmocka_unit_test(below_the_window_nobody_can_tell),
        cmocka_unit_test(a_jump_leaves_no_bits_of_the_round_before),
        cmocka_unit_test(lives_and_nodes_are_apart),
        cmocka_unit_test(at_the_limit_the_longest_silent_source_is_forgotten),
        cmocka_unit_test(agrees_with_a_plain_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
