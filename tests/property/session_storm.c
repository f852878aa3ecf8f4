// SPDX-License-Identifier: Apache-2.0
/* tests/property/session_storm.c - the session in a storm of events, honest and not, seeded.
 *
 * The machine asserts its own invariants at every step. Seen from outside, in addition: what it orders can be
 * done (one load a lane, tickets given once and answered once, batches sent only while streaming), a mark is
 * kept only if the parent told it, the batches of a lane go up in the order of its numbers without a hole,
 * whatever its class is and that of the others, a broken contract changes nothing, and a deadline that has
 * come is dealt with in a few steps: no hot loop. TMB_SEED=n plays one seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "syncd/session/session.h"

enum { LANES = 5, LOADS_MAX = 64, STEPS = 3000, SEEDS = 60, STEPS_AT_ONCE_MAX = 12 };

typedef struct asked {
    uint64_t ticket, seq;
    unsigned stream;
} asked;

typedef struct storm {
    tmb_rng rng;
    tmb_session s;
    tmb_session_actions actions;
    asked loads[LOADS_MAX]; /* under way */
    unsigned loads_count;
    uint64_t ticket_last, told[LANES]; /* highest mark the parent told of a lane, in any life */
    uint8_t life[LANES];
    uint64_t last_seq[LANES];
    uint64_t sent;        /* frames, on this link */
    uint64_t next[LANES]; /* where the lane's next batch begins; 0: not known */
    tmb_mono now;
} storm;

static const char *const names[LANES] = {"a", "b", "c", "d", "e"};

static uint64_t below(storm *at, uint64_t n)
{
    return tmb_rng_below(&at->rng, n);
}

static void see_action(storm *at, const tmb_session_action *action)
{
    assert_true(action->stream < LANES);
    switch (action->type) {
    case TMB_SESSION_LOAD:
        assert_int_equal(action->ticket, at->ticket_last + 1);
        at->ticket_last++;
        assert_int_equal(at->s.state, TMB_SESSION_STREAMING);
        for (unsigned i = 0; i < at->loads_count; i++)
            assert_int_not_equal(at->loads[i].stream, action->stream);
        assert_true(at->loads_count < TMB_INFLIGHT_BATCHES_MAX);
        at->loads[at->loads_count++] = (asked){action->ticket, action->seq, action->stream};
        break;
    case TMB_SESSION_PERSIST:
        assert_true(action->seq <= at->told[action->stream]);
        break;
    case TMB_SESSION_SEND_BATCH:
        assert_int_equal(at->s.state, TMB_SESSION_STREAMING);
        assert_int_equal(action->session, at->s.session);
        assert_int_equal(action->epoch, at->s.epoch);
        at->sent++;
        break;
    case TMB_SESSION_SEND:
        assert_non_null(action->frame);
        assert_int_equal(action->epoch, at->s.epoch);
        at->sent++;
        break;
    case TMB_SESSION_TOLD:
        break;
    case TMB_SESSION_DIAL:
        at->sent = 0;
        assert_int_equal(action->epoch, at->s.epoch);
        break;
    case TMB_SESSION_HANGUP:
        assert_int_equal(action->epoch, at->s.epoch);
        break;
    case TMB_SESSION_DROP_BATCH:
    case TMB_SESSION_PROVE:
    case TMB_SESSION_REPORT:
        break;
    }
}

/* Behind the batch before it, or behind a mark that the parent told meanwhile. */
static void see_order(storm *at, const tmb_session_event *event, const tmb_session_action *action)
{
    uint64_t *next = &at->next[action->stream];
    if (action->type == TMB_SESSION_SEND)
        memset(at->next, 0, sizeof at->next);
    if (action->type == TMB_SESSION_REPORT && action->report == TMB_SESSION_REPORT_RESEND)
        *next = 0;
    if (action->type != TMB_SESSION_SEND_BATCH)
        return;
    uint64_t start =
        event->u.loaded.gap_first ? event->u.loaded.gap_first : event->u.loaded.first_seq;
    assert_true(start >= *next);
    if (*next != 0 && start != *next)
        assert_true(start <= at->told[action->stream] + 1);
    *next = event->u.loaded.last_seq + 1;
}

static void give(storm *at, tmb_session_event *event)
{
    unsigned answered = 0;
    event->now = at->now;
    assert_int_equal(tmb_session_step(&at->s, event, &at->actions), TMB_OK);
    assert_true(at->actions.n <= TMB_SESSION_ACTIONS_MAX);
    for (unsigned i = 0; i < at->actions.n; i++) {
        const tmb_session_action *action = &at->actions.v[i];
        if (action->type == TMB_SESSION_SEND_BATCH || action->type == TMB_SESSION_DROP_BATCH) {
            assert_int_equal(event->type, TMB_SESSION_LOADED);
            assert_int_equal(action->ticket, event->u.loaded.ticket);
            answered++;
        }
        see_action(at, action);
        see_order(at, event, action);
    }
    assert_int_equal(answered, event->type == TMB_SESSION_LOADED);
    assert_int_equal(at->sent, at->s.sent);
}

