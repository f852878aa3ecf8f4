// SPDX-License-Identifier: Apache-2.0
/* tests/unit/policy/test_topic.c - matching, against the examples of the standard and against an oracle.
 *
 * The oracle is the definition taken word for word: cut both texts at '/', then recurse over the lists of
 * levels. Texts come from a small alphabet, exhaustively when short and at random when longer, so that
 * nearly every pair has something in common.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "policy/policy.h"

#define LEVELS_MAX 16

typedef struct levels {
    char text[64];
    const char *v[LEVELS_MAX];
    unsigned n;
} levels;

static void split(const char *text, levels *ret)
{
    snprintf(ret->text, sizeof ret->text, "%s", text);
    ret->n = 0;
    char *at = ret->text;
    for (;;) {
        ret->v[ret->n++] = at;
        at = strchr(at, '/');
        if (at == NULL || ret->n == LEVELS_MAX)
            return;
        *at++ = '\0';
    }
}

static bool oracle_levels(const char *const *f, unsigned fn, const char *const *t, unsigned tn)
{
    if (fn == 0)
        return tn == 0;
    if (strcmp(f[0], "#") == 0)
        return true;
    if (tn == 0)
        return false;
    if (strcmp(f[0], "+") != 0 && strcmp(f[0], t[0]) != 0)
        return false;
    return oracle_levels(f + 1, fn - 1, t + 1, tn - 1);
}

static bool oracle_matches(const char *filter, const char *topic)
{
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    levels f;
    levels t;
    split(filter, &f);
    split(topic, &t);
    return oracle_levels(f.v, f.n, t.v, t.n);
}

static bool oracle_is_filter(const char *text)
{
    levels l;
    split(text, &l);
    for (unsigned i = 0; i < l.n; i++) {
        bool has_wildcard = strpbrk(l.v[i], "+#") != NULL;
        bool is_last = i + 1 == l.n;
        if (has_wildcard && strlen(l.v[i]) != 1)
            return false;
        if (strcmp(l.v[i], "#") == 0 && !is_last)
            return false;
    }
    return text[0] != '\0';
}

/* Appends word to text, behind a '/' unless it is the first. */
static void add_level(char *text, size_t cap, unsigned index, const char *word)
{
    size_t len = strlen(text);
    snprintf(text + len, cap - len, "%s%s", index > 0 ? "/" : "", word);
}

/* The number as a text in base strlen(alphabet), shorter texts first. */
static void nth_text(uint64_t n, const char *alphabet, char *ret, size_t cap)
{
    uint64_t base = strlen(alphabet);
    size_t len = 0;
    while (n > 0 && len + 1 < cap) {
        n--;
        ret[len++] = alphabet[n % base];
        n /= base;
    }
    ret[len] = '\0';
}

static void check_pair(const char *filter, const char *topic)
{
    if (!tmb_topic_filter_is_valid(tmb_bytes_str(filter)) ||
        !tmb_topic_is_valid(tmb_bytes_str(topic)))
        return;
    bool want = oracle_matches(filter, topic);
    if (tmb_topic_matches(tmb_bytes_str(filter), tmb_bytes_str(topic)) != want)
        fail_msg("filter \"%s\" topic \"%s\": should %smatch", filter, topic, want ? "" : "not ");
}

static void test_oracle_exhaustive(void **state)
{
    (void)state;
    char filter[8];
    char topic[8];
    unsigned valid = 0;
    for (uint64_t f = 1; f < 3906; f++) { /* every text of 1 to 5 bytes of the alphabet */
        nth_text(f, "a/+#$", filter, sizeof filter);
        assert_int_equal(tmb_topic_filter_is_valid(tmb_bytes_str(filter)),
                         oracle_is_filter(filter));
        if (!oracle_is_filter(filter))
            continue;
        valid++;
        for (uint64_t t = 1; t < 364; t++) {
            nth_text(t, "a/$", topic, sizeof topic);
            check_pair(filter, topic);
        }
    }
    assert_true(valid > 300);
}

static void test_oracle_random(void **state)
{
    (void)state;
    const char *env = getenv("TMB_SEED");
    uint64_t seed = env != NULL ? strtoull(env, NULL, 10) : 20;
    print_message("seed %llu\n", (unsigned long long)seed);
    tmb_rng rng = {seed};
    unsigned matched = 0;
    for (unsigned round = 0; round < 200000; round++) {
        /* A topic of levels from {"", "a", "b", "ab"}; the filter is the topic with levels changed. */
        static const char *const words[] = {"", "a", "b", "ab", "+", "#"};
        char topic[64] = "";
        char filter[64] = "";
        unsigned n = 1 + (unsigned)tmb_rng_below(&rng, 6);
        unsigned cut = (unsigned)tmb_rng_below(&rng, 8);
        for (unsigned i = 0; i < n; i++) {
            const char *word = words[tmb_rng_below(&rng, 4)];
            const char *other = words[tmb_rng_below(&rng, i == cut ? 6 : 5)];
            add_level(topic, sizeof topic, i, word);
            if (i <= cut)
                add_level(filter, sizeof filter, i, tmb_rng_below(&rng, 3) > 0 ? word : other);
        }
        check_pair(filter, topic);
        matched += oracle_matches(filter, topic);
    }
    assert_true(matched > 20000);
}

