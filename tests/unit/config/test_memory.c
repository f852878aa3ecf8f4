// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/test_memory.c - out of memory at every place where memory is asked for.
 *
 * The linker sends the loader's malloc and calloc here. A load is tried again and again, with the first,
 * the second, the third allocation failing, until none fails any more; the sanitizers see what was lost.
 */
#include <limits.h>

#include <jansson.h>

#include "tests/unit/config/loading.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static unsigned long left = ULONG_MAX; /* allocations that still succeed */

static bool fails(void)
{
    if (left == 0)
        return true;
    left--;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

static unsigned load_until_it_works(const char *text, tmb_err want)
{
    for (unsigned n = 0;; n++) {
        tmb_config *config = NULL;
        left = n;
        tmb_err err = tmb_config_load_text("/etc/t/f", text, strlen(text), NULL, &config);
        left = ULONG_MAX;
        tmb_config_free(config);
        if (err == want)
            return n;
        assert_int_equal(err, TMB_ENOMEM);
        assert_null(config);
    }
}

static void survives_no_memory_in_a_right_file(void **state)
{
    (void)state;
    unsigned failures = load_until_it_works(
        GOOD TLS
        "data_dir: x\nstreams: [ { name: a, topics: [ a, b ] }, { name: b, topics: [ c ] } ]\n"
        "parent: { host: h }\nbroker: { host: b }\nchildren: { accept: true }\n",
        TMB_OK);
    assert_true(failures > 40);
    failures = load_until_it_works(GOOD, TMB_OK);
    assert_true(failures > 10);
}

static void survives_no_memory_in_a_wrong_file(void **state)
{
    (void)state;
    unsigned failures = load_until_it_works("node: A\ndomain: [ ]\nx: &x 1\ny: *x\nstreams: [ 5, { "
                                            "topics: [ \"#a\", \"b\" ] } ]\n? { a: b }\n: c\n",
                                            TMB_ECONFIG);
    assert_true(failures > 20);
    failures = load_until_it_works("node: a\n b: [\n", TMB_ECONFIG);
    assert_true(failures > 3);
}

static void survives_no_memory_for_json(void **state)
{
    (void)state;
    tmb_config *config = load_good(GOOD TLS "parent: { host: h }\n");
    FILE *out = fopen("/dev/null", "w");
    assert_non_null(out);
    json_set_alloc_funcs(__wrap_malloc, free);
    unsigned n = 0;
    tmb_err err = TMB_ENOMEM;
    for (; err != TMB_OK; n++) {
        left = n;
        err = tmb_config_print_json(config, out);
        left = ULONG_MAX;
        assert_true(err == TMB_OK || err == TMB_ENOMEM);
    }
    assert_true(n > 50);
    fclose(out);
    tmb_config_free(config);
}

static void survives_no_memory_for_the_file(void **state)
{
    (void)state;
    tmb_config *config = NULL;
    left = 0;
    tmb_err err = tmb_config_load(TMB_TEST_TREE "/config/samples/site.yaml", NULL, &config);
    left = ULONG_MAX;
    assert_int_equal(err, TMB_ENOMEM);
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_no_memory_in_a_right_file),
        cmocka_unit_test(survives_no_memory_in_a_wrong_file),
        cmocka_unit_test(survives_no_memory_for_json),
        cmocka_unit_test(survives_no_memory_for_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
