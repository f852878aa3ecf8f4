// SPDX-License-Identifier: Apache-2.0
/* A state file of version 1, stored once: what it says is read for ever, and the file is not touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "clients/c/kept_file.h"

static const char *golden_file;

static void is_read_as_it_was_written(void **state)
{
    (void)state;
    static uint8_t bytes[4096];
    FILE *f = fopen(golden_file, "rb");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(len > 0 && len < sizeof bytes);

    tmb_kept k;
    assert_int_equal(tmb_kept_open(&k, tmb_file_port_posix(), NULL, "other", false), TMB_OK);
    uint64_t good = 0;
    assert_int_equal(tmb_kept_read(&k, tmb_bytes_of(bytes, len), &good), TMB_OK);
    assert_int_equal(good, len);
    assert_string_equal(k.run, "run-a");
    assert_int_equal(k.next_number, 6);
    assert_int_equal(k.held_count, 1); /* of the file written anew */
    assert_int_equal(k.held->number, 4);
    assert_memory_equal(k.held->payload.ptr, "refused", 7);
    assert_int_equal(k.box.count, 2);
    const tmb_entry *whole = tmb_outbox_find(&k.box, 3), *renumbered = tmb_outbox_find(&k.box, 5);
    assert_non_null(whole);
    assert_non_null(renumbered);
    assert_string_equal(whole->topic, "line/press/7");
    assert_string_equal(whole->content_type, "text/plain");
    assert_true(whole->retain);
    assert_int_equal(whole->payload.len, 5);
    assert_memory_equal(whole->payload.ptr, "whole", 5);
    assert_int_equal(whole->prop_count, 2);
    assert_string_equal(whole->props[0].name, "unit");
    assert_string_equal(whole->props[0].value, "\xc2\xb0\x43");
    assert_string_equal(whole->props[1].value, "");
    assert_int_equal(renumbered->payload.len, 4);
    assert_memory_equal(renumbered->payload.ptr, "held", 4);
    assert_false(renumbered->retain);
    tmb_msgid id = {.node = "s1", .stream = "default", .seq = 1742, .life = 0x9f3a01c2};
    assert_int_equal(tmb_dedupe_ask(&k.dedupe, &id), TMB_DEDUPE_REPEAT);
    id.seq--;
    assert_int_equal(tmb_dedupe_ask(&k.dedupe, &id), TMB_DEDUPE_NEW);
    tmb_kept_close(&k);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    golden_file = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_read_as_it_was_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
