// SPDX-License-Identifier: Apache-2.0
/* A reader looks before each call that the writer makes of the file system, while one of these fails: it is
 * given each record for which success was claimed, once and in order, and no loss is told that is none.
 */
#include "tests/unit/journal/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEGMENT_BYTES 700
#define SEQS_MAX      256

static char root[TEST_PATH_BYTES];
static test_port port;

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    return 0;
}

typedef struct reader {
    tmb_tail *tail;
    uint64_t expect;
    uint64_t indexes[SEQS_MAX]; /* by number: the record that it was given */
    bool is_looking;
} reader;

typedef struct author {
    tmb_journal_stream *stream;
    uint64_t next_index, pending_index; /* the first for which nothing was said */
    uint64_t seqs[TEST_RECORDS_MAX];    /* by index; 0: refused */
    bool are_claimed[TEST_RECORDS_MAX];
} author;

static void look(void *arg)
{
    reader *r = arg;
    tmb_record record;
    tmb_tail_gap gap;
    tmb_err err = TMB_OK;
    if (r->is_looking)
        return;
    r->is_looking = true;
    while (err == TMB_OK || err == TMB_EGAP) {
        err = tmb_tail_next(r->tail, &record, &gap);
        if (err == TMB_OK) {
            assert_int_equal(record.seq, r->expect);
            assert_true(record.seq < SEQS_MAX);
            r->indexes[record.seq] = fixture_index(&record);
            r->expect++;
        } else if (err == TMB_EGAP) {
            assert_int_equal(gap.first_seq, r->expect);
            assert_true(gap.reason == TMB_GAP_TORN || gap.reason == TMB_GAP_RETENTION);
            r->expect = gap.last_seq + 1;
        }
    }
    assert_int_equal(err, TMB_EAGAIN);
    r->is_looking = false;
}

static reader begin_reading(void)
{
    reader r = {.expect = 1};
    assert_int_equal(tmb_tail_open(root, "data", NULL, &r.tail), TMB_OK);
    return r;
}

static void append(author *a, unsigned count)
{
    for (unsigned i = 0; i < count; i++, a->next_index++) {
        tmb_record record = fixture_record(a->next_index);
        tmb_wall now = {INT64_C(1700000000000) + (int64_t)a->next_index};
        uint64_t seq = 0;
        if (tmb_journal_append(a->stream, &record, now, &seq) == TMB_OK)
            a->seqs[a->next_index] = seq;
    }
}

static void hear(author *a, tmb_err err)
{
    for (; a->pending_index < a->next_index; a->pending_index++)
        a->are_claimed[a->pending_index] = err == TMB_OK && a->seqs[a->pending_index] > 0;
}

static void work(author *a)
{
    for (unsigned i = 0; i < 3; i++) {
        append(a, 3);
        hear(a, tmb_journal_sync(a->stream));
    }
    append(a, 12); /* fill several segments */
    hear(a, tmb_journal_sync(a->stream));
    append(a, 2);
    hear(a, tmb_journal_write(a->stream));
    tmb_journal_shed(a->stream, tmb_journal_last_seq(a->stream) + 2);
    append(a, 3);
    hear(a, tmb_journal_sync(a->stream));
    append(a, 1);
    hear(a, tmb_journal_sync(a->stream));
}

static void live_twice(author *a, reader *r)
{
    for (unsigned life = 0; life < 2; life++) {
        tmb_journal *journal = NULL;
        tmb_journal_options options = {.root = root,
                                       .node = "s1",
                                       .files = &port.port,
                                       .segment_bytes = SEGMENT_BYTES,
                                       .fresh_incarnation = {{7}}};
        if (tmb_journal_open(&options, &journal, NULL, 0))
            continue;
        if (!tmb_journal_stream_open(journal, "data", &a->stream, NULL, 0))
            work(a);
        tmb_journal_close(journal);
        look(r);
    }
}

static void fail_each(int op, int error, bool is_short)
{
    for (unsigned n = 1;; n++) {
        fixture_remove(root);
        fixture_make(root);
        test_port_init(&port);
        port.fail_op = op;
        port.fail_at = n;
        port.error = error;
        port.is_short = is_short;
        author a = {.next_index = 1, .pending_index = 1};
        reader r = begin_reading();
        port.before_call = look;
        port.before_call_arg = &r;
        live_twice(&a, &r);
        for (uint64_t i = 1; i < a.next_index; i++)
            if (a.are_claimed[i])
                assert_int_equal(r.indexes[a.seqs[i]], i);
        tmb_tail_close(r.tail);
        if (!port.failed)
            break;
    }
}

static void a_reader_beside_each_failure(void **state)
{
    static const int ops[] = {TEST_OP_OPEN,     TEST_OP_WRITE,  TEST_OP_SYNC,
                              TEST_OP_TRUNCATE, TEST_OP_RENAME, TEST_OP_UNLINK};
    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        fail_each(ops[i], EIO, false);
    fail_each(TEST_OP_WRITE, ENOSPC, true);
}

