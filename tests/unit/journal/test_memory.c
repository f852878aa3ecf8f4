// SPDX-License-Identifier: Apache-2.0
/* Memory runs out at the 1st, the 2nd, ... call for some, once or from then on, through everything that the
 * journal can be asked: it says so (TMB_ENOMEM), keeps what it claimed, goes on when there is memory again,
 * and gives back all it took.
 *
 * The linker puts the functions here in the place of malloc and its like (--wrap), for this program alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/identity.h"
#include "tests/unit/journal/fixture.h"

#define SEGMENT_BYTES 700
#define STEPS         30

static char root[TEST_PATH_BYTES];

/* ---- memory that runs out ---- */

static struct {
    bool is_counting;
    unsigned calls, fail_at; /* 0: never */
    bool fails_on;
    unsigned fired;
    long taken; /* not given back yet */
} memory;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *at, size_t bytes);
void __real_free(void *at);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *at, size_t bytes);
void __wrap_free(void *at);

static bool runs_out(void)
{
    if (!memory.is_counting)
        return false;
    memory.calls++;
    bool now = memory.fail_at > 0 && (memory.calls == memory.fail_at ||
                                      (memory.fails_on && memory.calls > memory.fail_at));
    memory.fired += now;
    return now;
}

static void *given(void *at)
{
    memory.taken += at != NULL;
    return at;
}

