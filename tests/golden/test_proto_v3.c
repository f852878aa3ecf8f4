// SPDX-License-Identifier: Apache-2.0
/* tests/golden/test_proto_v3.c - the stored bytes of version 3 give the fields they always gave, and the
 * fields give the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/leaves.h"
#include "tests/golden/proto_v3.h"
#include "tests/unit/proto/frames.h"

static const char *directory;
static uint8_t stored[16384], encoded[16384];

static tmb_bytes load(const char *file)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t len = fread(stored, 1, sizeof(stored), in);
    assert_true(feof(in));
    fclose(in);
    assert_in_range(len, 1, sizeof(stored) - 1);
    return tmb_bytes_of(stored, len);
}

static void frames_read_and_write_as_ever(void **state)
{
    (void)state;
    static uint8_t arena[1 << 20];
    for (unsigned i = 0; golden_v3_frames[i]; i++) {
        tmb_bytes bytes = load(golden_v3_frames[i]);
        tmb_frame expected = golden_v3_frame(golden_v3_frames[i]), back;
        size_t len = 0;
        assert_true(tmb_frame_arena_size(bytes.len) <= sizeof(arena));
        assert_int_equal(tmb_frame_decode(bytes, arena, tmb_frame_arena_size(bytes.len), &back),
                         TMB_OK);
        assert_true(frames_are_equal(&expected, &back));
        assert_int_equal(tmb_frame_encode(&expected, encoded, sizeof(encoded), &len), TMB_OK);
        assert_true(tmb_bytes_eq(bytes, tmb_bytes_of(encoded, len)));
    }
}

/* The leaves in a stored frame are those that were put in. */
static void leaves_read_as_ever(void **state)
{
    (void)state;
    static uint8_t arena[1 << 20];
    static tmb_leaves_state walk;
    static tmb_leaf_item item;
    static tmb_actors actors;
    tmb_frame f;
    tmb_bytes bytes = load("leaves.bin");
    assert_int_equal(tmb_frame_decode(bytes, arena, sizeof(arena), &f), TMB_OK);
    actors.count = 3;
    for (unsigned i = 0; i < 3; i++)
        memset(actors.actors[i].bytes, (int)i + 1, 16);
    tmb_reader r = tmb_reader_of(f.u.leaves.data);
    assert_int_equal(tmb_leaves_get(&r, &walk, &actors, &item), TMB_OK);
    assert_true(tmb_bytes_eq(item.key.path, tmb_bytes_str("cell/parts")));
    assert_int_equal(item.key.type, TMB_TYPE_PN_COUNTER);
    assert_int_equal(item.leaf.count, 2);
    assert_int_equal(item.leaf.entries[1].dot.seq, 9);
    assert_int_equal(item.leaf.entries[1].dot.actor.bytes[0], 2);
    assert_int_equal(tmb_leaves_get(&r, &walk, &actors, &item), TMB_OK);
    assert_true(tmb_bytes_eq(item.key.path, tmb_bytes_str("cell/orders")));
    assert_true(tmb_bytes_eq(item.key.elem, tmb_bytes_str("wo-17")));
    assert_int_equal(item.removals_count, 1);
    assert_int_equal(item.removals[0].seq, 299);
    assert_non_null(item.extra);
    assert_int_equal(tmb_context_base(item.extra, &actors.actors[2]), 4);
    assert_int_equal(tmb_leaves_get(&r, &walk, &actors, &item), TMB_EAGAIN);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    directory = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(frames_read_and_write_as_ever),
                                       cmocka_unit_test(leaves_read_as_ever)};
    return cmocka_run_group_tests_name("golden.proto.v3", tests, NULL, NULL);
}
