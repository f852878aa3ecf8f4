// SPDX-License-Identifier: Apache-2.0
/* tests/golden/make_proto.c - writes the golden files that are not there yet: golden_make_proto DIRECTORY for
 * version 1, golden_make_proto DIRECTORY 2 for version 2, likewise 3. It opens each with "x", so what is
 * stored is never written again. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/batch.h"
#include "proto/topics.h"
#include "tests/golden/proto_v1.h"
#include "tests/golden/proto_v2.h"
#include "tests/golden/proto_v3.h"

static void check(bool is_fine, const char *what)
{
    if (is_fine)
        return;
    fprintf(stderr, "golden_make_proto: %s\n", what);
    exit(1);
}

static void store(const char *directory, const char *file, const uint8_t *bytes, size_t len)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    FILE *out = fopen(path, "wbx");
    if (!out) {
        printf("%s: there already, or not writable; left alone\n", path);
        return;
    }
    check(fwrite(bytes, 1, len, out) == len && fclose(out) == 0, "short write");
    printf("%s: %zu bytes\n", path, len);
}

static size_t encode_records(tmb_record (*record_of)(unsigned), unsigned count, uint8_t *out,
                             size_t cap)
{
    size_t used = 0;
    for (unsigned i = 0; i < count; i++) {
        tmb_record record = record_of(i);
        size_t len = 0;
        check(!tmb_record_encode(&record, out + used, cap - used, &len), "record");
        used += len;
    }
    return used;
}

static int make_frames(const char *directory, const char *const files[],
                       tmb_frame (*frame_of)(const char *file))
{
    static uint8_t bytes[16384];
    for (unsigned i = 0; files[i]; i++) {
        tmb_frame frame = frame_of(files[i]);
        size_t len = 0;
        check(!tmb_frame_encode(&frame, bytes, sizeof(bytes), &len), files[i]);
        store(directory, files[i], bytes, len);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static uint8_t raw[8192], packed[16384], bytes[16384];
    check(argc == 2 || (argc == 3 && (strcmp(argv[2], "2") == 0 || strcmp(argv[2], "3") == 0)),
          "usage: golden_make_proto DIRECTORY [2|3]");
    if (argc == 3 && argv[2][0] == '3')
        return make_frames(argv[1], golden_v3_frames, golden_v3_frame);
    if (argc == 3)
        return make_frames(argv[1], golden_v2_frames, golden_v2_frame);
    size_t len = 0;
    for (unsigned i = 0; golden_records[i]; i++) {
        tmb_record record = golden_record(golden_records[i]);
        check(!tmb_record_encode(&record, bytes, sizeof(bytes), &len), "record");
        store(argv[1], golden_records[i], bytes, len);
    }
    size_t raw_len = encode_records(golden_batch_record, GOLDEN_BATCH_RECORDS, raw, sizeof(raw));
    for (unsigned i = 0; golden_frames[i]; i++) {
        tmb_frame frame = golden_frame(golden_frames[i]);
        if (frame.type == TMB_FRAME_BATCH) {
            tmb_codec wanted = frame.u.batch.codec;
            check(
                !tmb_batch_pack(tmb_bytes_of(raw, raw_len), packed, sizeof(packed), &frame.u.batch),
                "batch");
            if (wanted == TMB_CODEC_PLAIN)
                frame.u.batch.data = tmb_bytes_of(raw, raw_len);
            frame.u.batch.codec = wanted;
        }
        check(!tmb_frame_encode(&frame, bytes, sizeof(bytes), &len), "frame");
        store(argv[1], golden_frames[i], bytes, len);
    }
    bytes[0] = TMB_COMMIT_VERSION;
    len = 1 + encode_records(golden_commit_record, 2, bytes + 1, sizeof(bytes) - 1);
    store(argv[1], "commit.bin", bytes, len);
    return 0;
}
