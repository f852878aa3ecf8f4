// SPDX-License-Identifier: Apache-2.0
/* tests/property/session_intake_storm.c - the intake in a storm of events, seeded.
 *
 * The machine asserts its own invariants. Seen from outside, in addition: no ACK and no WELCOME is ahead of
 * what the shell has said is durable, a stream is stored in order without a hole that nobody declared, and
 * every batch comes back exactly once: by DROP, or by PERSIST. TMB_SEED=n plays one seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "syncd/hub/intake.h"

enum { LANES = 3, LIVES = 2, BATCHES_MAX = 4096, STEPS = 3000, SEEDS = 60 };

typedef enum fate { WITH_INTAKE = 1, STORING, GONE } fate;

typedef struct held {
    fate fate;
    unsigned lane, life;
    uint64_t first_seq, last_seq, from;
} held;

typedef struct storm {
    tmb_rng rng;
    tmb_intake intake;
    tmb_intake_actions actions;
    held batches[BATCHES_MAX]; /* by ticket */
    uint64_t ticket_last, session;
    unsigned life[LANES];
    uint64_t durable[LIVES][LANES];
    uint64_t acks, stored;
    tmb_mono now;
} storm;

static const char *const names[LANES] = {"a", "b", "c"};

static uint64_t below(storm *at, uint64_t n)
{
    return tmb_rng_below(&at->rng, n);
}

static void see_mark(storm *at, const tmb_mark *mark)
{
    unsigned lane = (unsigned)(mark->stream.ptr[0] - 'a');
    assert_true(lane < LANES && mark->incarnation.bytes[0] < LIVES);
    assert_true(mark->seq <= at->durable[mark->incarnation.bytes[0]][lane]);
}

static void see_frame(storm *at, const tmb_frame *frame)
{
    uint8_t bytes[8192];
    size_t len;
    assert_int_equal(tmb_frame_encode(frame, bytes, sizeof bytes, &len), TMB_OK);
    if (frame->type == TMB_FRAME_ACK) {
        see_mark(at, &frame->u.ack.mark);
        at->acks++;
    } else if (frame->type == TMB_FRAME_WELCOME) {
        for (unsigned i = 0; i < frame->u.welcome.marks_count; i++)
            see_mark(at, &frame->u.welcome.marks[i]);
    } else {
        assert_int_equal(frame->type, TMB_FRAME_BYE);
    }
}

static void give(storm *at, tmb_intake_event *event)
{
    event->now = at->now;
    assert_int_equal(tmb_intake_step(&at->intake, event, &at->actions), TMB_OK);
    assert_true(at->actions.n <= TMB_INTAKE_ACTIONS_MAX);
    for (unsigned i = 0; i < at->actions.n; i++) {
        const tmb_intake_action *action = &at->actions.v[i];
        if (action->type == TMB_INTAKE_DROP || action->type == TMB_INTAKE_PERSIST) {
            assert_in_range(action->ticket, 1, at->ticket_last);
            held *batch = &at->batches[action->ticket];
            assert_int_equal(batch->fate, WITH_INTAKE);
            batch->fate = action->type == TMB_INTAKE_DROP ? GONE : STORING;
            if (batch->fate == STORING)
                assert_true(batch->from <= at->durable[batch->life][batch->lane] + 1);
        } else if (action->type == TMB_INTAKE_SEND) {
            see_frame(at, action->frame);
        }
    }
}

static void give_frame(storm *at, tmb_frame *frame, uint64_t ticket)
{
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME, .ticket = ticket};
    event.u.frame = frame;
    give(at, &event);
}

static void give_hello(storm *at)
{
    tmb_frame frame = {.type = TMB_FRAME_HELLO};
    tmb_frame_hello *hello = &frame.u.hello;
    hello->session = below(at, 5) == 0 ? at->session : ++at->session;
    hello->node = tmb_bytes_str(below(at, 20) == 0 ? "s2" : "s1");
    hello->version_min = hello->version_max =
        1 + (uint32_t)(below(at, 20) == 0 ? TMB_PROTOCOL_VERSION : below(at, TMB_PROTOCOL_VERSION));
    unsigned first = (unsigned)below(at, LANES);
    for (unsigned k = 0; k < LANES; k++) {
        unsigned i = (first + k) % LANES;
        if (below(at, 10) == 0)
            continue;
        if (below(at, 10) == 0)
            at->life[i] = (unsigned)below(at, LIVES);
        tmb_stream_state *told = &hello->streams[hello->streams_count++];
        told->name = tmb_bytes_str(names[i]);
        told->incarnation.bytes[0] = (uint8_t)at->life[i];
        told->first_seq = 1;
        told->last_seq = below(at, 1000);
    }
    give_frame(at, &frame, 0);
}

