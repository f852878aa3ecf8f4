// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_mistakes.c - what is told about every mistake, word for word.
 *
 * The files and the words are in mistakes.txt; files with bytes that a text file should not have are here.
 */
#include "config/report.h"
#include "tests/unit/config/loading.h"

static char *read_all(const char *file)
{
    FILE *in = fopen(file, "rb");
    assert_non_null(in);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t len = fread(text, 1, (1 << 20) - 1, in);
    assert_true(len > 0);
    assert_int_equal(fclose(in), 0);
    return text;
}

/* Cuts text at its next line that begins with "@@"; gives what follows the mark. */
static char *next_mark(char *text)
{
    while (text != NULL && strncmp(text, "@@ ", 3) != 0) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    if (text == NULL)
        return NULL;
    text[0] = '\0';
    return text + 3;
}

static bool check_file(const char *yaml, const char *want)
{
    tmb_config *config;
    char *told;
    char expected[4096] = "";
    tmb_err err = load_bytes(yaml, strlen(yaml), &config, &told);
    tmb_config_free(config);
    size_t len = 0;
    for (const char *line = want; *line != '\0'; line = strchr(line, '\n') + 1)
        len += (size_t)snprintf(expected + len, sizeof expected - len, "/etc/t/%.*s\n",
                                (int)strcspn(line, "\n"), line);
    bool right = err == TMB_ECONFIG && strcmp(told, expected) == 0;
    if (!right)
        print_error("--- file\n%s--- told\n%s--- expected\n%s", yaml, told, expected);
    free(told);
    return right;
}

static void tells_every_mistake_of_the_list(void **state)
{
    (void)state;
    char *text = read_all(TMB_TEST_TREE "/tests/unit/config/mistakes.txt");
    unsigned files = 0;
    unsigned wrong = 0;
    char *at = next_mark(text);
    while (at != NULL) {
        char *after = next_mark(at);
        if (strncmp(at, "file\n", 5) == 0) {
            assert_non_null(after);
            char *end = next_mark(after);
            assert_int_equal(strncmp(after, "told\n", 5), 0);
            wrong += !check_file(at + 5, after + 5);
            files++;
            after = end;
        }
        at = after;
    }
    free(text);
    assert_int_equal(wrong, 0);
    assert_true(files > 90);
}

static void names_the_byte_that_is_no_text(void **state)
{
    (void)state;
#define FILE_OF(text) (text), sizeof(text) - 1
    static const struct {
        const char *text;
        size_t len;
        const char *told;
    } rows[] = {
        {FILE_OF("node: a\nd\aomain: d\n"), "2:2: control character 0x07 in the file; remove it"},
        {FILE_OF("node: a\0\n"), "1:8: control character 0x00 in the file; remove it"},
        {FILE_OF("node: \xc3\xa9\xff\n"), "1:8: byte 0xff is not UTF-8; save the file as UTF-8"},
        {FILE_OF("node: \xed\xa0\x80\n"), "1:7: byte 0xed is not UTF-8; save the file as UTF-8"},
        {FILE_OF("\xff\xfen\0o\0"), "1:1: byte 0xff is not UTF-8; save the file as UTF-8"},
        {FILE_OF("node: a \xe2\x82"), "1:9: byte 0xe2 is not UTF-8; save the file as UTF-8"},
        {FILE_OF("a: \xc2\x80\n"),
         "1:4: not YAML: control characters are not allowed; indent with spaces, "
         "and put values with { } [ ] # : in quotes"},
    };
#undef FILE_OF
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[256];
        snprintf(want, sizeof want, "/etc/t/f:%s\n", rows[i].told);
        assert_told(rows[i].text, rows[i].len, want);
    }
}

static void shows_long_values_cut_at_a_character(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'x', sizeof text);
    assert_string_equal(tmb_show("abc", 3).text, "abc");
    assert_string_equal(tmb_show("", 0).text, "");
    assert_int_equal(strlen(tmb_show(text, 68).text), 68);
    assert_int_equal(strlen(tmb_show(text, 69).text), 71);
    memcpy(text + 67, "\xe2\x82\xac", 3); /* the cut would fall into it */
    tmb_shown shown = tmb_show(text, sizeof text);
    assert_int_equal(strlen(shown.text), 70);
    assert_string_equal(shown.text + 65, "xx...");
}

static void tells_nobody_when_nobody_listens(void **state)
{
    (void)state;
    tmb_config *config = NULL;
    assert_int_equal(tmb_config_load_text("f", "x", 1, NULL, &config), TMB_ECONFIG);
    assert_int_equal(tmb_config_load("/nowhere/f", NULL, &config), TMB_ENOENT);
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_every_mistake_of_the_list),
        cmocka_unit_test(names_the_byte_that_is_no_text),
        cmocka_unit_test(shows_long_values_cut_at_a_character),
        cmocka_unit_test(tells_nobody_when_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
