// SPDX-License-Identifier: Apache-2.0
/* Every call of the file port fails once, or from then on: no claim is broken, no number comes twice. And the
 * power goes at seeded moments.
 */
#include "tests/unit/journal/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SEGMENT_BYTES 700
#define STEPS         36
#define TAKEN_BACK    20 /* records 3 to 20 are refused together */

static char root[TEST_PATH_BYTES];
static char ring[TEST_PATH_BYTES];
static test_port port;

static int setup(void **state)
{
    (void)state;
    fixture_make(root);
    return 0;
}

static int setup_ring(void **state)
{
    if (fixture_make_ring(ring))
        fixture_ring = ring;
    return setup(state);
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(root);
    if (fixture_ring)
        fixture_remove(ring);
    fixture_ring = NULL;
    return 0;
}

static void begin_anew(void)
{
    fixture_remove(root);
    fixture_make(root);
    if (fixture_ring) {
        fixture_remove(ring);
        assert_true(fixture_make_ring(ring));
    }
}

/* What the writer has said of each record, by index. */
typedef enum fate {
    FATE_NONE,
    FATE_PENDING,
    FATE_FLUSHED,
    FATE_SYNCED,
    FATE_LOST, /* with the power, or dropped by retention: may be there or not */
    FATE_FAILED
} fate;

typedef struct oracle {
    fate fates[TEST_RECORDS_MAX];
    uint64_t seqs[TEST_RECORDS_MAX];
    uint64_t next_index;
    uint64_t
        life_index; /* the first of this life: no later one can tell what an earlier one refused */
    uint64_t
        seen[4 * TEST_RECORDS_MAX]; /* by number: the index that some reader has seen under it */
    tmb_tail *tail;
    uint64_t keep_from; /* retention may have dropped what is below; 0: none was */
} oracle;

/* A reader in another process sees what is flushed before it is known to be good. It may see what is then
 * taken back, but never two records with one number. */
static void watch(oracle *o)
{
    tmb_record record;
    tmb_tail_gap gap;
    if (!o->tail)
        assert_int_equal(tmb_tail_open(root, "data", NULL, &o->tail), TMB_OK);
    for (;;) {
        tmb_err err = tmb_tail_next(o->tail, &record, &gap);
        if (err == TMB_EGAP)
            continue;
        if (err)
            break;
        assert_true(record.seq < 4 * TEST_RECORDS_MAX);
        assert_int_equal(o->seen[record.seq], 0);
        o->seen[record.seq] = fixture_index(&record);
    }
    assert_int_equal(tmb_tail_sync(o->tail), TMB_OK);
}

static void settle(oracle *o, fate from_max, fate to)
{
    for (size_t i = 0; i < TEST_RECORDS_MAX; i++) {
        if (o->fates[i] >= FATE_PENDING && o->fates[i] <= from_max)
            o->fates[i] = to;
    }
}

/* Claims rise from pending to flushed to synced; a failure takes those for which nothing was claimed. */
static void append(oracle *o, tmb_journal_stream *stream)
{
    uint64_t index = o->next_index++, seq = 0;
    tmb_record record = fixture_record(index);
    tmb_wall now = {INT64_C(1700000000000) + (int64_t)index};
    tmb_err err = tmb_journal_append(stream, &record, now, &seq);
    o->fates[index] = err ? FATE_FAILED : FATE_PENDING;
    o->seqs[index] = seq;
    if (!err)
        assert_int_equal(o->seen[seq], 0);
    for (uint64_t i = 1; !err && i < index; i++)
        assert_true(o->fates[i] >= FATE_LOST || o->seqs[i] < seq);
}

static void flush(oracle *o, tmb_journal_stream *stream)
{
    settle(o, FATE_PENDING, tmb_journal_flush(stream) ? FATE_FAILED : FATE_FLUSHED);
}

static void sync_all(oracle *o, tmb_journal_stream *stream)
{
    if (tmb_journal_sync(stream))
        settle(o, FATE_PENDING, FATE_FAILED);
    else
        settle(o, FATE_FLUSHED, FATE_SYNCED);
}

static void work(oracle *o, tmb_journal_stream *stream)
{
    for (unsigned i = 0; i < STEPS; i++) {
        append(o, stream);
        if (i % 3 == 2)
            flush(o, stream);
        if (i % 5 == 4)
            sync_all(o, stream);
        watch(o);
    }
    sync_all(o, stream);
    watch(o);
}

/* A sync that fails, whatever else does, while nothing was claimed for records that fill several segments:
 * one is then cut and the others are removed. */
