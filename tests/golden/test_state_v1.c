// SPDX-License-Identifier: Apache-2.0
/* tests/golden/test_state_v1.c - the rows of a small scope as docs/state-format.md has them: what is
 * written is these bytes, and from these bytes is read what was written. With "make" behind the directory:
 * writes the file.
 *
 * One row a line, key and value in hex. In it: a leaf of several types, a removal that waits, a counter
 * that a neighbour has seen, a caller, a neighbour, and a leaf of a pass that is not over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/state/replica.h"

static const char *folder;
static bool is_making;
static replica a, b;

static void play(void)
{
    bool is_complete = false;
    tmb_op op = {.verb = TMB_VERB_INC,
                 .path = tmb_bytes_str("oven/parts"),
                 .amount = 3,
                 .run = tmb_bytes_str("plc-1"),
                 .number = 17};
    replica_open(&a, 1);
    replica_open(&b, 2);
    (void)replica_do(&a, TMB_VERB_SET, "oven/setpoint", "180");
    (void)replica_apply(&a, &op);
    (void)replica_do(&a, TMB_VERB_ADD, "orders", "wo-17");
    (void)replica_do(&a, TMB_VERB_ADD, "orders", "wo-18");
    replica_pass(&a, &b);
    (void)replica_meet(&a, &b);
    (void)replica_do(&a, TMB_VERB_INC, "oven/parts", NULL);
    (void)replica_do(&a, TMB_VERB_RM, "orders", "wo-17");
    (void)replica_do(&b, TMB_VERB_NEW, "oven", NULL);
    (void)replica_do(&b, TMB_VERB_PERMIT, "lock", NULL);
    assert_int_equal(replica_chunk(&b, &a, 8, &is_complete), TMB_OK);
    assert_false(is_complete);
}

static size_t write_hex(char *out, tmb_bytes bytes)
{
    size_t at = 0;
    for (size_t i = 0; i < bytes.len; i++)
        at += (size_t)sprintf(out + at, "%02x", bytes.ptr[i]);
    return at;
}

static size_t dump(replica *r, char *out)
{
    uint8_t from[4096] = {0};
    size_t len = 0, at = 0;
    tmb_bytes key, value;
    r->kv = kv_memory_port(&r->disk);
    while (r->kv.seek(r->kv.arg, tmb_bytes_of(from, len), &key, &value) == TMB_OK) {
        at += write_hex(out + at, key);
        out[at++] = ' ';
        at += write_hex(out + at, value);
        out[at++] = '\n';
        memcpy(from, key.ptr, key.len);
        from[key.len] = 0;
        len = key.len + 1;
    }
    out[at] = 0;
    return at;
}

static size_t read_file(char *out, size_t cap)
{
    char name[512];
    (void)snprintf(name, sizeof name, "%s/scope.txt", folder);
    FILE *file = fopen(name, "re");
    assert_non_null(file);
    size_t len = fread(out, 1, cap - 1, file);
    (void)fclose(file);
    out[len] = 0;
    return len;
}

static void test_a_scope_is_written_as_ever(void **state)
{
    (void)state;
    static char now[65536], then[65536];
    play();
    size_t len = dump(&a, now);
    if (is_making) {
        char name[512];
        (void)snprintf(name, sizeof name, "%s/scope.txt", folder);
        FILE *file = fopen(name, "we");
        assert_non_null(file);
        assert_int_equal(fwrite(now, 1, len, file), len);
        assert_int_equal(fclose(file), 0);
    }
    assert_int_equal(read_file(then, sizeof then), len);
    assert_string_equal(now, then);
    replica_close(&a);
    replica_close(&b);
}

static size_t read_hex(const char **at, uint8_t *out)
{
    size_t len = 0;
    unsigned byte;
    while (**at && sscanf(*at, "%2x", &byte) == 1 && (*at)[0] != ' ' && (*at)[0] != '\n') {
        out[len++] = (uint8_t)byte;
        *at += 2;
    }
    ++*at;
    return len;
}

static void test_a_scope_is_read_as_it_was_written(void **state)
{
    (void)state;
    static char text[65536];
    static tmb_neighbour neighbour;
    uint8_t key[2048], value[2048];
    replica_open(&a, 1);
    (void)read_file(text, sizeof text);
    a.kv = kv_memory_port(&a.disk);
    for (const char *at = text; *at;) {
        size_t key_len = read_hex(&at, key), value_len = read_hex(&at, value);
        assert_int_equal(
            a.kv.put(a.kv.arg, tmb_bytes_of(key, key_len), tmb_bytes_of(value, value_len)), TMB_OK);
    }
    assert_string_equal(replica_text(&a, "oven/setpoint"), "180");
    assert_int_equal(replica_count(&a, "oven/parts"), 4);
    assert_true(replica_is_in(&a, TMB_TYPE_AW_SET, "orders", "wo-18"));
    assert_false(replica_is_in(&a, TMB_TYPE_AW_SET, "orders", "wo-17"));
    assert_true(replica_is_in(&a, TMB_TYPE_MAP, "oven", ""));
    (void)replica_check(&a);
    assert_int_equal(replica_begin(&a)->last, 6);
    assert_int_equal(a.at.removals, 1);
    assert_int_equal(a.at.extras, 1);
    assert_int_equal(a.at.callers, 1);
    assert_int_equal(tmb_scope_neighbour_get(&a.at, tmb_bytes_str("n2"), &neighbour), TMB_OK);
    assert_int_equal(neighbour.acked_own, 4);
    assert_int_equal(neighbour.heard.bases_count, 2);
    replica_close(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scope_is_written_as_ever),
        cmocka_unit_test(test_a_scope_is_read_as_it_was_written),
    };
    if (argc < 2)
        return 2;
    folder = argv[1];
    is_making = argc > 2 && strcmp(argv[2], "make") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