static void give_marks(storm *at)
{
    uint64_t seqs[TMB_STREAMS_MAX] = {0};
    tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
    for (unsigned i = 0; i < at->intake.lanes_count; i++) {
        const tmb_intake_lane *lane = &at->intake.lanes[i];
        seqs[i] = at->durable[lane->incarnation.bytes[0]][lane->stream[0] - 'a'];
    }
    event.u.marks.session = at->intake.session - (below(at, 10) == 0);
    event.u.marks.seqs = seqs;
    give(at, &event);
}

static void give_batch(storm *at)
{
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    tmb_frame_batch *batch = &frame.u.batch;
    unsigned i = (unsigned)below(at, LANES);
    const tmb_intake_lane *lane = NULL;
    for (unsigned k = 0; k < at->intake.lanes_count; k++) {
        if (at->intake.lanes[k].stream[0] == names[i][0])
            lane = &at->intake.lanes[k];
    }
    uint64_t next = (lane ? lane->received : 0) + 1;
    batch->session = below(at, 20) == 0 ? 0 : at->intake.session;
    batch->stream = tmb_bytes_str(names[i]);
    batch->incarnation.bytes[0] =
        (uint8_t)(lane && below(at, 200) != 0 ? lane->incarnation.bytes[0] : at->life[i]);
    batch->first_seq = below(at, 5) == 0 ? next + below(at, 9) : next;
    if (below(at, 5) == 0 && next > 8)
        batch->first_seq = next - below(at, 8);
    batch->last_seq = batch->first_seq + below(at, 9);
    if (below(at, 6) == 0 && batch->first_seq > 1)
        batch->gap_first = 1 + below(at, batch->first_seq - 1);
    batch->gap_reason = batch->gap_first ? TMB_GAP_TORN : TMB_GAP_NONE;
    held *copy = &at->batches[++at->ticket_last];
    *copy = (held){WITH_INTAKE,
                   i,
                   batch->incarnation.bytes[0],
                   batch->first_seq,
                   batch->last_seq,
                   batch->gap_first ? batch->gap_first : batch->first_seq};
    give_frame(at, &frame, at->ticket_last);
}

/* Any batch that is being stored, also one whose session is long gone. */
static void give_answer(storm *at)
{
    tmb_intake_event event = {.type = TMB_INTAKE_STORED};
    uint64_t ticket = at->ticket_last;
    while (ticket > 0 && (at->batches[ticket].fate != STORING || below(at, 3) == 0))
        ticket--;
    if (ticket == 0)
        return;
    held *batch = &at->batches[ticket];
    uint64_t *durable = &at->durable[batch->life][batch->lane];
    batch->fate = GONE;
    event.ticket = ticket;
    if (below(at, 5) == 0) {
        event.type = TMB_INTAKE_STORE_FAILED;
        event.is_malformed = below(at, 10) == 0;
    } else {
        at->stored++;
        if (*durable < batch->last_seq)
            *durable = batch->last_seq;
    }
    give(at, &event);
}

static void give_something(storm *at)
{
    tmb_intake_event event = {.type = TMB_INTAKE_RESET};
    tmb_frame frame = {.type = (tmb_frame_type)(TMB_FRAME_ACK + below(at, 2))};
    at->now.ns += (int64_t)below(at, 200000000);
    uint64_t dice = below(at, 100);
    if (dice < 8 || (at->intake.state == TMB_INTAKE_IDLE && dice < 50)) {
        give_hello(at);
    } else if (dice < 16 || at->intake.state == TMB_INTAKE_GREETING) {
        give_marks(at);
    } else if (dice < 60) {
        give_batch(at);
    } else if (dice < 97) {
        give_answer(at);
    } else if (dice == 97) {
        frame.u.bye.session = at->intake.session;
        frame.u.bye.reason = TMB_BYE_CLOSING;
        give_frame(at, &frame, 0);
    } else {
        event.type = dice == 98 ? TMB_INTAKE_FRAME_BAD : TMB_INTAKE_RESET;
        give(at, &event);
    }
}

static void blow(storm *at, uint64_t seed)
{
    tmb_intake_event reset = {.type = TMB_INTAKE_RESET};
    memset(at, 0, sizeof *at);
    at->rng.state = seed;
    tmb_intake_init(&at->intake, tmb_bytes_str("s1"), "hub", true);
    for (unsigned i = 0; i < STEPS; i++)
        give_something(at);
    give(at, &reset);
    for (uint64_t ticket = 1; ticket <= at->ticket_last; ticket++)
        assert_int_not_equal(at->batches[ticket].fate, WITH_INTAKE);
}

static void storms_break_nothing(void **state)
{
    static storm at;
    const char *only = getenv("TMB_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, count = only ? 1 : SEEDS, stored = 0;
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        blow(&at, seed);
        assert_true(at.acks > 0);
        stored += at.stored;
    }
    assert_true(stored > count * STEPS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(storms_break_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