void *__wrap_malloc(size_t bytes)
{
    return runs_out() ? NULL : given(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return runs_out() ? NULL : given(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *at, size_t bytes)
{
    if (runs_out())
        return NULL;
    void *fresh = __real_realloc(at, bytes);
    memory.taken += at == NULL && fresh != NULL;
    return fresh;
}

void __wrap_free(void *at)
{
    memory.taken -= at != NULL;
    __real_free(at);
}

/* ---- what was claimed ---- */

typedef struct oracle {
    uint64_t seqs[TEST_RECORDS_MAX];
    bool is_pending[TEST_RECORDS_MAX], is_claimed[TEST_RECORDS_MAX], is_refused[TEST_RECORDS_MAX];
    uint64_t next_index;
    uint64_t keep_from; /* retention may have dropped what is below */
    unsigned refusals;
} oracle;

static void settle(oracle *o, bool is_good)
{
    for (uint64_t i = 1; i < o->next_index; i++) {
        if (!o->is_pending[i])
            continue;
        o->is_pending[i] = false;
        (is_good ? o->is_claimed : o->is_refused)[i] = true;
    }
}

/* Nothing else may go wrong than memory, and that only when it did. */
static bool is_good(oracle *o, tmb_err err)
{
    if (err == TMB_OK)
        return true;
    assert_true(memory.fired > 0);
    o->refusals++;
    return false;
}

static void append(oracle *o, tmb_journal_stream *stream)
{
    uint64_t index = o->next_index++;
    tmb_record record = fixture_record(index);
    tmb_err err = tmb_journal_append(
        stream, &record, (tmb_wall){INT64_C(1700000000000) + (int64_t)index}, &o->seqs[index]);
    if (err != TMB_OK)
        assert_int_equal(err, TMB_ENOMEM);
    if (is_good(o, err))
        o->is_pending[index] = true;
    else
        o->is_refused[index] = true;
}

static void work(oracle *o, tmb_journal *journal, tmb_journal_stream *stream)
{
    static const tmb_retention rule = {.bytes_max = 2500};
    for (unsigned i = 0; i < STEPS; i++) {
        append(o, stream);
        if (i % 3 == 2)
            settle(o, is_good(o, tmb_journal_flush(stream)));
        if (i % 5 == 4)
            settle(o, is_good(o, tmb_journal_sync(stream)));
        if (i == 20)
            (void)is_good(o, tmb_journal_skip(stream, tmb_journal_last_seq(stream) + 7,
                                              TMB_GAP_MISSING, (tmb_wall){INT64_C(1700000000500)}));
    }
    settle(o, is_good(o, tmb_journal_settle(stream, (tmb_wall){INT64_C(1700000001000)})));
    settle(o, is_good(o, tmb_journal_sync(stream)));
    o->keep_from = tmb_journal_last_seq(stream);
    (void)is_good(o, tmb_journal_retain(stream, &rule, o->keep_from, (tmb_mono){0}, (tmb_wall){1}));
    assert_int_equal(tmb_journal_counts_get(journal)->damaged_ranges, 0);
}

/* Opens until it works, or memory is gone for good. */
static void live(oracle *o)
{
    for (unsigned tries = 0; tries < 2; tries++) {
        tmb_journal *journal = NULL;
        tmb_journal_stream *stream = NULL;
        tmb_journal_options options = {.root = root,
                                       .node = "s1",
                                       .segment_bytes = SEGMENT_BYTES,
                                       .fresh_incarnation = {{7, 7, 7, 7}}};
        char text[256] = "";
        tmb_err err = tmb_journal_open(&options, &journal, text, sizeof text);
        if (err == TMB_OK)
            err = tmb_journal_stream_open(journal, "data", &stream, text, sizeof text);
        if (err == TMB_OK)
            work(o, journal, stream);
        else
            assert_int_equal(err, TMB_ENOMEM);
        tmb_journal_close(journal);
        settle(o, false);
        if (is_good(o, err))
            return;
    }
}

/* A reader that meets ENOMEM is told, loses its place by nothing, and reads on when it asks again. */
static void read_all(oracle *o)
{
    tmb_tail *tail = NULL;
    tmb_err err = TMB_ENOMEM;
    for (unsigned tries = 0; tries < 2 && err != TMB_OK; tries++) {
        err = tmb_tail_open(root, "data", NULL, &tail);
        (void)is_good(o, err);
    }
    uint64_t last = 0;
    for (unsigned turns = 0; err == TMB_OK && turns < 4 * TEST_RECORDS_MAX; turns++) {
        tmb_record record;
        tmb_tail_gap gap;
        tmb_err one = tmb_tail_next(tail, &record, &gap);
        if (one == TMB_EAGAIN)
            break;
        if (one == TMB_EGAP) {
            assert_true(gap.last_seq == 0 || gap.first_seq == last + 1);
            last = gap.last_seq ? gap.last_seq : last;
        } else if (is_good(o, one)) {
            assert_int_equal(record.seq, last + 1);
            assert_true(fixture_is(&record, fixture_index(&record)));
            last = record.seq;
        } else {
            assert_int_equal(one, TMB_ENOMEM);
        }
    }
    if (err == TMB_OK)
        (void)is_good(o, tmb_tail_seek(tail, last / 2));
    if (err == TMB_OK)
        (void)is_good(o, tmb_tail_seek_time(tail, (tmb_wall){INT64_C(1700000000003)}));
    tmb_tail_close(tail);
    tmb_verify_report report;
    tmb_identity identity;
    (void)is_good(o, tmb_verify_stream(root, "data", NULL, NULL, NULL, &report));
    (void)is_good(o, tmb_identity_find(tmb_file_port_posix(), root, &identity));
}

/* With memory again: all that was claimed is there, nothing that was refused is, and the journal goes on. */
static void check(const oracle *o)
{
    static fixture_log log;
    bool there[TEST_RECORDS_MAX] = {false};
    fixture_read_log(root, "data", &log);
    assert_int_equal(log.err, TMB_EAGAIN);
    for (size_t i = 0; i < log.count; i++) {
        assert_false(there[log.indexes[i]]);
        there[log.indexes[i]] = true;
        assert_false(o->is_refused[log.indexes[i]]);
    }
    uint64_t kept = 1;
    if (log.gaps_count > 0 && log.gaps[0].reason == TMB_GAP_RETENTION)
        kept = log.gaps[0].last_seq + 1;
    assert_true(kept == 1 || kept <= o->keep_from);
    for (uint64_t i = 1; i < o->next_index; i++)
        assert_true(!o->is_claimed[i] || o->seqs[i] < kept || there[i]);
    tmb_journal *journal = fixture_open(root, NULL, SEGMENT_BYTES);
    uint64_t next = fixture_append(fixture_stream(journal, "data"), o->next_index, o->next_index);
    assert_true(log.count == 0 || next > log.seqs[log.count - 1]);
    tmb_journal_close(journal);
}

/* Gives whether it came to the call that fails. */
static bool run(unsigned fail_at, bool fails_on)
{
    static oracle o;
    memset(&o, 0, sizeof o);
    o.next_index = 1;
    fixture_make(root);
    memory.calls = memory.fired = 0;
    memory.fail_at = fail_at;
    memory.fails_on = fails_on;
    memory.taken = 0;
    memory.is_counting = true;
    live(&o);
    live(&o);
    read_all(&o);
    memory.is_counting = false;
    assert_int_equal(memory.taken, 0);
    assert_true((memory.fired > 0) == (o.refusals > 0));
    if (access(root, F_OK) == 0 && fixture_segments(root, "data") > 0)
        check(&o);
    fixture_remove(root);
    return memory.fired > 0;
}

static void it_works_with_memory(void **state)
{
    (void)state;
    assert_false(run(0, false));
    assert_true(memory.calls > 10);
}

static void each_call_fails_once(void **state)
{
    (void)state;
    unsigned n = 1;
    while (run(n, false))
        n++;
    print_message("%u calls for memory\n", n - 1);
    assert_true(n > 10);
}

static void each_call_fails_from_then_on(void **state)
{
    (void)state;
    unsigned n = 1;
    while (run(n, true))
        n++;
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_works_with_memory),
        cmocka_unit_test(each_call_fails_once),
        cmocka_unit_test(each_call_fails_from_then_on),
    };
    return cmocka_run_group_tests_name("journal.memory", tests, NULL, NULL);
}
