// SPDX-License-Identifier: Apache-2.0
/* tests/unit/proto/frames.h - a valid frame of each type, and their comparison. */
#ifndef TMB_TESTS_UNIT_PROTO_FRAMES_H
#define TMB_TESTS_UNIT_PROTO_FRAMES_H

#include "proto/frame.h"

static inline tmb_incarnation incarnation_of(uint8_t fill)
{
    tmb_incarnation incarnation;
    memset(incarnation.bytes, fill, sizeof(incarnation.bytes));
    return incarnation;
}

/* A plain BATCH needs room for the bytes its one record could have; nobody unpacks it here. */
static const uint8_t batch_data[TMB_RECORD_BYTES_MIN + 2] = {'x'};

static inline void fill_hello(tmb_frame *f)
{
    f->u.hello = (tmb_frame_hello){.session = 7, .version_min = 1, .version_max = 2};
    f->u.hello.node = tmb_bytes_str("site-1");
    f->u.hello.streams_count = 2;
    f->u.hello.streams[0] = (tmb_stream_state){.name = tmb_bytes_str("main"),
                                               .incarnation = incarnation_of(1),
                                               .first_seq = 5,
                                               .last_seq = TMB_SEQ_MAX,
                                               .class_ = TMB_CLASS_TELEMETRY};
    f->u.hello.streams[1] = (tmb_stream_state){.name = tmb_bytes_str("bulk"),
                                               .incarnation = incarnation_of(2),
                                               .first_seq = 1,
                                               .class_ = TMB_CLASS_BULK,
                                               .chain_seq = 0,
                                               .has_chain = true,
                                               .chain = {9}};
    f->u.hello.box = 77;
}

static inline void fill_welcome(tmb_frame *f)
{
    f->u.welcome = (tmb_frame_welcome){.session = 7, .version = 1, .marks_count = 1};
    f->u.welcome.node = tmb_bytes_str("hub");
    f->u.welcome.marks[0] = (tmb_mark){.stream = tmb_bytes_str("main"),
                                       .incarnation = incarnation_of(1),
                                       .seq = 41,
                                       .has_chain = true,
                                       .chain = {8},
                                       .dictionary = 3,
                                       .piece_bytes = 5,
                                       .piece_sum = 6};
    f->u.welcome.window_ms = 4000;
    f->u.welcome.load = 30;
    f->u.welcome.has_credit = true;
    f->u.welcome.live_bytes = 100;
}

/* Contexts of two actors as bytes: 16 times 1 up to 4, 16 times 2 up to 300. */
static const uint8_t two_actors[] = {2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,    1, 4, 2,
                                     2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0xac, 2, 0};
static const uint8_t one_actor[] = {1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 9, 0};
static const uint8_t up_to[] = {4, 0x80, 2};
static const uint8_t one_point[1 + 16] = {70, 6};

static inline void fill_scope(tmb_frame *f)
{
    tmb_frame_scope *scope = &f->u.scope;
    *scope = (tmb_frame_scope){.session = 7, .turn = 2, .answers = 1, .last = 4};
    scope->scope = tmb_bytes_str("line-7");
    memset(scope->self.bytes, 1, sizeof(scope->self.bytes));
    memset(scope->chain, 5, sizeof(scope->chain));
    scope->clock = tmb_bytes_of(two_actors, sizeof(two_actors));
    scope->floor = scope->heard = scope->heard_clock = tmb_bytes_of(one_actor, sizeof(one_actor));
    scope->has_yours = scope->has_fingerprint = true;
    scope->yours = incarnation_of(3);
    scope->yours_seq = 70;
    scope->points = tmb_bytes_of(one_point, sizeof(one_point));
    scope->leaves = 1000;
    memset(scope->sum, 8, sizeof(scope->sum));
    scope->wall_ms = 1790000000000;
    scope->hlc = UINT64_C(1790000000000) << 16;
}

