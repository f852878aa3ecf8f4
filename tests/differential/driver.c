// SPDX-License-Identifier: Apache-2.0
/* tests/differential/driver.c - crdt/ behind the lines of README.md: changes and joins in, values out.
 *
 * The replicas are those of the property tests, each of which is held against the oracle at every read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/property/world.h"

enum { LINE_BYTES = 128, WORDS = 4 };

/* Places of world_places. */
enum { REG = 1, UP = 2, PN = 3, GS_X = 7, INNER_REG = 13 };
static const unsigned elements[3] = {4, 5, 14};      /* m/aw x, y, z */
static const unsigned grow_only[3] = {GS_X, 15, 16}; /* m/gs x, y, z */

static world w;

static const tmb_leaf *leaf_at(unsigned replica, unsigned leaf)
{
    return &w.replicas[replica].leaves[leaf].leaf;
}

static void print_register(const char *name, unsigned replica, unsigned leaf)
{
    bool is_set[256] = {false};
    const char *comma = "";
    oracle_value value;
    world_value(leaf, leaf_at(replica, leaf), &value);
    for (unsigned i = 0; i < value.values; i++)
        is_set[value.value[i] & 0xff] = true;
    printf("%s=", name);
    for (unsigned i = 0; i < 256; i++) {
        if (is_set[i])
            printf("%s%u", comma, i);
        comma = is_set[i] ? "," : comma;
    }
}

static void print_read(unsigned replica)
{
    oracle_value value;
    world_value(REG, leaf_at(replica, REG), &value);
    printf("lww=");
    if (value.values > 0)
        printf("%u", (unsigned)(value.value[value.values - 1] & 0xff));
}

static void print_number(const char *name, unsigned replica, unsigned leaf)
{
    oracle_value value;
    world_value(leaf, leaf_at(replica, leaf), &value);
    printf("%s=%lld", name, (long long)value.number);
}

static void print_set(const char *name, unsigned replica, const unsigned *leaves)
{
    const char *comma = "";
    printf("%s=", name);
    for (unsigned i = 0; i < 3; i++) {
        if (!tmb_type_is_in(world_places[leaves[i]].type, leaf_at(replica, leaves[i])))
            continue;
        printf("%s%u", comma, i);
        comma = ",";
    }
}

/* What the crate has in a map and outside of one is one leaf here. */
static void print_values(unsigned replica)
{
    world_check(&w, replica);
    print_register("reg", replica, REG);
    putchar(' ');
    print_read(replica);
    putchar(' ');
    print_number("up", replica, UP);
    putchar(' ');
    print_number("pn", replica, PN);
    putchar(' ');
    print_set("aw", replica, elements);
    putchar(' ');
    print_set("gs", replica, grow_only);
    putchar(' ');
    print_register("map.reg", replica, REG);
    putchar(' ');
    print_set("map.aw", replica, elements);
    putchar(' ');
    print_number("map.pn", replica, PN);
    putchar(' ');
    print_register("map.n.reg", replica, INNER_REG);
    putchar('\n');
}

static unsigned number(char *const *words, unsigned at)
{
    char *end = NULL;
    unsigned long n = words[at] ? strtoul(words[at], &end, 10) : 0;
    if (!words[at] || *end != '\0' || n > 100000)
        fail_msg("a number is wanted as word %u", at);
    return (unsigned)n;
}

static void change(char *const *words)
{
    unsigned replica = number(words, 1);
    tmb_verb verb = tmb_verb_of_word(tmb_bytes_str(words[0]));
    assert_true(replica < w.replicas_count);
    if (strcmp(words[0], "set-inner") == 0)
        (void)world_do(&w, replica, INNER_REG, TMB_VERB_SET, number(words, 2), number(words, 3),
                       NULL);
    else if (verb == TMB_VERB_SET)
        (void)world_do(&w, replica, REG, verb, number(words, 2), number(words, 3), NULL);
    else if (verb == TMB_VERB_DEL)
        (void)world_del(&w, replica, words[2], NULL);
    else if (verb == TMB_VERB_COUNT)
        (void)world_do(&w, replica, UP, verb, 0, number(words, 2), NULL);
    else if (verb == TMB_VERB_INC || verb == TMB_VERB_DEC)
        (void)world_do(&w, replica, PN, verb, 0, number(words, 2), NULL);
    else if (verb == TMB_VERB_ADD || verb == TMB_VERB_RM)
        (void)world_do(&w, replica, elements[number(words, 2) % 3], verb, 0, 0, NULL);
    else if (verb == TMB_VERB_INSERT)
        (void)world_do(&w, replica, grow_only[number(words, 2) % 3], verb, 0, 0, NULL);
    else
        fail_msg("no verb %s", words[0]);
}

static void lines_of_stdin(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    while (fgets(line, sizeof line, stdin)) {
        char *words[WORDS] = {NULL}, *rest = line;
        for (unsigned i = 0; i < WORDS; i++)
            words[i] = strtok_r(i == 0 ? line : NULL, " \n", &rest);
        assert_non_null(words[0]);
        if (strcmp(words[0], "new") == 0) {
            assert_in_range(number(words, 1), 1, ORACLE_REPLICAS_MAX);
            world_init(&w, number(words, 1));
        } else if (strcmp(words[0], "tell") == 0) {
            world_sync(&w, number(words, 1), number(words, 2), WORLD_ALL);
        } else if (strcmp(words[0], "read") == 0) {
            print_values(number(words, 1));
        } else {
            change(words);
        }
    }
    assert_int_equal(ferror(stdin), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines_of_stdin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