static void work_roughly(oracle *o, tmb_journal_stream *stream)
{
    for (unsigned i = 0; i < 20; i++)
        append(o, stream);
    port.rough_op = TEST_OP_SYNC;
    port.rough_at = port.calls[TEST_OP_SYNC] + 1;
    sync_all(o, stream);
    port.rough_op = -1;
    append(o, stream);
    sync_all(o, stream);
    watch(o);
}

/* What was claimed, and only that, is in the log once it has been settled; whatever failed before. */
static void settle_log(oracle *o, tmb_journal_stream *stream)
{
    static fixture_log log;
    append(o, stream);
    flush(o, stream);
    if (tmb_journal_settle(stream, (tmb_wall){INT64_C(1700000000900)}))
        return; /* to be asked again when the disk is well */
    fixture_read_log(root, "data", &log);
    for (size_t i = 0; i < log.count; i++)
        assert_true(log.indexes[i] < o->life_index || o->fates[log.indexes[i]] != FATE_FAILED);
}

/* Numbers that were given once are not given again, also when that could not be written down at once. */
static void skip_numbers(oracle *o, tmb_journal_stream *stream)
{
    uint64_t seq = tmb_journal_last_seq(stream) + 3;
    tmb_err err =
        tmb_journal_skip(stream, seq, TMB_GAP_MISSING, (tmb_wall){INT64_C(1700000000950)});
    assert_true(tmb_journal_last_seq(stream) >= seq);
    if (err)
        assert_true(port.failed);
    append(o, stream);
    assert_true(o->fates[o->next_index - 1] == FATE_FAILED || o->seqs[o->next_index - 1] > seq);
    sync_all(o, stream);
    watch(o);
}

/* Retention by bytes drops half of the log; what it cannot remove it says, and removes the next time. */
static void retain(oracle *o, tmb_journal *journal, tmb_journal_stream *stream)
{
    tmb_retention rule = {.bytes_max = 2500};
    bool had_failed = port.failed;
    size_t segments = fixture_segments(root, "data");
    uint64_t dropped = tmb_journal_counts_get(journal)->dropped_segments;
    o->keep_from = tmb_journal_last_seq(stream);
    tmb_err err = tmb_journal_retain(stream, &rule, o->keep_from, (tmb_mono){0}, (tmb_wall){1});
    bool fails_now = port.failed && (!had_failed || port.fails_on);
    dropped = tmb_journal_counts_get(journal)->dropped_segments - dropped;
    if (!fails_now)
        assert_int_equal(err, TMB_OK);
    else if (port.fail_op == TEST_OP_UNLINK || (port.fail_op == TEST_OP_SYNC && dropped > 0))
        assert_int_equal(err, TMB_EIO);
    assert_int_equal(fixture_segments(root, "data"), segments - dropped);
    if (err == TMB_OK && !port.failed)
        assert_true(dropped > 0);
}

static int count_entry(void *arg, const char *name)
{
    *(size_t *)arg += name[0] != '.' && strstr(name, ".removed") == NULL;
    return 0;
}

/* A ring is left when it holds what could not be written. */
static bool is_ring_left(void)
{
    size_t count = 0;
    if (fixture_ring)
        tmb_file_port_posix()->list(NULL, ring, count_entry, &count);
    return count > 0;
}

/* As a crash in the middle of a write leaves it; what a ring holds would be torn at bytes of its own. */
static void tear(void)
{
    if (is_ring_left())
        return;
    char path[TEST_PATH_BYTES];
    static uint8_t bytes[1 << 16];
    if (!fixture_newest(root, "data", path))
        return;
    size_t len = fixture_read(path, bytes, sizeof bytes - 8);
    memcpy(bytes + len, "TMBR\x90\0\0", 7);
    fixture_write(path, bytes, len + 7);
}

/* Two lives of a writer. Closing syncs: what is pending then may or may not be there. */
static void live_twice(oracle *o)
{
    for (unsigned life = 0; life < 2; life++) {
        tmb_journal *journal = NULL;
        tmb_journal_stream *stream = NULL;
        tmb_journal_options options = {.root = root,
                                       .node = "s1",
                                       .files = &port.port,
                                       .segment_bytes = SEGMENT_BYTES,
                                       .ring_folder = fixture_ring,
                                       .fresh_incarnation = {{7}}};
        if (tmb_journal_open(&options, &journal, NULL, 0))
            continue;
        o->life_index = o->next_index;
        if (!tmb_journal_stream_open(journal, "data", &stream, NULL, 0)) {
            work(o, stream);
            work_roughly(o, stream);
            settle_log(o, stream);
            sync_all(o, stream);
            skip_numbers(o, stream);
            retain(o, journal, stream);
        }
        tmb_journal_close(journal);
        if (life == 0)
            tear();
    }
}

