// SPDX-License-Identifier: Apache-2.0
/* tests/property/twins_storm.c - two boxes with one name and one incarnation, seeded: what one has under a
 * number is never taken for what the other has.
 *
 * Both journals begin alike and go apart; the boxes run at once or in turn, crash, are cut off, and come
 * back from where they were; frames are late and get lost; the parent stores when it likes. After each
 * step what the parent has stored must be the beginning of one of the two journals, and a chain of it must
 * be that one's. The machines and the chain are the daemon's own; the rest is played. TMB_SEED=n plays one
 * seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "syncd/hub/intake.h"
#include "syncd/session/session.h"

enum { BOXES = 2, LOG_MAX = 400, FRAMES_MAX = 64, BATCHES_MAX = 8192, STEPS = 800, SEEDS = 3000 };

/* A journal: record n is `base` up to the fork and the box's own behind it. */
typedef struct box {
    tmb_session session;
    bool is_on, is_linked;
    uint64_t last_seq, epoch, runs;
    uint64_t load_ticket, load_seq, prove_ticket; /* asked for; 0: nothing */
    uint64_t loaded_first, loaded_last;           /* what LOADED has just told of */
    tmb_chain told;
} box;

typedef struct post {
    bool is_down;    /* from the parent, to both boxes */
    unsigned from;   /* which box said it */
    uint64_t epoch;  /* of the box's dial; down: none */
    tmb_frame frame; /* slices in it are of static text */
} post;

typedef struct storm {
    tmb_rng rng;
    tmb_mono now;
    box boxes[BOXES];
    uint64_t fork;
    tmb_intake intake;
    post posts[FRAMES_MAX];
    unsigned posts_count;
    uint64_t ticket_last;
    struct {
        unsigned from;
        bool is_storing;
        uint64_t first_seq, last_seq;
    } batches[BATCHES_MAX];
    int owner[LOG_MAX +
              1]; /* whose record the parent has under a number; -1: none, BOXES: of both */
    uint64_t stored;
    tmb_chain chain;
    unsigned fenced, twins;
} storm;

static uint64_t below(storm *at, uint64_t n)
{
    return tmb_rng_below(&at->rng, n);
}

static void add_record(const storm *at, tmb_chain *chain, unsigned owner, uint64_t seq)
{
    uint64_t record[2] = {seq, seq <= at->fork ? BOXES : owner};
    tmb_chain_add(chain, seq, tmb_bytes_of((const uint8_t *)record, sizeof record));
}

static void post_frame(storm *at, bool is_down, unsigned from, const tmb_frame *frame)
{
    if (at->posts_count == FRAMES_MAX || below(at, 50) == 0)
        return; /* lost */
    at->posts[at->posts_count++] =
        (post){.is_down = is_down, .from = from, .epoch = at->boxes[from].epoch, .frame = *frame};
}

static void do_intake(storm *at, tmb_intake_event *event)
{
    tmb_intake_actions actions;
    event->now = at->now;
    assert_int_equal(tmb_intake_step(&at->intake, event, &actions), TMB_OK);
    for (unsigned i = 0; i < actions.n; i++) {
        const tmb_intake_action *action = &actions.v[i];
        if (action->type == TMB_INTAKE_PERSIST)
            at->batches[action->ticket].is_storing = true;
        else if (action->type == TMB_INTAKE_SEND)
            post_frame(at, true, 0, action->frame);
        else if (action->type == TMB_INTAKE_LOAD_MARKS) {
            tmb_intake_event marks = {.type = TMB_INTAKE_MARKS};
            marks.u.marks.session = action->session;
            marks.u.marks.seqs = &at->stored;
            marks.u.marks.chains = &at->chain;
            do_intake(at, &marks);
            return; /* it was the last */
        } else if (action->type == TMB_INTAKE_REPORT) {
            at->twins += action->report == TMB_INTAKE_REPORT_TWIN;
        }
    }
}

static void do_box(storm *at, unsigned i, tmb_session_event *event)
{
    box *b = &at->boxes[i];
    tmb_session_actions actions;
    event->now = at->now;
    assert_int_equal(tmb_session_step(&b->session, event, &actions), TMB_OK);
    for (unsigned k = 0; k < actions.n; k++) {
        const tmb_session_action *action = &actions.v[k];
        tmb_frame frame = {.type = TMB_FRAME_BATCH};
        switch (action->type) {
        case TMB_SESSION_DIAL:
            b->epoch = action->epoch;
            b->is_linked = false;
            break;
        case TMB_SESSION_HANGUP:
            b->is_linked = false;
            break;
        case TMB_SESSION_SEND:
            if (action->epoch == b->epoch && b->is_linked)
                post_frame(at, false, i, action->frame);
            break;
        case TMB_SESSION_SEND_BATCH:
            frame.u.batch.session = action->session;
            frame.u.batch.stream = tmb_bytes_str("a");
            frame.u.batch.first_seq = b->loaded_first;
            frame.u.batch.last_seq = b->loaded_last;
            if (b->is_linked)
                post_frame(at, false, i, &frame);
            break;
        case TMB_SESSION_LOAD:
            b->load_ticket = action->ticket;
            b->load_seq = action->seq;
            break;
        case TMB_SESSION_PROVE:
            b->prove_ticket = action->ticket;
            b->told = *action->chain;
            break;
        case TMB_SESSION_REPORT:
            at->fenced += action->report == TMB_SESSION_REPORT_FORKED ||
                          action->report == TMB_SESSION_REPORT_AHEAD;
            break;
        case TMB_SESSION_DROP_BATCH:
        case TMB_SESSION_PERSIST:
        case TMB_SESSION_TOLD:
            break;
        }
    }
}

