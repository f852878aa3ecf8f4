// SPDX-License-Identifier: Apache-2.0
/* tests/unit/crdt/test_context.c - contexts against a plain table of dots, their limits, their one form. */
#include "base/rng.h"
#include "tests/unit/crdt/replica.h"

#define ACTORS 4u
#define SEQS   24u

typedef struct table {
    bool has[ACTORS][SEQS + 1];
} table;

static void agree(const tmb_context *c, const table *t)
{
    for (uint8_t who = 0; who < ACTORS; who++) {
        uint64_t base = 0, last = 0;
        for (unsigned seq = 1; seq <= SEQS; seq++) {
            tmb_dot d = dot(who, seq);
            assert_int_equal(tmb_context_has(c, &d), t->has[who][seq]);
            if (t->has[who][seq]) {
                last = seq;
                base += base + 1 == seq;
            }
        }
        tmb_incarnation a = actor(who);
        assert_int_equal(tmb_context_base(c, &a), base);
        assert_int_equal(tmb_context_last(c, &a), last);
    }
}

static void round_trip(const tmb_context *c, tmb_context *other)
{
    uint8_t bytes[4096];
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_context_put(&w, c);
    size_t len = (size_t)(w.at - bytes);
    assert_int_equal(len, tmb_context_size(c));
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, len));
    assert_int_equal(tmb_context_get(&r, other), TMB_OK);
    assert_true(tmb_context_eq(c, other));
    if (len > 0) {
        r = tmb_reader_of(tmb_bytes_of(bytes, len - 1));
        assert_int_equal(tmb_context_get(&r, other), TMB_ECORRUPT);
    }
}

static void random_add(tmb_rng *rng, tmb_context *c, table *t)
{
    uint8_t who = (uint8_t)tmb_rng_below(rng, ACTORS);
    unsigned first = 1 + (unsigned)tmb_rng_below(rng, SEQS);
    unsigned last = first + (unsigned)tmb_rng_below(rng, 3);
    last = last > SEQS ? SEQS : last;
    tmb_incarnation a = actor(who);
    assert_int_equal(tmb_context_add_run(c, &a, first, last), TMB_OK);
    for (unsigned seq = first; seq <= last; seq++)
        t->has[who][seq] = true;
}

static void is_a_set_of_dots(void **state)
{
    (void)state;
    const char *env = getenv("TMB_SEED");
    tmb_rng rng = {env ? strtoull(env, NULL, 0) : 20261122};
    printf("seed %llu\n", (unsigned long long)rng.state);
    static tmb_context_room rooms[3];
    for (unsigned run = 0; run < 400; run++) {
        tmb_context a = tmb_context_in(&rooms[0]), b = tmb_context_in(&rooms[1]);
        tmb_context other = tmb_context_in(&rooms[2]);
        table ta = {0}, tb = {0};
        for (unsigned i = (unsigned)tmb_rng_below(&rng, 40); i > 0; i--) {
            random_add(&rng, &a, &ta);
            random_add(&rng, &b, &tb);
        }
        agree(&a, &ta);
        round_trip(&a, &other);
        bool is_covered = true;
        for (unsigned i = 0; i < ACTORS * (SEQS + 1); i++)
            is_covered = is_covered && (!(&tb.has[0][0])[i] || (&ta.has[0][0])[i]);
        assert_int_equal(tmb_context_covers(&a, &b), is_covered);
        assert_int_equal(tmb_context_join(&a, &b), TMB_OK);
        assert_true(tmb_context_covers(&a, &b));
        for (unsigned i = 0; i < ACTORS * (SEQS + 1); i++)
            (&ta.has[0][0])[i] |= (&tb.has[0][0])[i];
        agree(&a, &ta);
        assert_int_equal(tmb_context_copy(&b, &a), TMB_OK);
        assert_true(tmb_context_eq(&a, &b));
    }
}

static void full_contexts_are_left_as_they_were(void **state)
{
    (void)state;
    tmb_base bases[1], two[2];
    tmb_run runs[1], more[2];
    tmb_context c = tmb_context_of(bases, 1, runs, 1);
    tmb_dot far = dot(1, 5), first = dot(1, 1), other = dot(2, 1), gap = dot(1, 9);
    assert_int_equal(tmb_context_add(&c, &far), TMB_OK);
    assert_int_equal(tmb_context_add(&c, &gap), TMB_ELIMIT);
    assert_int_equal(tmb_context_add(&c, &first), TMB_OK);
    assert_int_equal(tmb_context_add(&c, &other), TMB_ELIMIT);
    assert_int_equal(c.bases_count, 1);
    assert_int_equal(c.runs_count, 1);
    tmb_context large = tmb_context_of(two, 2, more, 2);
    assert_int_equal(tmb_context_copy(&large, &c), TMB_OK);
    assert_int_equal(tmb_context_add(&large, &other), TMB_OK);
    assert_int_equal(tmb_context_copy(&c, &large), TMB_ELIMIT);
    assert_int_equal(tmb_context_join(&c, &large), TMB_ELIMIT);
    uint8_t bytes[256];
    tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
    tmb_context_put(&w, &large);
    tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, (size_t)(w.at - bytes)));
    assert_int_equal(tmb_context_get(&r, &c), TMB_ELIMIT);
    tmb_context no_runs = tmb_context_of(two, 2, NULL, 0);
    r = tmb_reader_of(tmb_bytes_of(bytes, (size_t)(w.at - bytes)));
    assert_int_equal(tmb_context_get(&r, &no_runs), TMB_ELIMIT);
}

