// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/state_sync_fuzz.c - a neighbour that says anything: the machine and its jobs over a store in
 * memory.
 *
 * Input: u8 (1: it may change the scope; 2: we speak first), then steps: u8, its lowest two bits: 0 a frame
 * as it is, 1 a frame that is made one of this session, and of the turn that is expected; each u16 length and
 * bytes; 2 an operation of our own; 3 time passes.
 * Whatever comes: the clock rises to no more than complete chunks told of and we gave ourselves; who may only
 * read changes nothing.
 */
#include <stdlib.h>

#include "sim/kv_memory.h"
#include "syncd/state/sync.h"
#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 200u

typedef struct play {
    kv_memory disk;
    tmb_kv kv;
    tmb_sync sync;
    tmb_sync_room room;
    tmb_context given; /* what complete chunks told of */
    tmb_context_room given_room;
    uint64_t random, stamp;
    int64_t now_ms;
} play;

static play p;
static tmb_exchange *exchange;
static tmb_scope scope;
static uint8_t encoded[1 << 18], arena[1 << 20];

static tmb_incarnation draw(void)
{
    tmb_incarnation incarnation;
    memset(incarnation.bytes, 0xee, sizeof incarnation.bytes);
    p.random++;
    memcpy(incarnation.bytes, &p.random, sizeof p.random);
    return incarnation;
}

static void load(void)
{
    TMB_ASSERT(!tmb_scope_load(&scope, &p.kv, exchange->room, tmb_bytes_str("line-7"), draw()));
}

static void give(tmb_sync_event event);

static void run(const tmb_job *job)
{
    tmb_job_result result;
    tmb_err err = tmb_exchange_run(exchange, job, &p.kv, tmb_bytes_str("line-7"),
                                   tmb_bytes_str("s1"), draw(), p.now_ms, 1, &result);
    TMB_ASSERT(!err);
    if (result.commit == TMB_COMMIT_NOTHING)
        kv_memory_drop(&p.disk);
    else
        kv_memory_commit(&p.disk, true);
    give((tmb_sync_event){.type = TMB_SYNC_DONE, .result = &result});
}

static void give(tmb_sync_event event)
{
    tmb_sync_actions *actions = calloc(1, sizeof *actions);
    const tmb_job *job = NULL;
    TMB_ASSERT(actions);
    event.now.ns = p.now_ms * 1000000;
    TMB_ASSERT(tmb_sync_step(&p.sync, &event, actions) == TMB_OK);
    for (unsigned i = 0; i < actions->n; i++) {
        size_t len = 0;
        tmb_sync_action *action = &actions->v[i];
        if (action->type == TMB_SYNC_JOB)
            job = &action->job;
        if (action->type == TMB_SYNC_SEND)
            TMB_ASSERT(!tmb_frame_encode(action->frame, encoded, sizeof encoded, &len));
    }
    p.sync.unsent = 0; /* all have left */
    if (job)
        run(job);
    free(actions);
}

static void write_something(unsigned what)
{
    static const tmb_verb verbs[] = {TMB_VERB_SET, TMB_VERB_ADD, TMB_VERB_RM, TMB_VERB_DEL};
    tmb_verdict verdict;
    tmb_bytes value = tmb_bytes_str(what & 16 ? "one" : "two");
    tmb_op op = {.verb = verbs[what & 3], .scope = tmb_bytes_str("line-7"), .values = &value};
    op.path = tmb_bytes_str(what & 4 ? "cell/a" : "cell/b");
    op.values_count = op.verb == TMB_VERB_DEL ? 0 : 1;
    op.stamp.u64 = ++p.stamp;
    load();
    TMB_ASSERT(!tmb_scope_apply(&scope, &op, true, &verdict, NULL));
    TMB_ASSERT(!tmb_scope_save(&scope));
    kv_memory_commit(&p.disk, true);
}

