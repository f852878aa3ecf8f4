// SPDX-License-Identifier: Apache-2.0
/* tests/bench/pack_cost.c - what packing costs and gains: pack_cost RECORDS-A-BATCH < payloads, one a line.
 * Prints one JSON object: bytes per payload byte and MB a second of each codec; each batch is packed,
 * unpacked and compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/batch.h"

#define LINES_MAX 200000u
#define LEVEL     3

typedef struct cost {
    const char *name;
    uint64_t bytes;
    double pack_s, unpack_s;
} cost;

static void check(bool is_fine, const char *what)
{
    if (is_fine)
        return;
    fprintf(stderr, "pack_cost: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint8_t *read_all(size_t *ret_len)
{
    size_t cap = 1 << 20, len = 0, got;
    uint8_t *all = malloc(cap);
    check(all != NULL, "memory");
    while ((got = fread(all + len, 1, cap - len, stdin)) > 0) {
        len += got;
        if (len == cap)
            all = realloc(all, cap *= 2);
        check(all != NULL, "memory");
    }
    *ret_len = len;
    return all;
}

/* The records of the next batch, 16.67 ms apart. */
static size_t encode(const tmb_bytes *lines, size_t first, size_t count, uint8_t *raw, size_t cap)
{
    size_t used = 0;
    for (size_t i = first; i < first + count; i++) {
        char topic[64];
        snprintf(topic, sizeof topic, "line/arm/%03u/joints", (unsigned)(i % 60));
        tmb_record record = {.seq = i + 1, .qos = 1, .payload = lines[i]};
        record.stamp.u64 = (UINT64_C(1700000000000) + i * 1000 / 60) << 16;
        record.topic = tmb_bytes_str(topic);
        record.publisher = tmb_bytes_str("line-1");
        size_t len = 0;
        check(!tmb_record_encode(&record, raw + used, cap - used, &len), "record");
        used += len;
    }
    return used;
}

static void run(cost *c, bool is_folded, const tmb_bytes *lines, size_t lines_count, size_t a_batch)
{
    size_t cap = 2u << 20, room_cap = tmb_batch_room_bytes(cap), bound = tmb_batch_pack_bound(cap);
    uint8_t *raw = malloc(cap), *out = malloc(bound), *back = malloc(cap), *room = malloc(room_cap);
    check(raw && out && back && room, "memory");
    for (size_t first = 0; first < lines_count; first += a_batch) {
        size_t count = lines_count - first < a_batch ? lines_count - first : a_batch;
        tmb_bytes all = tmb_bytes_of(raw, encode(lines, first, count, raw, cap)), unpacked;
        tmb_frame_batch batch = {.first_seq = first + 1, .last_seq = first + count};
        double begin = now_s();
        tmb_err err = is_folded ? tmb_batch_fold(all, batch.first_seq, batch.last_seq, NULL, LEVEL,
                                                 room, room_cap, out, bound, &batch)
                                : tmb_batch_pack(all, out, bound, &batch);
        double packed = now_s();
        check(err == TMB_OK, "pack");
        check(!tmb_batch_unfold(&batch, NULL, room, room_cap, back, cap, &unpacked), "unpack");
        c->unpack_s += now_s() - packed;
        c->pack_s += packed - begin;
        c->bytes += batch.data.len;
        check(tmb_bytes_eq(all, unpacked), "not the same bytes");
    }
    free(raw);
    free(out);
    free(back);
    free(room);
}

int main(int argc, char **argv)
{
    static tmb_bytes lines[LINES_MAX];
    size_t len = 0, count = 0, payload = 0;
    check(argc == 2 && atoi(argv[1]) > 0, "usage: pack_cost RECORDS-A-BATCH < payloads");
    uint8_t *all = read_all(&len);
    for (size_t at = 0, end; at < len && count < LINES_MAX; at = end + 1) {
        const uint8_t *found = memchr(all + at, '\n', len - at);
        end = found ? (size_t)(found - all) : len;
        lines[count++] = tmb_bytes_of(all + at, end - at);
        payload += end - at;
    }
    check(payload > 0, "no payloads");
    cost costs[] = {{"zstd", 0, 0, 0}, {"folded", 0, 0, 0}};
    for (unsigned i = 0; i < 2; i++)
        run(&costs[i], i == 1, lines, count, (size_t)atoi(argv[1]));
    printf("{\"payload_bytes\": %zu", payload);
    for (unsigned i = 0; i < 2; i++)
        printf(", \"%s\": {\"per_payload_byte\": %.4f, \"pack_mb_per_s\": %.1f, "
               "\"unpack_mb_per_s\": %.1f}",
               costs[i].name, (double)costs[i].bytes / (double)payload,
               (double)payload / 1e6 / costs[i].pack_s, (double)payload / 1e6 / costs[i].unpack_s);
    printf("}\n");
    free(all);
    return 0;
}
