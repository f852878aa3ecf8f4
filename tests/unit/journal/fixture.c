// SPDX-License-Identifier: Apache-2.0
/* tests/unit/journal/fixture.c - see fixture.h. */
#include "tests/unit/journal/fixture.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "journal/segment.h"

void fixture_make(char root[TEST_PATH_BYTES])
{
    const char *base = getenv("TMPDIR");
    /* Thousands of small files: in memory, where there is such a place. */
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(root, TEST_PATH_BYTES, "%s/tombolo-journal-XXXXXX", base);
    assert_non_null(mkdtemp(root));
}

static void each_entry(const char *folder, void (*visit)(const char *path, void *arg), void *arg)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char path[2 * TEST_PATH_BYTES];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        visit(path, arg);
    }
    closedir(dir);
}

static void remove_entry(const char *path, void *arg)
{
    (void)arg;
    if (unlink(path) < 0) {
        each_entry(path, remove_entry, NULL);
        rmdir(path);
    }
}

void fixture_remove(const char *root)
{
    remove_entry(root, NULL);
}

static void copy_entry(const char *path, void *arg)
{
    const char *to = arg;
    char target[2 * TEST_PATH_BYTES];
    struct stat st;
    snprintf(target, sizeof target, "%s/%s", to, strrchr(path, '/') + 1);
    assert_int_equal(stat(path, &st), 0);
    if (S_ISDIR(st.st_mode)) {
        fixture_copy(path, target);
        return;
    }
    size_t cap = (size_t)st.st_size + 1;
    uint8_t *bytes = malloc(cap);
    assert_non_null(bytes);
    size_t len = fixture_read(path, bytes, cap);
    fixture_write(target, bytes, len);
    free(bytes);
}

void fixture_copy(const char *from, const char *to)
{
    char target[TEST_PATH_BYTES];
    snprintf(target, sizeof target, "%s", to);
    mkdir(to, 0700);
    each_entry(from, copy_entry, target);
}

size_t fixture_read(const char *path, uint8_t *bytes, size_t cap)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, cap, file);
    fclose(file);
    return len;
}