/* minimum: what must be there. has_failed_out: whether a failed record must not be there. Gives the last
 * number of the log. */
static uint64_t check(const oracle *o, fate minimum, bool has_failed_out)
{
    static fixture_log log;
    bool there[TEST_RECORDS_MAX] = {false};
    uint64_t last_seq = 0;
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.err, TMB_EAGAIN);
    for (size_t i = 0; i < log.count; i++) {
        uint64_t index = log.indexes[i];
        assert_true(index < o->next_index);
        assert_false(there[index]);
        there[index] = true;
        assert_int_equal(o->seqs[index], log.seqs[i]);
        last_seq = log.seqs[i];
        assert_true(o->seen[last_seq] == 0 || o->seen[last_seq] == index);
        if (has_failed_out)
            assert_int_not_equal(o->fates[index], FATE_FAILED);
    }
    uint64_t kept = 1; /* the first number that retention did not drop */
    if (o->keep_from > 0 && log.gaps_count > 0 && log.gaps[0].reason == TMB_GAP_RETENTION)
        kept = log.gaps[0].last_seq + 1;
    assert_true(kept == 1 || kept <= o->keep_from);
    for (size_t i = 1; i < o->next_index; i++) {
        if (o->fates[i] < FATE_LOST && o->fates[i] >= minimum && o->seqs[i] >= kept)
            assert_true(there[i]);
    }
    return last_seq;
}

/* And the next life goes on above every number that is in the log. */
static void check_next(uint64_t last_seq)
{
    tmb_journal *journal = fixture_open(root, NULL, SEGMENT_BYTES);
    assert_true(fixture_append(fixture_stream(journal, "data"), 1, 1) > last_seq);
    tmb_journal_close(journal);
}

static void fail_each(int op, int error, bool fails_on, bool is_short)
{
    unsigned n = 1;
    for (;; n++) {
        oracle o = {.next_index = 1};
        begin_anew();
        test_port_init(&port);
        port.fail_op = op;
        port.fail_at = n;
        port.error = error;
        port.fails_on = fails_on;
        port.is_short = is_short;
        live_twice(&o);
        if (!port.failed) {
            tmb_tail_close(o.tail);
            break;
        }
        if (fixture_ring) { /* what was flushed is there once a disk that is well has opened it */
            tmb_journal *journal = fixture_open(root, NULL, SEGMENT_BYTES);
            fixture_stream(journal, "data");
            assert_int_equal(tmb_journal_counts_get(journal)->ring_troubles, 0);
            tmb_journal_close(journal);
        }
        /* A disk that stays broken to the end can keep what it should not: the cut needs it too. */
        check_next(check(&o, FATE_FLUSHED, !fails_on));
        tmb_tail_close(o.tail);
    }
    if (n == 1)
        fail_msg("call %d of the port was never made, so it never failed", op);
}

static void each_call_fails_once(void **state)
{
    (void)state;
    int count = fixture_ring ? TEST_OP_ALLOCATE : TEST_OP_MAP;
    for (int op = 0; op < count; op++) {
        fail_each(op, EIO, false, false);
        fail_each(op, ENOSPC, false, false);
    }
}

static void each_call_fails_from_then_on(void **state)
{
    (void)state;
    int count = fixture_ring ? TEST_OP_ALLOCATE : TEST_OP_MAP;
    for (int op = 0; op < count; op++) {
        fail_each(op, EIO, true, false);
        fail_each(op, ENOSPC, true, false);
    }
}

static void short_writes(void **state)
{
    (void)state;
    fail_each(TEST_OP_WRITE, ENOSPC, false, true);
    fail_each(TEST_OP_WRITE, ENOSPC, true, true);
    fail_each(TEST_OP_WRITE, EINTR, false, true);
    fail_each(TEST_OP_WRITE, EINTR, false, false);
}