/* Frames leave, one after the other; more time is never less. */
static void give_progress(storm *at)
{
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = at->s.epoch};
    tmb_mono before[LANES];
    event.u.taken = at->s.taken + below(at, at->s.sent - at->s.taken + 1);
    if (below(at, 20) == 0 && event.epoch > 0)
        event.epoch--;
    for (unsigned i = 0; i < LANES; i++)
        before[i] = at->s.lanes[i].ack_deadline;
    tmb_session_state state = at->s.state;
    give(at, &event);
    assert_int_equal(at->s.state, state);
    for (unsigned i = 0; i < LANES; i++)
        assert_true(at->s.lanes[i].ack_deadline.ns >= before[i].ns);
}

static void give_tail(storm *at)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    unsigned i = (unsigned)below(at, LANES);
    if (below(at, 40) == 0) {
        at->life[i]++;
        at->last_seq[i] = 0;
    }
    at->last_seq[i] += below(at, 20);
    if (below(at, 50) == 0)
        at->last_seq[i] /= 2;
    event.u.tail.stream = i;
    event.u.tail.incarnation.bytes[0] = at->life[i];
    event.u.tail.last_seq = at->last_seq[i];
    event.u.tail.first_seq = 1 + below(at, at->last_seq[i] + 1);
    give(at, &event);
}

static void give_load_answer(storm *at)
{
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    if (at->loads_count == 0)
        return;
    unsigned k = (unsigned)below(at, at->loads_count);
    asked load = at->loads[k];
    at->loads[k] = at->loads[--at->loads_count];
    if (below(at, 8) == 0) {
        event.type = TMB_SESSION_LOAD_FAILED;
        event.u.ticket = load.ticket;
        give(at, &event);
        return;
    }
    uint64_t gap = below(at, 6) == 0 ? 1 + below(at, 5) : 0;
    event.u.loaded.ticket = load.ticket;
    event.u.loaded.first_seq = load.seq + gap;
    event.u.loaded.gap_first = gap ? load.seq : 0;
    event.u.loaded.last_seq = load.seq + gap + below(at, 8) - (gap ? 1 : 0);
    give(at, &event);
}

static void make_mark(storm *at, unsigned i, tmb_mark *mark)
{
    const tmb_session_lane *lane = &at->s.lanes[i];
    mark->stream = tmb_bytes_str(names[i]);
    mark->incarnation = lane->incarnation;
    mark->seq = below(at, 3) == 0 ? below(at, lane->last_seq + 1)
                                  : (lane->sent > lane->acked ? lane->sent : lane->acked);
    if (mark->seq > lane->last_seq)
        mark->seq = lane->last_seq;
    if (below(at, 100) == 0)
        mark->seq += below(at, 100);
    if (below(at, 100) == 0)
        mark->incarnation.bytes[0]++;
    if (at->told[i] < mark->seq)
        at->told[i] = mark->seq;
}

static void give_frame(storm *at)
{
    tmb_frame frame = {.type = (tmb_frame_type)(1 + below(at, 5))};
    tmb_session_event event = {.type = TMB_SESSION_FRAME, .epoch = at->s.epoch};
    uint64_t session = below(at, 10) == 0 ? below(at, 5) : at->s.session;
    if (below(at, 3) != 0)
        frame.type = at->s.state == TMB_SESSION_GREETING ? TMB_FRAME_WELCOME : TMB_FRAME_ACK;
    if (frame.type == TMB_FRAME_WELCOME) {
        frame.u.welcome.session = session;
        frame.u.welcome.version = below(at, 50) == 0 ? 3 : 1 + (uint32_t)below(at, 2);
        for (unsigned i = 0; i < LANES; i++) {
            if (at->s.lanes[i].is_greeted && below(at, 200) != 0)
                make_mark(at, i, &frame.u.welcome.marks[frame.u.welcome.marks_count++]);
        }
    } else if (frame.type == TMB_FRAME_ACK) {
        frame.u.ack.session = session;
        make_mark(at, (unsigned)below(at, LANES), &frame.u.ack.mark);
        frame.u.ack.resend = below(at, 6) == 0;
        frame.u.ack.wait_ms = (uint32_t)below(at, 2000);
    } else if (frame.type == TMB_FRAME_BYE) {
        frame.u.bye.session = session;
        frame.u.bye.reason = below(at, 20) == 0 ? TMB_BYE_AHEAD : TMB_BYE_UNKNOWN;
    } else if (below(at, 20) != 0) {
        return; /* what no parent may say: rarely, it ends the link */
    }
    event.u.frame = &frame;
    give(at, &event);
}

