// SPDX-License-Identifier: Apache-2.0
/* tests/unit/journal/test_renewed.c - which number became which, and a note that is damaged. */
#include "journal/renewed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"

static void test_numbers(void **state)
{
    (void)state;
    static tmb_renewed r;
    memset(&r, 0, sizeof r);
    assert_int_equal(tmb_renewed_seq(&r, 9), 0);
    assert_int_equal(tmb_renewed_last(&r), 0);
    for (uint64_t i = 0; i < 10; i++)
        tmb_renewed_add(&r, 17 + i, 1 + i);
    tmb_renewed_add(&r, 40, 11);
    tmb_renewed_add(&r, 41, 12);
    assert_int_equal(r.runs_count, 2);
    assert_int_equal(tmb_renewed_seq(&r, 16), 0);
    assert_int_equal(tmb_renewed_seq(&r, 17), 1);
    assert_int_equal(tmb_renewed_seq(&r, 26), 10);
    assert_int_equal(tmb_renewed_seq(&r, 39), 10); /* a hole: what was there is nowhere */
    assert_int_equal(tmb_renewed_seq(&r, 40), 11);
    assert_int_equal(tmb_renewed_seq(&r, 1000), 12);
    assert_int_equal(tmb_renewed_last(&r), 12);
}

/* More holes than there is room for: nothing is applied twice. */
static void test_limit(void **state)
{
    (void)state;
    static tmb_renewed r;
    memset(&r, 0, sizeof r);
    uint64_t many = 2 * TMB_RENEWED_RUNS_MAX;
    for (uint64_t i = 1; i <= many; i++)
        tmb_renewed_add(&r, 10 * i, i);
    assert_int_equal(r.runs_count, TMB_RENEWED_RUNS_MAX);
    for (uint64_t i = 1; i <= many; i++)
        assert_true(tmb_renewed_seq(&r, 10 * i) >= i);
    assert_int_equal(tmb_renewed_last(&r), many);
}

static void test_file(void **state)
{
    (void)state;
    static tmb_renewed r, again;
    char folder[] = "/tmp/tmb-renewed-XXXXXX", path[64];
    memset(&r, 0, sizeof r);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(tmb_renewed_read(NULL, folder, &again), TMB_ENOENT);
    memset(r.from.bytes, 0xab, sizeof r.from.bytes);
    for (unsigned runs = 0; runs <= TMB_RENEWED_RUNS_MAX; runs++) {
        assert_int_equal(tmb_renewed_write(NULL, folder, &r), TMB_OK);
        memset(&again, 0, sizeof again);
        assert_int_equal(tmb_renewed_read(NULL, folder, &again), TMB_OK);
        assert_memory_equal(&again, &r, sizeof r);
        if (runs < TMB_RENEWED_RUNS_MAX)
            tmb_renewed_add(&r, TMB_SEQ_MAX - 1000 + 10 * runs, TMB_SEQ_MAX - 1000 + runs);
    }
    (void)snprintf(path, sizeof path, "%s/renewed", folder);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 60, SEEK_SET), 0);
    assert_int_equal(fputc('~', file), '~');
    assert_int_equal(fclose(file), 0);
    assert_int_equal(tmb_renewed_read(NULL, folder, &again), TMB_ECORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