static inline void fill_leaves(tmb_frame *f)
{
    tmb_frame_leaves *leaves = &f->u.leaves;
    *leaves = (tmb_frame_leaves){.session = 7, .turn = 2, .n = 3, .has_self = true, .self = 1};
    leaves->scope = tmb_bytes_str("line-7");
    leaves->ctx = tmb_bytes_of(two_actors, sizeof(two_actors));
    leaves->actors = tmb_bytes_of(batch_data, 16);
    leaves->floor = tmb_bytes_of(one_actor, sizeof(one_actor));
    leaves->upto = tmb_bytes_of(up_to, sizeof(up_to));
    memset(leaves->chain, 5, sizeof(leaves->chain));
    leaves->data = tmb_bytes_of(batch_data, sizeof(batch_data));
    leaves->raw_bytes = sizeof(batch_data);
}

static inline tmb_frame frame_of(tmb_frame_type type)
{
    tmb_frame f;
    memset(&f, 0, sizeof(f));
    f.type = type;
    switch (type) {
    case TMB_FRAME_HELLO:
        fill_hello(&f);
        break;
    case TMB_FRAME_WELCOME:
        fill_welcome(&f);
        break;
    case TMB_FRAME_BATCH:
        f.u.batch = (tmb_frame_batch){.session = 7, .first_seq = 42, .last_seq = 42};
        f.u.batch.stream = tmb_bytes_str("main");
        f.u.batch.incarnation = incarnation_of(1);
        f.u.batch.gap_first = 40;
        f.u.batch.gap_reason = TMB_GAP_RETENTION;
        f.u.batch.codec = TMB_CODEC_PLAIN;
        f.u.batch.raw_bytes = sizeof(batch_data);
        f.u.batch.data = tmb_bytes_of(batch_data, sizeof(batch_data));
        break;
    case TMB_FRAME_ACK:
        f.u.ack = (tmb_frame_ack){.session = 7, .resend = true, .wait_ms = 250};
        f.u.ack.mark = (tmb_mark){
            .stream = tmb_bytes_str("main"), .incarnation = incarnation_of(1), .seq = 42};
        break;
    case TMB_FRAME_BYE:
        f.u.bye = (tmb_frame_bye){7, TMB_BYE_IDENTITY, tmb_bytes_str("you are s2"), 20};
        break;
    case TMB_FRAME_CREDIT:
        f.u.credit = (tmb_frame_credit){7, 1000, 2000, 3000};
        break;
    case TMB_FRAME_DICTIONARY:
        f.u.dictionary = (tmb_frame_dictionary){.session = 7, .id = 2};
        f.u.dictionary.stream = tmb_bytes_str("main");
        f.u.dictionary.incarnation = incarnation_of(1);
        f.u.dictionary.data = tmb_bytes_str("what is often said");
        break;
    case TMB_FRAME_ASK:
        f.u.ask = (tmb_frame_ask){.session = 7, .id = 1, .node = tmb_bytes_str("s9")};
        f.u.ask.marks_count = 1;
        f.u.ask.marks[0] =
            (tmb_mark){.stream = tmb_bytes_str("main"), .incarnation = incarnation_of(9)};
        break;
    case TMB_FRAME_TOLD:
        f.u.told = (tmb_frame_told){.session = 7, .id = 1, .marks_count = 1};
        f.u.told.marks[0] =
            (tmb_mark){.stream = tmb_bytes_str("main"), .incarnation = incarnation_of(9), .seq = 3};
        break;
    case TMB_FRAME_SCOPE:
        fill_scope(&f);
        break;
    case TMB_FRAME_LEAVES:
        fill_leaves(&f);
        break;
    case TMB_FRAME_STORED:
        f.u.stored =
            (tmb_frame_stored){.session = 7, .scope = tmb_bytes_str("fleet"), .turn = 2, .n = 3};
        break;
    case TMB_FRAME_RANGES:
        f.u.ranges = (tmb_frame_ranges){.session = 7, .scope = tmb_bytes_str("fleet"), .turn = 2};
        f.u.ranges.round = 1;
        f.u.ranges.data = tmb_bytes_of(batch_data, sizeof(batch_data));
        break;
    }
    return f;
}

static inline bool marks_are_equal(const tmb_mark *a, const tmb_mark *b)
{
    return tmb_bytes_eq(a->stream, b->stream) && a->seq == b->seq && a->has_chain == b->has_chain &&
           a->dictionary == b->dictionary &&
           (!a->has_chain || memcmp(a->chain, b->chain, sizeof(a->chain)) == 0) &&
           a->piece_bytes == b->piece_bytes &&
           (a->piece_bytes == 0 || a->piece_sum == b->piece_sum) &&
           memcmp(&a->incarnation, &b->incarnation, sizeof(a->incarnation)) == 0;
}