/* A sync that fails after a write that failed: the cut cannot be made either. */
static void nothing_is_appended_while_the_cut_fails(void **state)
{
    (void)state;
    uint64_t seq;
    test_port_init(&port);
    tmb_journal *journal = fixture_open(root, &port.port, 0);
    tmb_journal_stream *stream = fixture_stream(journal, "data");
    tmb_record record = fixture_record(1);
    fixture_append(stream, 1, 1);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    fixture_append(stream, 2, 2);
    port.fail_op = TEST_OP_SYNC;
    port.fail_at = port.calls[TEST_OP_SYNC] + 1;
    assert_int_equal(tmb_journal_sync(stream), TMB_EIO);
    fixture_append(stream, 3, 3);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    fixture_append(stream, 4, 4);
    port.fail_op = TEST_OP_WRITE;
    port.fail_at = port.calls[TEST_OP_WRITE] + 1;
    port.fails_on = true;
    assert_int_equal(tmb_journal_sync(stream), TMB_EIO);
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_EIO);
    assert_int_equal(tmb_journal_append(stream, &record, (tmb_wall){1}, &seq), TMB_EIO);
    port.fail_op = -1;
    fixture_append(stream, 5, 5);
    assert_int_equal(tmb_journal_sync(stream), TMB_OK);
    assert_true(tmb_journal_counts_get(journal)->failures >= 4);
    tmb_journal_close(journal);
    static fixture_log log;
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.count, 3);
    assert_int_equal(log.indexes[1], 3);
    assert_int_equal(log.indexes[2], 5);
    assert_int_equal(log.gaps_count, 2);
    assert_int_equal(log.gaps[0].reason, TMB_GAP_TORN);
}

static void a_reader_comes_through_each_failure(void **state)
{
    (void)state;
    fixture_fill(root, 40, SEGMENT_BYTES);
    for (int op = 0; op < TEST_OP_MAP; op++) {
        for (unsigned n = 1;; n++) {
            tmb_tail *tail = NULL;
            uint64_t expect = 1;
            unsigned errors = 0;
            test_port_init(&port);
            port.fail_op = op;
            port.fail_at = n;
            assert_int_equal(tmb_tail_open(root, "data", &port.port, &tail), TMB_OK);
            for (unsigned turns = 0; turns < 200 && expect <= 40; turns++) {
                tmb_record record;
                tmb_tail_gap gap;
                tmb_err err = tmb_tail_next(tail, &record, &gap);
                assert_int_not_equal(err, TMB_EGAP);
                if (err) {
                    errors++;
                    continue;
                }
                assert_int_equal(record.seq, expect);
                assert_true(fixture_is(&record, expect));
                expect++;
            }
            assert_int_equal(expect, 41);
            assert_true(errors <= 1);
            tmb_tail_close(tail);
            if (!port.failed)
                break;
        }
    }
}

/* ---- what is taken back goes from the end ---- */

/* Of the records 3..., refused together, a log may show a head: whoever reads the later ones without those
 * before them takes these for lost, or for known when they come again. Gives how many it shows. */
static uint64_t check_head(void)
{
    static fixture_log log;
    fixture_read_log(root, "data", &log);
    assert_true(log.count >= 2);
    uint64_t index = 0;
    while (index < log.count && log.indexes[index] == index + 1)
        index++;
    for (uint64_t i = index; i < log.count; i++)
        assert_true(log.indexes[i] > TAKEN_BACK);
    return index - 2;
}

static unsigned heads; /* how often it was shorter than before */

static void look_at_head(void *arg)
{
    uint64_t *last = arg, count = check_head();
    heads += count < *last;
    *last = count;
}

/* Records that fill several segments, and a sync that fails. */
static tmb_journal *fill_up_to_failure(tmb_journal_stream **ret_stream)
{
    test_port_init(&port);
    tmb_journal *journal = fixture_open(root, &port.port, SEGMENT_BYTES);
    *ret_stream = fixture_stream(journal, "data");
    fixture_append(*ret_stream, 1, 2);
    assert_int_equal(tmb_journal_sync(*ret_stream), TMB_OK);
    fixture_append(*ret_stream, 3, TAKEN_BACK);
    assert_true(fixture_segments(root, "data") >= 4);
    port.fail_op = TEST_OP_SYNC;
    port.fail_at = port.calls[TEST_OP_SYNC] + 1;
    return journal;
}

static void a_reader_sees_a_head_of_what_is_taken_back(void **state)
{
    (void)state;
    uint64_t last = TAKEN_BACK;
    tmb_journal_stream *stream;
    tmb_journal *journal = fill_up_to_failure(&stream);
    heads = 0;
    port.before_call = look_at_head;
    port.before_call_arg = &last;
    assert_int_equal(tmb_journal_sync(stream), TMB_EIO);
    port.before_call = NULL;
    assert_true(port.failed);
    assert_true(heads >= 3); /* each file went in a moment of its own */
    assert_int_equal(check_head(), 0);
    fixture_append(stream, TAKEN_BACK + 1, TAKEN_BACK + 2);
    tmb_journal_close(journal);
    assert_int_equal(check_head(), 0);
}