/* covers(outer, inner) means: no topic is taken by inner alone. All topics of up to 4 levels over {a, b,
 * empty, $a} and every pair of filters of up to 3 levels. */
static void test_covers(void **state)
{
    (void)state;
    static char topics[500][16];
    static char filters[300][16];
    unsigned topics_n = 0;
    unsigned filters_n = 0;
    for (unsigned n = 0; n < 256 + 64 + 16 + 4; n++) {
        static const char *const words[] = {"a", "b", "", "$a"};
        unsigned len = n < 4 ? 1 : n < 20 ? 2 : n < 84 ? 3 : 4;
        char *at = topics[topics_n];
        for (unsigned i = 0, k = n; i < len; i++, k /= 4)
            add_level(at, 16, i, words[k % 4]);
        if (tmb_topic_is_valid(tmb_bytes_str(at)))
            topics_n++;
    }
    for (unsigned n = 0; n < 125 + 25 + 5; n++) {
        static const char *const words[] = {"a", "b", "+", "#", "$a"};
        unsigned len = n < 5 ? 1 : n < 30 ? 2 : 3;
        char *at = filters[filters_n];
        at[0] = '\0';
        for (unsigned i = 0, k = n; i < len; i++, k /= 5)
            add_level(at, 16, i, words[k % 5]);
        if (tmb_topic_filter_is_valid(tmb_bytes_str(at)))
            filters_n++;
    }
    unsigned covered = 0;
    for (unsigned o = 0; o < filters_n; o++) {
        for (unsigned i = 0; i < filters_n; i++) {
            tmb_bytes outer = tmb_bytes_str(filters[o]);
            tmb_bytes inner = tmb_bytes_str(filters[i]);
            bool want = true;
            for (unsigned t = 0; t < topics_n && want; t++) {
                tmb_bytes topic = tmb_bytes_str(topics[t]);
                want = !tmb_topic_matches(inner, topic) || tmb_topic_matches(outer, topic);
            }
            if (tmb_topic_filter_covers(outer, inner) != want)
                fail_msg("\"%s\" should %scover \"%s\"", filters[o], want ? "" : "not ",
                         filters[i]);
            covered += want;
        }
    }
    assert_true(covered > filters_n);
}

static void test_standard_examples(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *topic;
        bool matches;
    } rows[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/#", "sport", true},
        {"#", "a/b/c", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"#", "$SYS/uptime", false},
        {"+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"$SYS/#", "$SYS/uptime", true},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
        {"ACCOUNTS", "Accounts", false},
        {"straße/+/°C", "straße/7/°C", true},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a/b", "a", false},
        {"a/+/#", "a", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tmb_bytes filter = tmb_bytes_str(rows[i].filter);
        tmb_bytes topic = tmb_bytes_str(rows[i].topic);
        assert_true(tmb_topic_filter_is_valid(filter));
        assert_true(tmb_topic_is_valid(topic));
        assert_int_equal(tmb_topic_matches(filter, topic), rows[i].matches);
    }
}

static void test_validity(void **state)
{
    (void)state;
    static const char *const bad_filters[] = {"",     "a#", "a/#/b", "#/a",  "sport+",   "+a",
                                              "a/+b", "##", "++",    "a/b#", "\xc3\x28", "a\xff"};
    static const char *const good_filters[] = {"+",    "#",  "/",   "+/+",
                                               "a//b", "/#", "+/#", "a/+/b/#"};
    static const char *const bad_topics[] = {"", "a/+", "#", "a#", "a+b", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof bad_filters / sizeof bad_filters[0]; i++)
        assert_false(tmb_topic_filter_is_valid(tmb_bytes_str(bad_filters[i])));
    for (size_t i = 0; i < sizeof good_filters / sizeof good_filters[0]; i++)
        assert_true(tmb_topic_filter_is_valid(tmb_bytes_str(good_filters[i])));
    for (size_t i = 0; i < sizeof bad_topics / sizeof bad_topics[0]; i++)
        assert_false(tmb_topic_is_valid(tmb_bytes_str(bad_topics[i])));
    assert_false(tmb_topic_is_valid(tmb_bytes_of("a\0b", 3)));
    assert_false(tmb_topic_filter_is_valid(tmb_bytes_of("a\0b", 3)));
    assert_false(tmb_topic_is_valid(tmb_bytes_of(NULL, 0)));
    assert_false(tmb_topic_matches(tmb_bytes_str("a"), tmb_bytes_of(NULL, 0)));

    static char longest[TMB_TOPIC_BYTES_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_true(tmb_topic_is_valid(tmb_bytes_of(longest, TMB_TOPIC_BYTES_MAX)));
    assert_true(tmb_topic_filter_is_valid(tmb_bytes_of(longest, TMB_TOPIC_BYTES_MAX)));
    assert_false(tmb_topic_is_valid(tmb_bytes_of(longest, sizeof longest)));
    assert_false(tmb_topic_filter_is_valid(tmb_bytes_of(longest, sizeof longest)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_examples),
        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_oracle_exhaustive),
        cmocka_unit_test(test_oracle_random),
        cmocka_unit_test(test_covers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
