// SPDX-License-Identifier: Apache-2.0
/* tests/unit/state/test_kv_memory.c - the disk of the simulator: order, transactions, power cuts, copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/kv_memory.h"

static void put(kv_memory *memory, const char *key, const char *value)
{
    tmb_kv port = kv_memory_port(memory), *kv = &port;
    assert_int_equal(kv->put(kv->arg, tmb_bytes_str(key), tmb_bytes_str(value)), TMB_OK);
}

static void expect(kv_memory *memory, const char *key, const char *value)
{
    tmb_kv port = kv_memory_port(memory), *kv = &port;
    tmb_bytes found = {NULL, 0};
    tmb_err err = kv->get(kv->arg, tmb_bytes_str(key), &found);
    assert_int_equal(err, value ? TMB_OK : TMB_ENOENT);
    if (value)
        assert_true(tmb_bytes_eq(found, tmb_bytes_str(value)));
}

static void test_keys_are_found_in_their_order(void **state)
{
    (void)state;
    enum { KEYS = 2000 };
    kv_memory disk = {0}, *memory = &disk;
    tmb_kv port = kv_memory_port(memory), *kv = &port;
    tmb_rng rng = {1};
    char key[16];
    for (unsigned i = 0; i < 4 * KEYS; i++) {
        (void)snprintf(key, sizeof key, "%04u", (unsigned)tmb_rng_below(&rng, KEYS));
        if (i % 4 == 3)
            assert_int_equal(kv->del(kv->arg, tmb_bytes_str(key)), TMB_OK);
        else
            put(memory, key, key);
    }
    size_t met = 0;
    char last[16] = "";
    tmb_bytes from = tmb_bytes_str(""), found, value;
    while (kv->seek(kv->arg, from, &found, &value) == TMB_OK) {
        assert_true(tmb_bytes_eq(found, value));
        assert_int_equal(found.len, 4);
        assert_true(memcmp(found.ptr, last, 4) > 0);
        memcpy(last, found.ptr, 4);
        last[4] = 0; /* right behind it */
        from = tmb_bytes_of(last, 5);
        met++;
    }
    assert_int_equal(met, memory->count);
    assert_int_equal(8 * met, memory->bytes);
    assert_true(met > KEYS / 2 && met < KEYS);
    kv_memory_free(memory);
}

static void test_a_transaction_is_kept_whole_or_not_at_all(void **state)
{
    (void)state;
    kv_memory disk = {0}, *memory = &disk;
    put(memory, "a", "1");
    kv_memory_commit(memory, true);
    put(memory, "a", "2");
    put(memory, "b", "2");
    expect(memory, "a", "2");
    kv_memory_drop(memory);
    expect(memory, "a", "1");
    expect(memory, "b", NULL);
    kv_memory_free(memory);
}

static void test_a_power_cut_loses_the_last_commits(void **state)
{
    (void)state;
    kv_memory disk = {0}, *memory = &disk;
    tmb_kv port = kv_memory_port(memory), *kv = &port;
    put(memory, "a", "1");
    kv_memory_commit(memory, true);
    put(memory, "a", "2");
    kv_memory_commit(memory, false);
    assert_int_equal(kv->del(kv->arg, tmb_bytes_str("a")), TMB_OK);
    kv_memory_commit(memory, false);
    put(memory, "a", "4");
    expect(memory, "a", "4");
    assert_int_equal(memory->marks_count, 2);
    kv_memory_lose(memory, 2);
    expect(memory, "a", NULL);
    kv_memory_lose(memory, 1);
    expect(memory, "a", "2");
    kv_memory_cut(memory);
    expect(memory, "a", "1");
    memory->is_full = true;
    tmb_kv again = kv_memory_port(memory);
    assert_int_equal(again.put(again.arg, tmb_bytes_str("a"), tmb_bytes_str("5")), TMB_ENOSPC);
    assert_int_equal(memory->refused, 1);
    kv_memory_free(memory);
}

static void test_a_copy_is_put_back(void **state)
{
    (void)state;
    kv_memory disk = {0}, *memory = &disk;
    put(memory, "a", "1");
    kv_memory copy = {0}, *backup = &copy;
    assert_true(kv_memory_copy(backup, memory));
    put(memory, "a", "2");
    put(memory, "b", "");
    expect(backup, "a", "1");
    assert_true(kv_memory_copy(memory, backup));
    expect(memory, "a", "1");
    expect(memory, "b", NULL);
    kv_memory_free(backup);
    kv_memory_free(memory);
}

static void test_calls_fail_from_one_on(void **state)
{
    (void)state;
    kv_memory disk = {0}, *memory = &disk;
    tmb_kv port = kv_memory_port(memory), *kv = &port;
    tmb_bytes key, value;
    kv_memory_fail(memory, 2, TMB_EIO);
    put(memory, "a", "1");
    assert_int_equal(kv->get(kv->arg, tmb_bytes_str("a"), &value), TMB_EIO);
    assert_int_equal(kv->put(kv->arg, tmb_bytes_str("a"), tmb_bytes_str("2")), TMB_EIO);
    assert_int_equal(kv->del(kv->arg, tmb_bytes_str("a")), TMB_EIO);
    assert_int_equal(kv->seek(kv->arg, tmb_bytes_str(""), &key, &value), TMB_EIO);
    kv_memory_fail(memory, 0, TMB_OK);
    expect(memory, "a", "1");
    assert_int_equal(memory->calls, 6);
    kv_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_found_in_their_order),
        cmocka_unit_test(test_a_transaction_is_kept_whole_or_not_at_all),
        cmocka_unit_test(test_a_power_cut_loses_the_last_commits),
        cmocka_unit_test(test_a_copy_is_put_back),
        cmocka_unit_test(test_calls_fail_from_one_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
