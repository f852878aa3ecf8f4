// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/intake_fuzz.c - any bytes as what a child sends and a shell answers, through decoding into the
 * intake: it never breaks, and a mark never moves but by STORED (or by MARKS, what the disk says).
 *
 * Input, one order behind the other: a byte (mod 8), then
 *   0  frame         u16 bytes, bytes
 *   1  frame, its session made the open one: what gets past the first check
 *   2  marks         u8 for each lane
 *   3  stored        u8: which of those being stored
 *   4  store failed  u8: likewise; its highest bit: for ever
 *   5  reset
 *   6  time          u8 times 10 ms
 *   7  bad frame
 */
#include "syncd/hub/intake.h"
#include "tests/fuzz/fuzz.h"

enum { STORING_MAX = 64, FRAME_BYTES_MAX = 1 << 13 };

typedef struct play {
    tmb_intake intake;
    tmb_intake_actions actions;
    tmb_mono now;
    uint64_t ticket_last;
    uint64_t
        storing[STORING_MAX]; /* tickets of PERSIST, the latest; answers to older ones never come */
    unsigned storing_count;
} play;

static uint64_t mark_of(const tmb_intake *intake, tmb_bytes stream, tmb_incarnation incarnation)
{
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        if (tmb_bytes_eq(tmb_bytes_str(lane->stream), stream) &&
            memcmp(lane->incarnation.bytes, incarnation.bytes, sizeof incarnation.bytes) == 0)
            return lane->mark;
    }
    return 0;
}

static void check_told(const tmb_intake *intake, const tmb_mark *mark)
{
    TMB_ASSERT(mark->seq == mark_of(intake, mark->stream, mark->incarnation));
}

static void check_frame(const tmb_intake *intake, const tmb_frame *frame)
{
    static uint8_t bytes[FRAME_BYTES_MAX];
    size_t len;
    TMB_ASSERT(tmb_frame_encode(frame, bytes, sizeof bytes, &len) == TMB_OK);
    if (frame->type == TMB_FRAME_ACK)
        check_told(intake, &frame->u.ack.mark);
    for (unsigned i = 0; frame->type == TMB_FRAME_WELCOME && i < frame->u.welcome.marks_count; i++)
        check_told(intake, &frame->u.welcome.marks[i]);
}

static void give(play *p, tmb_intake_event *event)
{
    static tmb_intake before;
    before = p->intake;
    event->now = p->now;
    if (tmb_intake_step(&p->intake, event, &p->actions) != TMB_OK) {
        TMB_ASSERT(p->actions.n == 0 && memcmp(&before, &p->intake, sizeof before) == 0);
        return;
    }
    bool may_move = event->type == TMB_INTAKE_STORED || event->type == TMB_INTAKE_MARKS;
    for (unsigned i = 0; i < p->intake.lanes_count; i++) {
        const tmb_intake_lane *lane = &p->intake.lanes[i];
        uint64_t old = mark_of(&before, tmb_bytes_str(lane->stream), lane->incarnation);
        TMB_ASSERT(lane->mark >= old && (lane->mark == old || may_move));
    }
    for (unsigned i = 0; i < p->actions.n; i++) {
        const tmb_intake_action *action = &p->actions.v[i];
        if (action->type == TMB_INTAKE_PERSIST)
            p->storing[p->storing_count++ % STORING_MAX] = action->ticket;
        if (action->type == TMB_INTAKE_SEND)
            check_frame(&p->intake, action->frame);
    }
}

static void make_ours(tmb_frame *frame, uint64_t session)
{
    switch (frame->type) {
    case TMB_FRAME_HELLO:
        frame->u.hello.node = tmb_bytes_str("s1");
        return;
    case TMB_FRAME_WELCOME:
        frame->u.welcome.session = session;
        return;
    case TMB_FRAME_BATCH:
        frame->u.batch.session = session;
        return;
    case TMB_FRAME_ACK:
        frame->u.ack.session = session;
        return;
    case TMB_FRAME_BYE:
        frame->u.bye.session = session;
        return;
    case TMB_FRAME_CREDIT:
        frame->u.credit.session = session;
        return;
    case TMB_FRAME_DICTIONARY:
        frame->u.dictionary.session = session;
        return;
    case TMB_FRAME_ASK:
        frame->u.ask.session = session;
        return;
    case TMB_FRAME_TOLD:
        frame->u.told.session = session;
        return;
    case TMB_FRAME_SCOPE:
        frame->u.scope.session = session;
        return;
    case TMB_FRAME_LEAVES:
        frame->u.leaves.session = session;
        return;
    case TMB_FRAME_STORED:
        frame->u.stored.session = session;
        return;
    case TMB_FRAME_RANGES:
        frame->u.ranges.session = session;
        return;
    }
}

static void give_frame(play *p, tmb_bytes bytes, bool is_ours)
{
    static max_align_t arena[FRAME_BYTES_MAX];
    tmb_frame frame;
    tmb_intake_event event = {.type = TMB_INTAKE_FRAME};
    if (tmb_frame_decode(bytes, arena, sizeof arena, &frame) == TMB_OK) {
        if (is_ours)
            make_ours(&frame, p->intake.session);
        event.u.frame = &frame;
        event.ticket = frame.type == TMB_FRAME_BATCH ? ++p->ticket_last : 0;
    } else {
        event.type = TMB_INTAKE_FRAME_BAD;
    }
    give(p, &event);
}

static void give_answer(play *p, tmb_intake_event_type type, unsigned which)
{
    tmb_intake_event event = {.type = type, .is_malformed = which >> 7};
    unsigned count = p->storing_count < STORING_MAX ? p->storing_count : STORING_MAX;
    if (count == 0)
        return;
    event.ticket = p->storing[(which & 0x7f) % count];
    give(p, &event);
}

static void give_marks(play *p, tmb_reader *r)
{
    uint64_t seqs[TMB_STREAMS_MAX];
    tmb_intake_event event = {.type = TMB_INTAKE_MARKS};
    for (unsigned i = 0; i < TMB_STREAMS_MAX; i++)
        seqs[i] = i < p->intake.lanes_count ? tmb_get_u8(r) : 0;
    event.u.marks.session = p->intake.session;
    event.u.marks.seqs = seqs;
    give(p, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static play p;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(data, size));
    tmb_intake_event reset = {.type = TMB_INTAKE_RESET}, bad = {.type = TMB_INTAKE_FRAME_BAD};
    memset(&p, 0, sizeof p);
    tmb_intake_init(&p.intake, tmb_bytes_str("s1"), "hub", true);
    while (!r.bad && tmb_reader_left(&r) > 0) {
        unsigned order = tmb_get_u8(&r) % 8;
        if (order <= 1)
            give_frame(&p, tmb_get_bytes(&r, tmb_get_u16(&r) % FRAME_BYTES_MAX), order == 1);
        else if (order == 2)
            give_marks(&p, &r);
        else if (order == 3)
            give_answer(&p, TMB_INTAKE_STORED, tmb_get_u8(&r));
        else if (order == 4)
            give_answer(&p, TMB_INTAKE_STORE_FAILED, tmb_get_u8(&r));
        else if (order == 6)
            p.now = tmb_mono_after(p.now, tmb_dur_ms(tmb_get_u8(&r) * 10));
        else
            give(&p, order == 5 ? &reset : &bad);
    }
    return 0;
}
