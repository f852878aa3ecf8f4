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

static inline tmb_frame frame_of(tmb_frame_type type)
{
    tmb_frame f;
    memset(&f, 0, sizeof(f));
    f.type = type;
    switch (type) {
    case TMB_FRAME_HELLO:
        f.u.hello = (tmb_frame_hello){.session = 7, .version_min = 1, .version_max = 2};
        f.u.hello.node = tmb_bytes_str("site-1");
        f.u.hello.streams_count = 2;
        f.u.hello.streams[0] =
            (tmb_stream_state){tmb_bytes_str("main"), incarnation_of(1), 5, TMB_SEQ_MAX};
        f.u.hello.streams[1] = (tmb_stream_state){tmb_bytes_str("bulk"), incarnation_of(2), 1, 0};
        break;
    case TMB_FRAME_WELCOME:
        f.u.welcome = (tmb_frame_welcome){.session = 7, .version = 1, .marks_count = 1};
        f.u.welcome.node = tmb_bytes_str("hub");
        f.u.welcome.marks[0] = (tmb_mark){tmb_bytes_str("main"), incarnation_of(1), 41};
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
        f.u.ack.mark = (tmb_mark){tmb_bytes_str("main"), incarnation_of(1), 42};
        break;
    case TMB_FRAME_BYE:
        f.u.bye = (tmb_frame_bye){7, TMB_BYE_IDENTITY, tmb_bytes_str("you are s2")};
        break;
    }
    return f;
}

static inline bool marks_are_equal(const tmb_mark *a, const tmb_mark *b)
{
    return tmb_bytes_eq(a->stream, b->stream) && a->seq == b->seq &&
           memcmp(&a->incarnation, &b->incarnation, sizeof(a->incarnation)) == 0;
}

static inline bool hellos_are_equal(const tmb_frame_hello *a, const tmb_frame_hello *b)
{
    bool is_equal = a->session == b->session && tmb_bytes_eq(a->node, b->node) &&
                    a->version_min == b->version_min && a->version_max == b->version_max &&
                    a->streams_count == b->streams_count;
    for (unsigned i = 0; is_equal && i < a->streams_count; i++) {
        const tmb_stream_state *s = &a->streams[i], *t = &b->streams[i];
        is_equal = tmb_bytes_eq(s->name, t->name) && s->first_seq == t->first_seq &&
                   s->last_seq == t->last_seq &&
                   memcmp(&s->incarnation, &t->incarnation, sizeof(s->incarnation)) == 0;
    }
    return is_equal;
}

static inline bool welcomes_are_equal(const tmb_frame_welcome *a, const tmb_frame_welcome *b)
{
    bool is_equal = a->session == b->session && tmb_bytes_eq(a->node, b->node) &&
                    a->version == b->version && a->is_top == b->is_top &&
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
               tmb_bytes_eq(a->u.bye.text, b->u.bye.text);
    }
    return false;
}

#endif