/* The same, and the process ends before the segment is begun anew: its numbers come in the one before. */
static void a_segment_that_is_withdrawn_for_good(void **state)
{
    (void)state;
    uint64_t seq = 0;
    reader r = begin_reading();
    test_port_init(&port);
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    fixture_append(stream, 1, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    tmb_journal_shed(stream,
                     4); /* nothing is written of it, and the next record begins a segment */
    tmb_record record = fixture_record(4);
    port.before_call = look;
    port.before_call_arg = &r;
    port.fail_op = TEST_OP_SYNC;
    port.fail_at = port.calls[TEST_OP_SYNC] + 2; /* of the folder */
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_EIO);
    port.before_call = NULL;
    assert_true(port.failed);
    assert_int_equal(r.expect, 5); /* it has been in it */
    tmb_journal_close(journal);
    journal = fixture_open(root, &port.port, 0);
    stream = fixture_stream(journal, "data");
    assert_int_equal(fixture_append(stream, 5, 6), 5);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_int_equal(fixture_segments(root, "data"), 1);
    look(&r);
    assert_int_equal(r.indexes[5], 6);
    tmb_journal_close(journal);
    tmb_tail_close(r.tail);
}

/* ---- a folder that changes while it is listed ---- */

typedef struct lister {
    tmb_file_port files;
    unsigned calls, torn_call; /* which listing is torn; from 1 */
    unsigned hides;            /* which segment it does not have, from 0; or, */
    bool drops;                /* the oldest ones go behind the first name */
    unsigned at;
    int (*visit)(void *arg, const char *name);
    void *arg;
} lister;

static int visit_some(void *arg, const char *name)
{
    lister *l = arg;
    bool is_hidden = strstr(name, ".seg") && l->at++ == l->hides && !l->drops;
    return is_hidden ? 0 : l->visit(l->arg, name);
}

static void drop_oldest(unsigned count)
{
    char path[TEST_PATH_BYTES];
    for (; count > 0 && fixture_segments(root, "data") > 1; count--) {
        assert_true(fixture_oldest(root, "data", path));
        assert_int_equal(remove(path), 0);
    }
}

static int list_torn(void *context, const char *path, int (*visit)(void *arg, const char *name),
                     void *arg)
{
    lister *l = context;
    const tmb_file_port *real = tmb_file_port_posix();
    char oldest[TEST_PATH_BYTES];
    l->visit = visit;
    l->arg = arg;
    l->at = 0;
    if (++l->calls != l->torn_call)
        return real->list(NULL, path, visit, arg);
    if (l->drops && fixture_oldest(root, "data", oldest)) {
        (void)visit(arg, strrchr(oldest, '/') + 1);
        drop_oldest(3);
    }
    return real->list(NULL, path, visit_some, l);
}

/* Gives how many numbers were told as dropped; nothing else is missing. */
static uint64_t read_torn(lister *l)
{
    tmb_tail *tail = NULL;
    uint64_t expect = 1, dropped = 0;
    tmb_record record;
    tmb_tail_gap gap;
    l->files = *tmb_file_port_posix();
    l->files.context = l;
    l->files.list = list_torn;
    assert_int_equal(tmb_tail_open(root, "data", &l->files, &tail), TMB_OK);
    for (tmb_err err = TMB_OK; expect <= 40;) {
        err = tmb_tail_next(tail, &record, &gap);
        if (err == TMB_EGAP) {
            assert_int_equal(gap.reason, TMB_GAP_RETENTION);
            assert_int_equal(gap.first_seq, expect);
            dropped += gap.last_seq - expect + 1;
            expect = gap.last_seq + 1;
        } else if (err == TMB_OK) {
            assert_int_equal(record.seq, expect);
            expect++;
        } else {
            assert_int_equal(err, TMB_EAGAIN);
        }
    }
    tmb_tail_close(tail);
    return dropped;
}

static void a_list_without_one_of_the_files(void **state)
{
    (void)state;
    fixture_fill(root, 40, SEGMENT_BYTES);
    size_t count = fixture_segments(root, "data");
    assert_true(count >= 6);
    for (unsigned call = 1;; call++) {
        lister l = {.torn_call = call};
        for (unsigned i = 0; i < count; i++) {
            l = (lister){.torn_call = call, .hides = i};
            assert_int_equal(read_torn(&l), 0);
        }
        if (l.calls < call)
            break;
    }
}

static void a_list_with_what_is_dropped_meanwhile(void **state)
{
    (void)state;
    uint64_t dropped = 0;
    for (unsigned call = 1;; call++) {
        lister l = {.torn_call = call, .drops = true};
        fixture_remove(root);
        fixture_make(root);
        fixture_fill(root, 40, SEGMENT_BYTES);
        dropped += read_torn(&l);
        if (l.calls < call)
            break;
    }
    assert_true(dropped > 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_reader_beside_each_failure),
        CASE(a_segment_that_is_withdrawn_for_good),
        CASE(a_list_without_one_of_the_files),
        CASE(a_list_with_what_is_dropped_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