static void tell_tail(storm *at, unsigned i)
{
    tmb_session_event event = {.type = TMB_SESSION_TAIL};
    event.u.tail.first_seq = 1;
    event.u.tail.last_seq = at->boxes[i].last_seq;
    do_box(at, i, &event);
}

/* A run of the daemon: whatever stopped the one before, a crash or an operator. */
static void start_box(storm *at, unsigned i)
{
    box *b = &at->boxes[i];
    tmb_session_event start = {.type = TMB_SESSION_START};
    tmb_session_options options = {.node = "s1",
                                   .streams = {"a"},
                                   .streams_count = 1,
                                   .box = 1 + (++b->runs) * BOXES + i,
                                   .seed = tmb_rng_next(&at->rng),
                                   .dial_timeout = tmb_dur_ms(1000),
                                   .hello_timeout = tmb_dur_ms(1000),
                                   .ack_timeout = tmb_dur_ms(2000),
                                   .backoff_base = tmb_dur_ms(100),
                                   .backoff_cap = tmb_dur_ms(1000),
                                   .batch_bytes = 4096};
    tmb_session_init(&b->session, &options, at->now);
    b->is_on = true;
    b->is_linked = false;
    b->load_ticket = b->prove_ticket = 0;
    tell_tail(at, i);
    do_box(at, i, &start);
}

static void answer_load(storm *at, unsigned i)
{
    box *b = &at->boxes[i];
    tmb_session_event event = {.type = TMB_SESSION_LOADED};
    uint64_t last = b->load_seq + below(at, 6);
    last = last < b->last_seq ? last : b->last_seq;
    event.u.loaded.ticket = b->load_ticket;
    event.u.loaded.first_seq = b->load_seq;
    event.u.loaded.last_seq = last;
    b->loaded_first = b->load_seq;
    b->loaded_last = last;
    b->load_ticket = 0;
    do_box(at, i, &event);
}

static void answer_proof(storm *at, unsigned i)
{
    box *b = &at->boxes[i];
    tmb_session_event event = {.type = TMB_SESSION_PROVED};
    tmb_chain here = {.seq = 0};
    for (uint64_t seq = tmb_chain_begin(b->told.seq); seq <= b->told.seq; seq++)
        add_record(at, &here, i, seq);
    assert_true(here.is_known);
    event.u.proved.ticket = b->prove_ticket;
    event.u.proved.proof = memcmp(here.value, b->told.value, sizeof here.value) == 0
                               ? TMB_PROOF_SAME
                               : TMB_PROOF_FORKED;
    b->prove_ticket = 0;
    do_box(at, i, &event);
}

static void deliver_up(storm *at, post *p)
{
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME};
    event.u.frame = &p->frame;
    if (p->frame.type == TMB_FRAME_BATCH) {
        event.ticket = ++at->ticket_last;
        assert_true(event.ticket < BATCHES_MAX);
        at->batches[event.ticket].from = p->from;
        at->batches[event.ticket].first_seq = p->frame.u.batch.first_seq;
        at->batches[event.ticket].last_seq = p->frame.u.batch.last_seq;
    }
    do_intake(at, &event);
}

/* In the order of each connection, but between connections as it comes. */
static void deliver(storm *at)
{
    unsigned k = (unsigned)below(at, at->posts_count);
    for (unsigned i = 0; i < k; i++) {
        if (at->posts[i].is_down == at->posts[k].is_down && at->posts[i].from == at->posts[k].from)
            k = i;
    }
    post p = at->posts[k];
    memmove(&at->posts[k], &at->posts[k + 1], (--at->posts_count - k) * sizeof p);
    if (!p.is_down) {
        deliver_up(at, &p);
        return;
    }
    for (unsigned i = 0; i < BOXES; i++) {
        tmb_session_event event = {.type = TMB_SESSION_FRAME, .epoch = at->boxes[i].epoch};
        event.u.frame = &p.frame;
        if (at->boxes[i].is_on && at->boxes[i].is_linked && below(at, 20) != 0)
            do_box(at, i, &event);
    }
}

static uint64_t failing;

static void check(const storm *at)
{
    int owner = BOXES;
    for (uint64_t seq = 1; seq <= at->stored; seq++) {
        if (seq <= at->fork)
            continue;
        assert_in_range(at->owner[seq], 0, BOXES - 1);
        if (owner != BOXES && owner != at->owner[seq])
            fail_msg("seed %llu: two pasts are one at %llu", (unsigned long long)failing,
                     (unsigned long long)seq);
        owner = at->owner[seq];
    }
}