void fixture_write(const char *path, const uint8_t *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static size_t list(const char *root, const char *stream, uint64_t *ret_first, uint64_t *ret_last)
{
    char folder[TEST_PATH_BYTES];
    tmb_segment_list segments = {NULL, 0, 0};
    snprintf(folder, sizeof folder, "%s/%s", root, stream);
    assert_int_equal(tmb_segment_list_load(&segments, tmb_file_port_posix(), folder), TMB_OK);
    size_t count = segments.count;
    if (count > 0) {
        *ret_first = segments.bases[0];
        *ret_last = segments.bases[count - 1];
    }
    tmb_segment_list_fini(&segments);
    return count;
}

static void name_segment(const char *root, const char *stream, uint64_t base, char *path)
{
    char name[TMB_SEGMENT_NAME_BYTES];
    tmb_segment_name(base, name);
    snprintf(path, TEST_PATH_BYTES, "%s/%s/%s", root, stream, name);
}

bool fixture_newest(const char *root, const char *stream, char path[TEST_PATH_BYTES])
{
    uint64_t first, last;
    if (list(root, stream, &first, &last) == 0)
        return false;
    name_segment(root, stream, last, path);
    return true;
}

bool fixture_oldest(const char *root, const char *stream, char path[TEST_PATH_BYTES])
{
    uint64_t first, last;
    if (list(root, stream, &first, &last) == 0)
        return false;
    name_segment(root, stream, first, path);
    return true;
}

size_t fixture_segments(const char *root, const char *stream)
{
    uint64_t first, last;
    return list(root, stream, &first, &last);
}

/* ---- records ------------------------------------------------------------------------------------------ */

tmb_record fixture_record(uint64_t index)
{
    static char topic[64], publisher[32];
    static uint8_t payload[128], props[8] = {38, 0, 1, 'k', 0, 1, 'v', 0};
    size_t payload_len = 8 + index % 41;
    snprintf(topic, sizeof topic, "plant/line-%u/temperature", (unsigned)(index % 7));
    snprintf(publisher, sizeof publisher, "plc-%u", (unsigned)(index % 3));
    for (size_t i = 0; i < payload_len; i++)
        payload[i] = i < 8 ? (uint8_t)(index >> (8 * i)) : (uint8_t)(index * 31 + i);
    tmb_record record = {.qos = (uint8_t)(index % 3), .retain = index % 5 == 0};
    record.is_will = index % 11 == 0;
    record.is_numbered = index % 2 == 0;
    record.number = record.is_numbered ? index + 1 : 0;
    record.run = record.is_numbered ? tmb_bytes_str("run-a") : tmb_bytes_of(NULL, 0);
    if (index % 4 == 1) {
        record.has_origin = true;
        record.origin = (tmb_origin){.node = tmb_bytes_str("s1"),
                                     .incarnation = {{1, 2, 3}},
                                     .stream = tmb_bytes_str("alarms"),
                                     .seq = index + 9,
                                     .stamp = {index << 16}};
    }
    record.topic = tmb_bytes_str(topic);
    record.publisher = tmb_bytes_str(publisher);
    if (index % 3 == 0)
        record.props = tmb_bytes_of(props, 7);
    record.payload = tmb_bytes_of(payload, payload_len);
    return record;
}

uint64_t fixture_index(const tmb_record *record)
{
    tmb_reader r = tmb_reader_of(record->payload);
    return tmb_get_u64(&r);
}

bool fixture_is(const tmb_record *record, uint64_t index)
{
    static uint8_t a[2048], b[2048];
    size_t a_len = 0, b_len = 0;
    tmb_record expected = fixture_record(index);
    expected.seq = record->seq;
    expected.stamp = record->stamp;
    if (tmb_record_encode(record, a, sizeof a, &a_len) ||
        tmb_record_encode(&expected, b, sizeof b, &b_len))
        return false;
    return tmb_bytes_eq(tmb_bytes_of(a, a_len), tmb_bytes_of(b, b_len));
}

const char *fixture_ring;

bool fixture_make_ring(char folder[TEST_PATH_BYTES])
{
    if (access("/dev/shm", W_OK) != 0)
        return false;
    snprintf(folder, TEST_PATH_BYTES, "/dev/shm/tombolo-rings-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return true;
}

void fixture_move_ring(const char *root, const char *folder)
{
    char path[2 * TEST_PATH_BYTES], text[2 * TEST_PATH_BYTES];
    int len = snprintf(text, sizeof text, "tombolo-ring 1\nfolder %s\n", folder);
    len += snprintf(text + len, sizeof text - (size_t)len, "crc32c %08x\n",
                    tmb_crc32c(0, tmb_bytes_of(text, (size_t)len)));
    snprintf(path, sizeof path, "%s/.ring", root);
    fixture_write(path, (const uint8_t *)text, (size_t)len);
}

tmb_journal *fixture_open(const char *root, const tmb_file_port *files, uint64_t segment_bytes)
{
    tmb_journal_options options = {.root = root,
                                   .node = "s1",
                                   .files = files,
                                   .segment_bytes = segment_bytes,
                                   .ring_folder = fixture_ring,
                                   .fresh_incarnation = {{7, 7, 7, 7}}};
    char text[512] = "";
    tmb_journal *journal = NULL;
    tmb_err err = tmb_journal_open(&options, &journal, text, sizeof text);
    if (err)
        fail_msg("open: %s: %s", tmb_err_name(err), text);
    return journal;
}

tmb_journal_stream *fixture_stream(tmb_journal *journal, const char *name)
{
    char text[512] = "";
    tmb_journal_stream *stream = NULL;
    tmb_err err = tmb_journal_stream_open(journal, name, &stream, text, sizeof text);
    if (err)
        fail_msg("stream: %s: %s", tmb_err_name(err), text);
    return stream;
}

uint64_t fixture_append(tmb_journal_stream *stream, uint64_t first, uint64_t last)
{
    uint64_t seq = 0;
    for (uint64_t i = first; i <= last; i++) {
        tmb_record record = fixture_record(i);
        tmb_wall now = {INT64_C(1700000000000) + (int64_t)i * 1000};
        assert_int_equal(tmb_journal_append(stream, &record, now, &seq), TMB_OK);
    }
    return seq;
}

void fixture_fill(const char *root, uint64_t count, uint64_t segment_bytes)
{
    tmb_journal *journal = fixture_open(root, NULL, segment_bytes);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    assert_int_equal(fixture_append(stream, 1, count), count);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_close(journal);
}

void fixture_read_log(const char *root, const char *stream, fixture_log *log)
{
    tmb_tail *tail = NULL;
    uint64_t expect = 1;
    memset(log, 0, sizeof *log);
    assert_int_equal(tmb_tail_open(root, stream, NULL, &tail), TMB_OK);
    for (unsigned turns = 0; turns < 4 * TEST_RECORDS_MAX; turns++) {
        tmb_record record;
        tmb_tail_gap gap;
        log->err = tmb_tail_next(tail, &record, &gap);
        if (log->err == TMB_EGAP) {
            assert_true(log->gaps_count < 64);
            log->gaps[log->gaps_count++] = gap;
            if (gap.last_seq > 0) {
                assert_int_equal(gap.first_seq, expect);
                assert_true(gap.last_seq >= gap.first_seq);
                expect = gap.last_seq + 1;
            }
        } else if (log->err == TMB_OK) {
            assert_int_equal(record.seq, expect);
            assert_true(log->count < TEST_RECORDS_MAX);
            assert_true(fixture_is(&record, fixture_index(&record)));
            log->seqs[log->count] = record.seq;
            log->indexes[log->count++] = fixture_index(&record);
            expect = record.seq + 1;
        } else {
            break;
        }
    }
    tmb_tail_close(tail);
}

uint64_t fixture_seed(void)
{
    const char *text = getenv("TMB_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20261121;
    print_message("seed %" PRIu64 "\n", seed);
    return seed;
}
