// SPDX-License-Identifier: Apache-2.0
/* tests/golden/test_fold_v2.c - folded data as it was first written unfolds to the records it always gave:
 * test DIRECTORY. `test DIRECTORY make` writes what is not there yet, and never over what is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/batch.h"
#include "tests/unit/proto/records.h"

enum { FIRST = 1000, RECORDS = 60, ROOM = 1 << 16 };

/* Text from before, as a dictionary is. */
#define BEFORE                                                                                     \
    "\x01\x07\0press-7\0\0\0\0line/1/"                                                             \
    "temperature\0{\"n\":\x01,\"at\":\"\x01-\x02-\x02T\x02:\x02:\x02.\x03Z\",\"v\":["

static const tmb_dictionary dictionary = {9, {(const uint8_t *)BEFORE, sizeof BEFORE - 1}};
static const char *const files[] = {"folded.bin", "folded-dictionary.bin"};
static const char *directory;
static uint8_t raw[ROOM], stored[ROOM], out[ROOM];
static void *room;
static size_t room_cap;

/* Counters, times, decimals with and without zeros, numbers that are none, every kind of record. */
static tmb_record golden(unsigned i)
{
    static char text[512];
    if (i >= 50) {
        tmb_record record = record_of_bits(3 * 64 * (i - 50) + 3 * 8);
        record.seq = FIRST + i;
        record.stamp.u64 >>= 8;
        record.number >>= 8;
        return record;
    }
    tmb_record record = {.seq = FIRST + i, .qos = 1, .payload = tmb_bytes_str(text)};
    record.stamp.u64 = (UINT64_C(1700000000000) + i * 250) << 16 | i % 3;
    record.topic = tmb_bytes_str(i % 10 == 9 ? "line/007/alarm" : "line/1/temperature");
    record.publisher = tmb_bytes_str("press-7");
    unsigned a = i * i * 37 % 100, b = i * 7919 % 1000;
    snprintf(text, sizeof text,
             "{\"n\":%u,\"at\":\"2026-11-21T07:%02u:%02u.%03uZ\",\"v\":[%d.%02u,%u.%u,-%u,0.%03u],"
             "\"odd\":[1e%u,-0,007,12345678901234567890,0x%x]%s}",
             i, i / 4 % 60, i % 60, b, (int)a - 50, a, a, b % 10, b, b, a % 9, b,
             i % 20 == 19 ? "\x01\x02\x7f" : "");
    return record;
}

static tmb_bytes golden_raw(void)
{
    size_t used = 0;
    for (unsigned i = 0; i < RECORDS; i++) {
        tmb_record record = golden(i);
        size_t len = 0;
        TMB_ASSERT(!tmb_record_encode(&record, raw + used, sizeof raw - used, &len));
        used += len;
    }
    return tmb_bytes_of(raw, used);
}

static FILE *open_file(const char *file, const char *how)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    return fopen(path, how);
}

static void stored_data_unfolds_as_ever(void **state)
{
    (void)state;
    tmb_bytes expected = golden_raw(), back;
    for (unsigned i = 0; i < 2; i++) {
        FILE *in = open_file(files[i], "rb");
        assert_non_null(in);
        size_t len = fread(stored, 1, sizeof stored, in);
        fclose(in);
        assert_in_range(len, 1, sizeof stored - 1);
        tmb_frame_batch batch = {.first_seq = FIRST, .last_seq = FIRST + RECORDS - 1};
        batch.codec = i == 0 ? TMB_CODEC_FOLDED : TMB_CODEC_FOLDED_DICTIONARY;
        batch.dictionary = i == 0 ? 0 : dictionary.id;
        batch.raw_bytes = (uint32_t)expected.len;
        batch.data = tmb_bytes_of(stored, len);
        assert_int_equal(tmb_batch_unfold(&batch, &dictionary, room, room_cap, out, ROOM, &back),
                         TMB_OK);
        assert_true(tmb_bytes_eq(back, expected));
    }
}

static int make(void)
{
    tmb_bytes all = golden_raw();
    for (unsigned i = 0; i < 2; i++) {
        FILE *to = open_file(files[i], "wbx");
        if (!to) {
            printf("%s: there already, or not writable; left alone\n", files[i]);
            continue;
        }
        tmb_frame_batch batch = {0};
        TMB_ASSERT(!tmb_batch_fold(all, FIRST, FIRST + RECORDS - 1, i == 0 ? NULL : &dictionary, 3,
                                   room, room_cap, stored, sizeof stored, &batch));
        TMB_ASSERT(tmb_codec_is_folded(batch.codec));
        TMB_ASSERT(fwrite(batch.data.ptr, 1, batch.data.len, to) == batch.data.len);
        TMB_ASSERT(fclose(to) == 0);
        printf("%s: %zu bytes of %zu\n", files[i], batch.data.len, all.len);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s DIRECTORY [make]\n", argv[0]);
        return 2;
    }
    directory = argv[1];
    room_cap = tmb_batch_room_bytes(ROOM);
    room = malloc(room_cap);
    TMB_ASSERT(room);
    const struct CMUnitTest tests[] = {cmocka_unit_test(stored_data_unfolds_as_ever)};
    int failed =
        argc == 3 ? make() : cmocka_run_group_tests_name("golden.proto.fold", tests, NULL, NULL);
    free(room);
    return failed;
}
