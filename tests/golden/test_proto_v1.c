// SPDX-License-Identifier: Apache-2.0
/* tests/golden/test_proto_v1.c - the stored bytes of version 1 give the fields they always gave, and the
 * fields give the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/batch.h"
#include "proto/topics.h"
#include "tests/golden/proto_v1.h"
#include "tests/unit/proto/frames.h"
#include "tests/unit/proto/records.h"

static const char *directory;
static uint8_t stored[16384], encoded[16384], room[16384];

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

static void records_read_and_write_as_ever(void **state)
{
    (void)state;
    for (unsigned i = 0; golden_records[i]; i++) {
        tmb_bytes bytes = load(golden_records[i]);
        tmb_record expected = golden_record(golden_records[i]), back;
        size_t used = 0, len = 0;
        assert_int_equal(tmb_record_decode(bytes, &back, &used), TMB_OK);
        assert_int_equal(used, bytes.len);
        assert_true(records_are_equal(&expected, &back));
        assert_int_equal(tmb_record_encode(&expected, encoded, sizeof(encoded), &len), TMB_OK);
        assert_true(tmb_bytes_eq(bytes, tmb_bytes_of(encoded, len)));
    }
}

/* The records that every golden batch holds. */
static void check_batch(const tmb_frame_batch *batch)
{
    tmb_bytes raw;
    assert_int_equal(tmb_batch_unpack(batch, room, sizeof(room), &raw), TMB_OK);
    size_t offset = 0;
    tmb_record back;
    for (unsigned i = 0; i < GOLDEN_BATCH_RECORDS; i++) {
        tmb_record expected = golden_batch_record(i);
        assert_int_equal(tmb_batch_next(raw, &offset, &back), TMB_OK);
        assert_true(records_are_equal(&expected, &back));
    }
    assert_int_equal(tmb_batch_next(raw, &offset, &back), TMB_EAGAIN);
}

static void frames_read_and_write_as_ever(void **state)
{
    (void)state;
    static uint8_t arena[1 << 20];
    for (unsigned i = 0; golden_frames[i]; i++) {
        tmb_bytes bytes = load(golden_frames[i]);
        tmb_frame expected = golden_frame(golden_frames[i]), back;
        size_t len = 0;
        assert_true(tmb_frame_arena_size(bytes.len) <= sizeof(arena));
        assert_int_equal(tmb_frame_decode(bytes, arena, tmb_frame_arena_size(bytes.len), &back),
                         TMB_OK);
        if (expected.type == TMB_FRAME_BATCH) {
            assert_int_equal(back.type, TMB_FRAME_BATCH);
            check_batch(&back.u.batch);
            expected.u.batch.raw_bytes = back.u.batch.raw_bytes;
            expected.u.batch.data = back.u.batch.data;
        }
        assert_true(frames_are_equal(&expected, &back));
        assert_int_equal(tmb_frame_encode(&expected, encoded, sizeof(encoded), &len), TMB_OK);
        assert_true(tmb_bytes_eq(bytes, tmb_bytes_of(encoded, len)));
    }
}

static void commit_reads_and_writes_as_ever(void **state)
{
    (void)state;
    tmb_bytes bytes = load("commit.bin");
    assert_int_equal(bytes.ptr[0], TMB_COMMIT_VERSION);
    tmb_bytes raw = tmb_bytes_of(bytes.ptr + 1, bytes.len - 1);
    encoded[0] = TMB_COMMIT_VERSION;
    size_t offset = 0, used = 1;
    tmb_record back;
    for (unsigned i = 0; i < 2; i++) {
        tmb_record expected = golden_commit_record(i);
        size_t len = 0;
        assert_int_equal(tmb_batch_next(raw, &offset, &back), TMB_OK);
        assert_true(records_are_equal(&expected, &back));
        assert_int_equal(tmb_record_encode(&expected, encoded + used, sizeof(encoded) - used, &len),
                         TMB_OK);
        used += len;
    }
    assert_int_equal(tmb_batch_next(raw, &offset, &back), TMB_EAGAIN);
    assert_true(tmb_bytes_eq(bytes, tmb_bytes_of(encoded, used)));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    directory = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_read_and_write_as_ever),
        cmocka_unit_test(frames_read_and_write_as_ever),
        cmocka_unit_test(commit_reads_and_writes_as_ever),
    };
    return cmocka_run_group_tests_name("golden.proto.v1", tests, NULL, NULL);
}