static inline bool lists_are_equal(const tmb_mark *a, unsigned a_count, const tmb_mark *b,
                                   unsigned b_count)
{
    bool is_equal = a_count == b_count;
    for (unsigned i = 0; is_equal && i < a_count; i++)
        is_equal = marks_are_equal(&a[i], &b[i]);
    return is_equal;
}

static inline bool hellos_are_equal(const tmb_frame_hello *a, const tmb_frame_hello *b)
{
    bool is_equal = a->session == b->session && tmb_bytes_eq(a->node, b->node) &&
                    a->version_min == b->version_min && a->version_max == b->version_max &&
                    a->box == b->box && a->streams_count == b->streams_count;
    for (unsigned i = 0; is_equal && i < a->streams_count; i++) {
        const tmb_stream_state *s = &a->streams[i], *t = &b->streams[i];
        is_equal =
            tmb_bytes_eq(s->name, t->name) && s->first_seq == t->first_seq &&
            s->last_seq == t->last_seq && s->class_ == t->class_ && s->has_chain == t->has_chain &&
            (!s->has_chain ||
             (s->chain_seq == t->chain_seq && memcmp(s->chain, t->chain, sizeof(s->chain)) == 0)) &&
            memcmp(&s->incarnation, &t->incarnation, sizeof(s->incarnation)) == 0;
    }
    return is_equal;
}

static inline bool welcomes_are_equal(const tmb_frame_welcome *a, const tmb_frame_welcome *b)
{
    bool is_equal = a->session == b->session && tmb_bytes_eq(a->node, b->node) &&
                    a->version == b->version && a->is_top == b->is_top &&
                    a->window_ms == b->window_ms && a->load == b->load &&
                    a->has_credit == b->has_credit &&
                    (!a->has_credit ||
                     (a->live_bytes == b->live_bytes && a->backlog_bytes == b->backlog_bytes)) &&
                    a->marks_count == b->marks_count;
    for (unsigned i = 0; is_equal && i < a->marks_count; i++)
        is_equal = marks_are_equal(&a->marks[i], &b->marks[i]);
    return is_equal;
}

static inline bool batches_are_equal(const tmb_frame_batch *a, const tmb_frame_batch *b)
{
    return a->session == b->session && tmb_bytes_eq(a->stream, b->stream) &&
           memcmp(&a->incarnation, &b->incarnation, sizeof(a->incarnation)) == 0 &&
           a->first_seq == b->first_seq && a->last_seq == b->last_seq &&
           a->gap_first == b->gap_first && a->gap_reason == b->gap_reason && a->codec == b->codec &&
           a->raw_bytes == b->raw_bytes && tmb_bytes_eq(a->data, b->data) &&
           a->piece_offset == b->piece_offset && a->piece_total == b->piece_total &&
           a->piece_sum == b->piece_sum && a->pool == b->pool && a->dictionary == b->dictionary &&
           a->is_late == b->is_late && a->spent == b->spent;
}

static inline bool scopes_are_equal(const tmb_frame_scope *a, const tmb_frame_scope *b)
{
    return a->session == b->session && tmb_bytes_eq(a->scope, b->scope) && a->turn == b->turn &&
           a->answers == b->answers && tmb_incarnation_eq(a->self, b->self) && a->last == b->last &&
           (a->last == 0 || memcmp(a->chain, b->chain, sizeof(a->chain)) == 0) &&
           tmb_bytes_eq(a->clock, b->clock) && tmb_bytes_eq(a->floor, b->floor) &&
           tmb_bytes_eq(a->heard, b->heard) && tmb_bytes_eq(a->heard_clock, b->heard_clock) &&
           a->has_yours == b->has_yours && tmb_incarnation_eq(a->yours, b->yours) &&
           a->yours_seq == b->yours_seq && tmb_bytes_eq(a->points, b->points) &&
           a->has_fingerprint == b->has_fingerprint && a->leaves == b->leaves &&
           memcmp(a->sum, b->sum, sizeof(a->sum)) == 0 && a->wall_ms == b->wall_ms &&
           a->hlc == b->hlc && a->refused == b->refused;
}