static void room_of_a_scope_has_its_limits(void **state)
{
    (void)state;
    static tmb_context_room room;
    tmb_context c = tmb_context_in(&room);
    for (unsigned i = 0; i < TMB_ACTORS_MAX; i++) {
        tmb_dot d = {{{(uint8_t)i, (uint8_t)(i >> 8)}}, 1};
        assert_int_equal(tmb_context_add(&c, &d), TMB_OK);
    }
    tmb_dot one_more = {{{1, 1, 1}}, 1};
    assert_int_equal(tmb_context_add(&c, &one_more), TMB_ELIMIT);
    for (unsigned i = 0; i < TMB_RUNS_MAX; i++) {
        tmb_dot d = dot(1, 3 + 2 * i);
        assert_int_equal(tmb_context_add(&c, &d), TMB_OK);
    }
    tmb_dot far = dot(1, 5000);
    assert_int_equal(tmb_context_add(&c, &far), TMB_ELIMIT);
}

static void numbers_have_an_end(void **state)
{
    (void)state;
    static tmb_context_room room;
    tmb_context c = tmb_context_in(&room);
    tmb_incarnation a = actor(1);
    assert_int_equal(tmb_context_add_run(&c, &a, 0, 1), TMB_EINVAL);
    assert_int_equal(tmb_context_add_run(&c, &a, 2, 1), TMB_EINVAL);
    assert_int_equal(tmb_context_add_run(&c, &a, 1, TMB_SEQ_MAX + 1), TMB_EINVAL);
    assert_true(tmb_context_is_empty(&c));
    assert_int_equal(tmb_context_add_run(&c, &a, 5, TMB_SEQ_MAX), TMB_OK);
    assert_int_equal(tmb_context_add_run(&c, &a, 1, 4), TMB_OK);
    assert_int_equal(c.runs_count, 0);
    assert_true(tmb_context_base(&c, &a) == TMB_SEQ_MAX);
    tmb_dot none = dot(1, 0);
    assert_false(tmb_context_has(&c, &none));
}

/* One base and one run a line: what decode has to refuse. */
static void other_forms_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t base_a, base_b, first, last;
        uint8_t who_a, who_b, who_run;
        tmb_err err;
    } cases[] = {
        {1, 1, 3, 4, 1, 2, 1, TMB_OK},       {1, 1, 3, 4, 2, 1, 1, TMB_ECORRUPT},
        {1, 1, 3, 4, 1, 1, 1, TMB_ECORRUPT}, {0, 1, 3, 4, 1, 2, 1, TMB_ECORRUPT},
        {1, 1, 2, 4, 1, 2, 1, TMB_ECORRUPT}, {1, 1, 4, 3, 1, 2, 1, TMB_ECORRUPT},
        {1, 1, 1, 4, 1, 2, 3, TMB_ECORRUPT}, {1, TMB_SEQ_MAX + 1, 3, 4, 1, 2, 1, TMB_ECORRUPT},
        {1, 1, 2, 4, 1, 2, 3, TMB_OK},       {1, 1, 3, TMB_SEQ_MAX + 1, 1, 2, 1, TMB_ECORRUPT},
    };
    static tmb_context_room room;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tmb_base bases[2] = {{actor(cases[i].who_a), cases[i].base_a},
                             {actor(cases[i].who_b), cases[i].base_b}};
        tmb_run runs[1] = {{actor(cases[i].who_run), cases[i].first, cases[i].last}};
        tmb_context made = {bases, 2, 2, runs, 1, 1}, c = tmb_context_in(&room);
        uint8_t bytes[256];
        tmb_writer w = tmb_writer_of(bytes, sizeof bytes);
        tmb_context_put(&w, &made);
        tmb_reader r = tmb_reader_of(tmb_bytes_of(bytes, (size_t)(w.at - bytes)));
        assert_int_equal(tmb_context_get(&r, &c), cases[i].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_set_of_dots),
        cmocka_unit_test(full_contexts_are_left_as_they_were),
        cmocka_unit_test(room_of_a_scope_has_its_limits),
        cmocka_unit_test(numbers_have_an_end),
        cmocka_unit_test(other_forms_are_refused),
    };
    return cmocka_run_group_tests_name("unit.crdt.context", tests, NULL, NULL);
}
