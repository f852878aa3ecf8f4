// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_manual.c - the table of keys and the two manuals say the same.
 *
 * docs/configuration.md has a row a key, "| `path` | default | range | meaning |"; man/tombolo.yaml.5 has a
 * paragraph a key. Neither knows a key that the table does not.
 */
#include <inttypes.h>

#include "config/schema.h"
#include "config/values.h"
#include "tests/unit/config/loading.h"

static char *read_all(const char *file)
{
    FILE *in = fopen(file, "rb");
    assert_non_null(in);
    char *text = calloc(1, 1 << 18);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 18) - 1, in) > 0);
    assert_int_equal(fclose(in), 0);
    return text;
}

static void number_text(const tmb_config_key *key, uint64_t value, char *ret_text)
{
    if (key->type == TMB_CONFIG_SIZE)
        tmb_size_format(value, ret_text);
    else if (key->type == TMB_CONFIG_RATE)
        tmb_rate_format(value, ret_text);
    else if (key->type == TMB_CONFIG_DURATION)
        tmb_duration_format(value, ret_text);
    else
        snprintf(ret_text, TMB_VALUE_TEXT_MAX, "%" PRIu64, value);
}

/* How a key's row or paragraph must begin. */
static void row_head(const tmb_config_key *key, const char *form, const char *range_form, char *ret,
                     size_t cap)
{
    char min[TMB_VALUE_TEXT_MAX];
    char max[TMB_VALUE_TEXT_MAX];
    char range[128] = "";
    number_text(key, key->min, min);
    number_text(key, key->max, max);
    if (key->max > 0)
        snprintf(range, sizeof range, range_form, min, max,
                 key->may_be_none   ? ", or `none`"
                 : key->may_be_auto ? ", or `auto`"
                                    : "");
    const char *fallback = key->default_text != NULL ? key->default_text : "";
    snprintf(ret, cap, form, key->path, fallback, range);
}

static void rows_have_the_right_defaults_and_ranges(void **state)
{
    (void)state;
    char *text = read_all(TMB_TEST_TREE "/docs/configuration.md");
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        char head[256];
        bool has_default = key->default_text != NULL;
        row_head(key, has_default ? "\n| `%s` | `%s` | %s" : "\n| `%s` | needed%s | %s",
                 "`%s` to `%s`%s |", head, sizeof head);
        if (strstr(text, head) == NULL)
            fail_msg("docs/configuration.md lacks a line that begins with%s", head);
    }
    free(text);
}

static void rows_are_of_keys_that_there_are(void **state)
{
    (void)state;
    char *text = read_all(TMB_TEST_TREE "/docs/configuration.md");
    unsigned rows = 0;
    for (const char *row = strstr(text, "\n| `"); row != NULL; row = strstr(row + 1, "\n| `")) {
        char path[TMB_CONFIG_PATH_MAX] = "";
        const tmb_config_key *key = NULL;
        strncat(path, row + 4, strcspn(row + 4, "`"));
        if (tmb_config_look_up(path, &key) != TMB_CONFIG_KEY)
            fail_msg("docs/configuration.md has a row for \"%s\", which is no key", path);
        rows++;
    }
    assert_int_equal(rows, TMB_CONFIG_KEYS);
    free(text);
}

static void manual_page_names_every_key(void **state)
{
    (void)state;
    char *text = read_all(TMB_TEST_TREE "/man/tombolo.yaml.5");
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        char head[256];
        snprintf(head, sizeof head, "\n.TP\n.B %s\n", key->path);
        const char *at = strstr(text, head);
        if (at == NULL)
            fail_msg("man/tombolo.yaml.5 lacks%s", head);
        if (at == NULL || key->default_text == NULL)
            continue;
        snprintf(head, sizeof head, "Default: %s", key->default_text);
        const char *next = strstr(at + 1, "\n.TP\n");
        const char *found = strstr(at, head);
        if (found == NULL || (next != NULL && found > next))
            fail_msg("man/tombolo.yaml.5: %s lacks \"%s\"", key->path, head);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_have_the_right_defaults_and_ranges),
        cmocka_unit_test(rows_are_of_keys_that_there_are),
        cmocka_unit_test(manual_page_names_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