static void store_something(storm *at)
{
    tmb_intake_event event = {.type = TMB_INTAKE_STORED};
    uint64_t ticket = at->ticket_last;
    while (ticket > 0 && !at->batches[ticket].is_storing)
        ticket--;
    if (ticket == 0)
        return;
    at->batches[ticket].is_storing = false;
    event.ticket = ticket;
    if (below(at, 10) == 0) {
        event.type = TMB_INTAKE_STORE_FAILED;
        do_intake(at, &event);
        return;
    }
    for (uint64_t seq = at->batches[ticket].first_seq; seq <= at->batches[ticket].last_seq; seq++) {
        if (seq != at->stored + 1)
            continue;
        at->owner[seq] = (int)at->batches[ticket].from;
        at->stored = seq;
        add_record(at, &at->chain, at->batches[ticket].from, seq);
    }
    check(at);
    tmb_chain chain = at->chain;
    event.u.chain = &chain;
    do_intake(at, &event);
}

static void disturb_box(storm *at, unsigned i)
{
    box *b = &at->boxes[i];
    tmb_session_event event = {.type = TMB_SESSION_LINK_DOWN, .epoch = b->epoch};
    if (!b->is_on) {
        if (below(at, 10) == 0)
            start_box(at, i);
    } else if (below(at, 30) == 0) {
        tmb_session_event close = {.type = TMB_SESSION_CLOSE};
        if (below(at, 2) == 0)
            do_box(at, i, &close);       /* else killed, and nobody says BYE */
        b->is_on = b->is_linked = false; /* what it has said may be on its way still */
    } else if (b->is_linked && below(at, 12) == 0) {
        b->is_linked = false;
        do_box(at, i, &event);
    }
}

static void move_box(storm *at, unsigned i)
{
    box *b = &at->boxes[i];
    tmb_session_event up = {.type = TMB_SESSION_LINK_UP, .epoch = b->epoch};
    tmb_session_event timeout = {.type = TMB_SESSION_TIMEOUT};
    uint64_t dice = below(at, 8);
    if (b->last_seq < LOG_MAX && below(at, 4) == 0) /* a fenced box writes on, too */
        b->last_seq++;
    if (dice == 0) {
        disturb_box(at, i);
    } else if (!b->is_on) {
        return;
    } else if (b->session.state == TMB_SESSION_DIALING && dice < 5) {
        b->is_linked = true;
        do_box(at, i, &up);
    } else if (b->prove_ticket != 0 && dice < 6) {
        answer_proof(at, i);
    } else if (b->load_ticket != 0 && dice < 7) {
        answer_load(at, i);
    } else if (dice == 7) {
        tell_tail(at, i);
    } else {
        do_box(at, i, &timeout);
    }
}

static void blow(storm *at, uint64_t seed)
{
    memset(at, 0, sizeof *at);
    at->rng.state = seed;
    at->fork = below(at, 100);
    memset(at->owner, 0xff, sizeof at->owner);
    tmb_intake_init(&at->intake, tmb_bytes_str("s1"), "hub", true);
    for (unsigned i = 0; i < BOXES; i++)
        at->boxes[i].last_seq = at->fork + below(at, 30);
    uint64_t behind = below(at, 3); /* how far the parent is behind the fork */
    for (uint64_t seq = 1; seq + behind <= at->fork; seq++) {
        add_record(at, &at->chain, 0, seq);
        at->stored = seq;
    }
    start_box(at, 0);
    uint64_t slowness = 1 + below(at, 30);
    for (unsigned step = 0; step < STEPS; step++) {
        tmb_intake_event timeout = {.type = TMB_INTAKE_TIMEOUT};
        at->now.ns += (int64_t)below(at, 60000000);
        uint64_t dice = below(at, 10);
        if (dice < 4 && at->posts_count > 0)
            deliver(at);
        else if (dice < 6 && below(at, slowness) == 0)
            store_something(at);
        else if (dice == 6)
            do_intake(at, &timeout);
        else
            move_box(at, (unsigned)below(at, BOXES));
    }
}

static void no_two_pasts_are_merged(void **state)
{
    static storm at;
    const char *only = getenv("TMB_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, count = only ? 1 : SEEDS;
    uint64_t stored = 0, fenced = 0, twins = 0;
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (count == 1 || seed % 1000 == 0)
            print_message("seed %llu\n", (unsigned long long)seed);
        failing = seed;
        blow(&at, seed);
        stored += at.stored > at.fork;
        fenced += at.fenced > 0;
        twins += at.twins > 0;
    }
    print_message("%llu seeds: %llu went past the fork, %llu fenced by the log, %llu with twins\n",
                  (unsigned long long)count, (unsigned long long)stored, (unsigned long long)fenced,
                  (unsigned long long)twins);
    assert_true(only || (stored > count / 2 && fenced > count / 20 && twins > count / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_two_pasts_are_merged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
