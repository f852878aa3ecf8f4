// SPDX-License-Identifier: Apache-2.0
/* tests/unit/hub/transcript.h - an intake, one line an event in, and what it ordered as one line of text:
 *
 *   "LOAD_MARKS"    "WELCOME a:0 b:0; open"    "PERSIST 1"    "DROP 2; ACK a 0 resend 0; resend a"
 *
 * The child is s1 with the streams a and b; session numbers are the test's.
 */
#ifndef TMB_TESTS_UNIT_HUB_TRANSCRIPT_H
#define TMB_TESTS_UNIT_HUB_TRANSCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "syncd/hub/intake.h"

typedef struct scene {
    tmb_intake intake;
    int64_t now_ms;
    tmb_intake_actions actions;
    char said[2048];
} scene;

void scene_init(scene *at);
/* OPEN as session 1 with these marks. */
void scene_open(scene *at, uint64_t mark_a, uint64_t mark_b);

const char *on_event(scene *at, const tmb_intake_event *event);
const char *on_frame(scene *at, const tmb_frame *frame, uint64_t ticket);
const char *on_hello(scene *at, uint64_t session);
const char *on_marks(scene *at, uint64_t session, uint64_t mark_a, uint64_t mark_b);
const char *on_batch(scene *at, uint64_t ticket, const char *stream, uint64_t first_seq,
                     uint64_t last_seq);
const char *on_batch_gap(scene *at, uint64_t ticket, const char *stream, uint64_t gap_first,
                         uint64_t first_seq, uint64_t last_seq);
const char *on_stored(scene *at, uint64_t ticket);
const char *on_store_failed(scene *at, uint64_t ticket, bool is_malformed);
const char *on_bye(scene *at, uint64_t session);
const char *on_plain(scene *at, tmb_intake_event_type type);

tmb_incarnation life(uint8_t number);
tmb_frame make_hello(uint64_t session);
tmb_frame make_batch(uint64_t session, const char *stream, uint64_t first_seq, uint64_t last_seq);

#endif