static void give_broken(storm *at)
{
    static tmb_session before;
    tmb_session_event event = {.type = TMB_SESSION_TIMEOUT, .now = {at->now.ns - 1}};
    if (below(at, 2) == 0) {
        event.now = at->now;
        event.type = TMB_SESSION_TAIL;
        event.u.tail.stream = (unsigned)below(at, LANES);
        event.u.tail.first_seq = 2 + below(at, 9);
    } else if (below(at, 2) == 0) {
        event.now = at->now;
        event.type = TMB_SESSION_PROGRESS;
        event.epoch = at->s.epoch;
        event.u.taken = at->s.sent + 1 + below(at, 9);
    }
    memcpy(&before, &at->s, sizeof before);
    assert_int_equal(tmb_session_step(&at->s, &event, &at->actions), TMB_EINVAL);
    assert_int_equal(at->actions.n, 0);
    assert_memory_equal(&before, &at->s, sizeof before);
}

/* Time goes on to the deadline, and what is due is done in a few steps. */
static void give_timeouts(storm *at)
{
    tmb_session_event event = {.type = TMB_SESSION_TIMEOUT};
    tmb_mono deadline = tmb_session_deadline(&at->s);
    if (deadline.ns == INT64_MAX)
        return;
    if (at->now.ns < deadline.ns)
        at->now = deadline;
    for (unsigned i = 0; tmb_session_deadline(&at->s).ns <= at->now.ns; i++) {
        assert_true(i < STEPS_AT_ONCE_MAX);
        give(at, &event);
    }
}

static void give_something(storm *at)
{
    tmb_session_event event = {.type = TMB_SESSION_START, .epoch = at->s.epoch};
    switch (below(at, 18)) {
    case 0:
    case 1:
    case 2:
        give_tail(at);
        return;
    case 3:
    case 4:
    case 5:
    case 6:
        give_load_answer(at);
        return;
    case 7:
    case 8:
    case 9:
    case 10:
        give_frame(at);
        return;
    case 11:
        give_timeouts(at);
        return;
    case 12:
        at->now.ns += (int64_t)below(at, 300000000);
        event.type = TMB_SESSION_TIMEOUT;
        break;
    case 13:
        event.type = TMB_SESSION_LINK_UP;
        event.epoch -= below(at, 4) == 0 && event.epoch > 0;
        break;
    case 14:
        event.type = below(at, 10) == 0 ? TMB_SESSION_LINK_DOWN : TMB_SESSION_LINK_UP;
        break;
    case 15:
    case 16:
        give_progress(at);
        return;
    default:
        if (below(at, 20) == 0)
            event.type = TMB_SESSION_FRAME_BAD;
        else
            give_broken(at);
        break;
    }
    give(at, &event);
}

static uint64_t blow(storm *at, uint64_t seed)
{
    tmb_session_options options = {.node = "s1",
                                   .streams_count = LANES,
                                   .seed = seed,
                                   .dial_timeout = tmb_dur_ms(900),
                                   .hello_timeout = tmb_dur_ms(800),
                                   .ack_timeout = tmb_dur_ms(700),
                                   .backoff_base = tmb_dur_ms(50),
                                   .backoff_cap = tmb_dur_ms(5000),
                                   .batch_bytes = 1};
    uint64_t streamed = 0;
    memcpy(options.streams, names, sizeof names);
    memset(at, 0, sizeof *at);
    at->rng.state = seed;
    for (unsigned i = 0; i < LANES; i++) {
        options.classes[i] = (tmb_class)below(at, TMB_CLASSES);
        options.is_live[i] = below(at, 4) == 0;
    }
    tmb_session_init(&at->s, &options, at->now);
    for (unsigned i = 0; i < STEPS; i++) {
        give_something(at);
        streamed += at->s.state == TMB_SESSION_STREAMING;
        if (at->s.state == TMB_SESSION_FENCED) /* people came */
            tmb_session_init(&at->s, &options, at->now), at->loads_count = 0, at->ticket_last = 0,
                                                         at->sent = 0;
    }
    return streamed;
}

static void storms_break_nothing(void **state)
{
    static storm at;
    const char *only = getenv("TMB_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, count = only ? 1 : SEEDS, streamed = 0;
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        streamed += blow(&at, seed);
    }
    assert_true(streamed > count * STEPS / 10); /* the storm is worth its name only out at sea */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(storms_break_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