static void make_ours(tmb_frame *frame)
{
    tmb_bytes name = tmb_bytes_str("line-7");
    if (frame->type == TMB_FRAME_SCOPE) {
        frame->u.scope.session = 9;
        frame->u.scope.scope = name;
        frame->u.scope.turn = p.sync.met + 1;
    } else if (frame->type == TMB_FRAME_LEAVES) {
        frame->u.leaves.session = 9;
        frame->u.leaves.scope = name;
        frame->u.leaves.turn = p.sync.turn;
        frame->u.leaves.n = p.sync.next_in;
    } else if (frame->type == TMB_FRAME_STORED) {
        frame->u.stored.session = 9;
        frame->u.stored.scope = name;
        frame->u.stored.turn = p.sync.answered;
    } else if (frame->type == TMB_FRAME_RANGES) {
        frame->u.ranges.session = 9;
        frame->u.ranges.scope = name;
        frame->u.ranges.turn = frame->u.ranges.round % 2 ? p.sync.answered : p.sync.turn;
    }
}

/* Nothing is in the clock but what was told of, and what we gave ourselves (its actors begin as drawn). */
static void check_clock(void)
{
    load();
    TMB_ASSERT(scope.clock.runs_count == 0);
    TMB_ASSERT(tmb_context_base(&scope.clock, &scope.self) == scope.last);
    for (unsigned i = 0; i < scope.clock.bases_count; i++) {
        const tmb_base *base = &scope.clock.bases[i];
        TMB_ASSERT(base->actor.bytes[15] == 0xee ||
                   base->seq <= tmb_context_base(&p.given, &base->actor));
    }
}

static void give_frame(tmb_bytes bytes, bool is_ours)
{
    tmb_frame *frame = calloc(1, sizeof *frame);
    tmb_context_room *room = malloc(sizeof *room);
    TMB_ASSERT(frame && room);
    tmb_err err = tmb_frame_decode(bytes, arena, sizeof arena, frame);
    if (!err && is_ours)
        make_ours(frame);
    if (!err && tmb_frame_is_state(frame) && tmb_frame_state_session(frame) == 9) {
        tmb_context ctx = tmb_context_in(room);
        load();
        tmb_fingerprint before = scope.fingerprint;
        uint64_t last = scope.last;
        if (frame->type == TMB_FRAME_LEAVES && frame->u.leaves.is_complete) {
            tmb_reader r = tmb_reader_of(frame->u.leaves.ctx);
            TMB_ASSERT(!tmb_context_get(&r, &ctx));
            if (tmb_context_join(&p.given, &ctx) != TMB_OK)
                p.given = tmb_context_in(&p.given_room); /* more actors than a scope can have */
        }
        give((tmb_sync_event){.type = TMB_SYNC_FRAME, .frame = frame});
        check_clock();
        TMB_ASSERT(p.sync.may_write ||
                   (tmb_fingerprint_eq(&before, &scope.fingerprint) && last == scope.last));
    }
    free(room);
    free(frame);
}

static void open_all(uint8_t flags)
{
    tmb_sync_options options = {.may_write = flags & 1, .answer_ms = 1000, .chunk_bytes = 200};
    memset(&p, 0, sizeof p);
    p.kv = kv_memory_port(&p.disk);
    p.given = tmb_context_in(&p.given_room);
    p.now_ms = 1;
    tmb_sync_init(&p.sync, "line-7", &options);
    p.sync.room = &p.room;
    for (unsigned i = 0; i < 6; i++)
        write_something(i * 5);
    give((tmb_sync_event){.type = TMB_SYNC_OPEN, .session = 9, .speaks = flags & 2});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    if (!exchange) {
        exchange = calloc(1, sizeof *exchange);
        TMB_ASSERT(exchange);
        exchange->room = calloc(1, sizeof *exchange->room);
        TMB_ASSERT(exchange->room);
    }
    open_all(tmb_get_u8(&r));
    for (unsigned i = 0; i < STEPS_MAX && tmb_reader_left(&r) > 0; i++) {
        uint8_t step = tmb_get_u8(&r);
        if ((step & 3) < 2) {
            size_t len = tmb_get_u16(&r);
            len = len < tmb_reader_left(&r) ? len : tmb_reader_left(&r);
            give_frame(tmb_get_bytes(&r, len), step & 1);
        } else if ((step & 3) == 2) {
            write_something(step >> 2);
            give((tmb_sync_event){.type = TMB_SYNC_CHANGED});
        } else {
            p.now_ms += 100 << (step >> 4);
            give((tmb_sync_event){.type = TMB_SYNC_TIMEOUT});
        }
        check_clock();
    }
    kv_memory_free(&p.disk);
    return 0;
}