/* And who comes back after a power cut, whatever of it had reached the disk. */
static void the_power_goes_while_it_is_taken_back(void **state)
{
    (void)state;
    tmb_rng rng = {fixture_seed()};
    unsigned partly = 0;
    for (unsigned call = 1;; call++) {
        bool was_late = false;
        for (unsigned round = 0; round < 8; round++) {
            tmb_journal_stream *stream;
            begin_anew();
            tmb_journal *journal = fill_up_to_failure(&stream);
            port.dies_at = call;
            assert_int_equal(tmb_journal_sync(stream), TMB_EIO);
            was_late = !port.is_dead;
            test_port_lose_power(&port, &rng);
            port.is_dead = true;
            tmb_journal_close(journal);
            uint64_t count = check_head();
            partly += count > 0 && count < TAKEN_BACK - 2;
        }
        if (was_late)
            break;
    }
    assert_true(partly > 0);
}

/* Of segments that go together, too, the oldest are gone first, whatever of it had reached the disk. */
static void the_power_goes_while_segments_are_dropped(void **state)
{
    (void)state;
    static fixture_log log;
    tmb_rng rng = {fixture_seed()};
    const tmb_retention rule = {.bytes_max = 2000};
    unsigned partly = 0;
    for (unsigned call = 1, late = 0; late == 0; call++) {
        for (unsigned round = 0; round < 4; round++) {
            begin_anew();
            test_port_init(&port);
            tmb_journal *journal = fixture_open(root, &port.port, SEGMENT_BYTES);
            tmb_journal_stream *stream = fixture_stream(journal, "data");
            fixture_append(stream, 1, 40);
            assert_int_equal(tmb_journal_sync(stream), TMB_OK);
            size_t segments = fixture_segments(root, "data");
            port.dies_at = call;
            tmb_err err = tmb_journal_retain(stream, &rule, 40, (tmb_mono){0}, (tmb_wall){1});
            late += !port.is_dead;
            assert_true(err == (port.is_dead ? TMB_EIO : TMB_OK));
            test_port_lose_power(&port, &rng);
            port.is_dead = true;
            tmb_journal_close(journal);
            fixture_read_log(root, "data", &log);
            assert_true(log.gaps_count <= 1);
            if (log.gaps_count == 1)
                assert_int_equal(log.gaps[0].reason, TMB_GAP_RETENTION);
            size_t left = fixture_segments(root, "data");
            partly += left < segments && left > 4;
        }
    }
    assert_true(partly > 0);
}

/* The power goes after a random number of steps; what was synced must be there, in order. */
static void the_power_goes(void **state)
{
    (void)state;
    tmb_rng rng = {fixture_seed()};
    for (unsigned round = 0; round < 150; round++) {
        oracle o = {.next_index = 1};
        begin_anew();
        for (unsigned life = 0; life < 3; life++) {
            test_port_init(&port);
            tmb_journal *journal = fixture_open(root, &port.port, SEGMENT_BYTES);
            tmb_journal_stream *stream = fixture_stream(journal, "data");
            unsigned steps = (unsigned)tmb_rng_below(&rng, 40);
            for (unsigned i = 0; i < steps; i++) {
                append(&o, stream);
                uint64_t dice = tmb_rng_below(&rng, 8);
                if (dice < 2)
                    flush(&o, stream);
                if (dice == 2)
                    sync_all(&o, stream);
            }
            test_port_lose_power(&port, &rng);
            port.is_dead = true; /* what the process would do on its way out */
            tmb_journal_close(journal);
            if (fixture_ring) { /* memory forgets */
                fixture_remove(ring);
                mkdir(ring, 0700);
            }
            settle(&o, FATE_FLUSHED, FATE_LOST);
            check(&o, FATE_SYNCED, true);
        }
    }
}

int main(void)
{
#define CASE(f)      cmocka_unit_test_setup_teardown(f, setup, teardown)
#define RING_CASE(f) cmocka_unit_test_setup_teardown(f, setup_ring, teardown)
    const struct CMUnitTest tests[] = {
        CASE(each_call_fails_once),
        CASE(each_call_fails_from_then_on),
        CASE(short_writes),
        CASE(nothing_is_appended_while_the_cut_fails),
        CASE(a_reader_comes_through_each_failure),
        CASE(a_reader_sees_a_head_of_what_is_taken_back),
        CASE(the_power_goes_while_it_is_taken_back),
        CASE(the_power_goes_while_segments_are_dropped),
        CASE(the_power_goes),
        RING_CASE(each_call_fails_once),
        RING_CASE(each_call_fails_from_then_on),
        RING_CASE(short_writes),
        RING_CASE(the_power_goes),
    };
    return cmocka_run_group_tests_name("journal.faults", tests, NULL, NULL);
}