static inline bool leaves_are_equal(const tmb_frame_leaves *a, const tmb_frame_leaves *b)
{
    return a->session == b->session && tmb_bytes_eq(a->scope, b->scope) && a->turn == b->turn &&
           a->n == b->n && tmb_bytes_eq(a->ctx, b->ctx) && tmb_bytes_eq(a->actors, b->actors) &&
           a->is_complete == b->is_complete && tmb_bytes_eq(a->upto, b->upto) &&
           tmb_bytes_eq(a->floor, b->floor) && a->has_self == b->has_self && a->self == b->self &&
           memcmp(a->chain, b->chain, sizeof(a->chain)) == 0 && a->codec == b->codec &&
           a->raw_bytes == b->raw_bytes && tmb_bytes_eq(a->data, b->data);
}

static inline bool frames_are_equal(const tmb_frame *a, const tmb_frame *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TMB_FRAME_HELLO:
        return hellos_are_equal(&a->u.hello, &b->u.hello);
    case TMB_FRAME_WELCOME:
        return welcomes_are_equal(&a->u.welcome, &b->u.welcome);
    case TMB_FRAME_BATCH:
        return batches_are_equal(&a->u.batch, &b->u.batch);
    case TMB_FRAME_ACK:
        return a->u.ack.session == b->u.ack.session && a->u.ack.resend == b->u.ack.resend &&
               a->u.ack.wait_ms == b->u.ack.wait_ms &&
               marks_are_equal(&a->u.ack.mark, &b->u.ack.mark);
    case TMB_FRAME_BYE:
        return a->u.bye.session == b->u.bye.session && a->u.bye.reason == b->u.bye.reason &&
               a->u.bye.wait_ms == b->u.bye.wait_ms && tmb_bytes_eq(a->u.bye.text, b->u.bye.text);
    case TMB_FRAME_CREDIT:
        return a->u.credit.session == b->u.credit.session &&
               a->u.credit.live_bytes == b->u.credit.live_bytes &&
               a->u.credit.backlog_bytes == b->u.credit.backlog_bytes &&
               a->u.credit.window_ms == b->u.credit.window_ms;
    case TMB_FRAME_DICTIONARY:
        return a->u.dictionary.session == b->u.dictionary.session &&
               tmb_bytes_eq(a->u.dictionary.stream, b->u.dictionary.stream) &&
               memcmp(&a->u.dictionary.incarnation, &b->u.dictionary.incarnation,
                      sizeof(a->u.dictionary.incarnation)) == 0 &&
               a->u.dictionary.id == b->u.dictionary.id &&
               tmb_bytes_eq(a->u.dictionary.data, b->u.dictionary.data);
    case TMB_FRAME_ASK:
        return a->u.ask.session == b->u.ask.session && a->u.ask.id == b->u.ask.id &&
               tmb_bytes_eq(a->u.ask.node, b->u.ask.node) &&
               lists_are_equal(a->u.ask.marks, a->u.ask.marks_count, b->u.ask.marks,
                               b->u.ask.marks_count);
    case TMB_FRAME_TOLD:
        return a->u.told.session == b->u.told.session && a->u.told.id == b->u.told.id &&
               lists_are_equal(a->u.told.marks, a->u.told.marks_count, b->u.told.marks,
                               b->u.told.marks_count);
    case TMB_FRAME_SCOPE:
        return scopes_are_equal(&a->u.scope, &b->u.scope);
    case TMB_FRAME_LEAVES:
        return leaves_are_equal(&a->u.leaves, &b->u.leaves);
    case TMB_FRAME_STORED:
        return a->u.stored.session == b->u.stored.session && a->u.stored.turn == b->u.stored.turn &&
               a->u.stored.n == b->u.stored.n && tmb_bytes_eq(a->u.stored.scope, b->u.stored.scope);
    case TMB_FRAME_RANGES:
        return a->u.ranges.session == b->u.ranges.session && a->u.ranges.turn == b->u.ranges.turn &&
               a->u.ranges.round == b->u.ranges.round &&
               tmb_bytes_eq(a->u.ranges.scope, b->u.ranges.scope) &&
               tmb_bytes_eq(a->u.ranges.data, b->u.ranges.data);
    }
    return false;
}

#endif
