// SPDX-License-Identifier: Apache-2.0
/* tests/unit/session/transcript.h - a session, one line an event in, and what it ordered as one line of text:
 *
 *   "DIAL 1; state dialing"    "SEND hello a:1-10 b:1-0"    "LOAD 3 a from 11"    "SEND_BATCH 3"
 *
 * Two streams, a and b; dial 1000 ms, hello 1000 ms, ack 2000 ms, backoff 100 ms to 3200 ms.
 */
#ifndef TMB_TESTS_UNIT_SESSION_TRANSCRIPT_H
#define TMB_TESTS_UNIT_SESSION_TRANSCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "syncd/session/session.h"

typedef struct scene {
    tmb_session s;
    int64_t now_ms;
    tmb_session_actions actions;
    char said[2048];
} scene;

void scene_init(scene *at);

/* Each gives the event and leaves the orders in at->said. now_ms is the scene's. */
const char *on_event(scene *at, const tmb_session_event *event);
const char *on_start(scene *at);
const char *on_link(scene *at, bool is_up, uint64_t epoch);
const char *on_tail(scene *at, unsigned stream, uint64_t first_seq, uint64_t last_seq);
const char *on_tail_of(scene *at, unsigned stream, uint8_t number, uint64_t first_seq,
                       uint64_t last_seq);
const char *on_loaded(scene *at, uint64_t ticket, uint64_t first_seq, uint64_t last_seq);
const char *on_loaded_gap(scene *at, uint64_t ticket, uint64_t gap_first, uint64_t first_seq,
                          uint64_t last_seq);
const char *on_load_failed(scene *at, uint64_t ticket);
const char *on_frame(scene *at, const tmb_frame *frame);
const char *on_welcome(scene *at, uint64_t mark_a, uint64_t mark_b);
const char *on_ack(scene *at, unsigned stream, uint64_t seq);
const char *on_resend(scene *at, unsigned stream, uint64_t seq, uint32_t wait_ms);
const char *on_bye(scene *at, tmb_bye_reason reason);
const char *on_bad_frame(scene *at);
const char *on_progress(scene *at, uint64_t taken);
const char *on_all_taken(scene *at); /* progress: every frame has left */
const char *on_move(scene *at, uint32_t window_ms);
const char *on_ask(scene *at, uint64_t id);
const char *on_told(scene *at, uint64_t id);
const char *on_timeout(scene *at);
const char *on_close(scene *at);

/* The deadline from now on in milliseconds; -1: never. */
int64_t deadline_ms(const scene *at);

tmb_frame make_welcome(const scene *at, uint64_t mark_a, uint64_t mark_b);
tmb_frame make_ack(const scene *at, unsigned stream, uint64_t seq);
tmb_incarnation life(uint8_t number);

/* A scene in STREAMING: a holds 1..last_a, b nothing, the parent nothing of both. */
void scene_stream(scene *at, uint64_t last_a);

#endif
