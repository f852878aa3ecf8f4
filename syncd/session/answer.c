// SPDX-License-Identifier: Apache-2.0
/* syncd/session/answer.c - what the parent's frames do to the session.
 *
 *   WELCOME   its marks are where each lane goes on; more than the log has: fenced
 *   ACK       the mark moves; with `resend` the lane goes back to it, and waits
 *   BYE       by its reason: greet again, fence, or hang up and back off
 *   CREDIT    more may be sent
 *   TOLD      what an ASK asked for, to the shell
 *
 * A frame of another session than this one is late and says nothing. What breaks the protocol costs the link.
 */
#include "syncd/session/lane.h"
#include "syncd/session/prove.h"
#include "syncd/session/session_inside.h"

/* An honest wait is short; this bounds what a broken parent can ask for. */
#define WAIT_MS_MAX 60000

static unsigned find_lane(const tmb_session *s, tmb_bytes stream)
{
    unsigned i = 0;
    while (i < s->options.streams_count &&
           !(s->lanes[i].is_known && tmb_bytes_eq(tmb_bytes_str(s->options.streams[i]), stream)))
        i++;
    return i;
}

/* marks: for each lane its mark of WELCOME. False: WELCOME does not answer our HELLO. */
static bool read_marks(const tmb_session *s, const tmb_frame_welcome *welcome,
                       const tmb_mark *marks[TMB_STREAMS_MAX])
{
    if (welcome->version < TMB_PROTOCOL_VERSION_MIN || welcome->version > TMB_PROTOCOL_VERSION)
        return false;
    for (unsigned k = 0; k < welcome->marks_count; k++) {
        const tmb_mark *mark = &welcome->marks[k];
        unsigned i = find_lane(s, mark->stream);
        if (i == s->options.streams_count || marks[i] != NULL)
            return false;
        marks[i] = mark;
    }
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        const tmb_session_lane *lane = &s->lanes[i];
        if (lane->is_greeted &&
            (!marks[i] || !tmb_incarnation_eq(marks[i]->incarnation, lane->incarnation)))
            return false;
    }
    return true;
}

static void on_welcome(tmb_session *s, const tmb_frame_welcome *welcome,
                       tmb_session_actions *actions)
{
    const tmb_mark *marks[TMB_STREAMS_MAX] = {NULL};
    if (s->state != TMB_SESSION_GREETING)
        return;
    if (!read_marks(s, welcome, marks)) {
        tmb_session_refuse(s, actions);
        return;
    }
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        if (s->lanes[i].is_greeted && marks[i]->seq > s->lanes[i].last_seq) {
            tmb_session_tell(actions, TMB_SESSION_REPORT_AHEAD, i, marks[i]->seq);
            tmb_session_say_bye(s, TMB_BYE_AHEAD,
                                actions); /* so that people see it at the parent, too */
            tmb_session_fence(s, actions);
            return;
        }
    }
    for (unsigned i = 0; i < s->options.streams_count; i++) {
        if (!s->lanes[i].is_greeted)
            continue;
        TMB_ASSERT(marks[i]); /* read_marks saw to it */
        tmb_session_lane_resume(&s->lanes[i], marks[i]->seq);
        s->lanes[i].dictionary = marks[i]->dictionary;
        if (welcome->version >= 2)
            tmb_session_prove_begin(s, i, marks[i]);
    }
    if (welcome->node.len > 0) /* a valid name: not too long */
        memcpy(s->parent, welcome->node.ptr, welcome->node.len);
    s->parent[welcome->node.len] = '\0';
    s->is_parent_top = welcome->is_top;
    s->parent_load = welcome->load;
    s->version = welcome->version;
    tmb_credit_begin(&s->credit, welcome);
    tmb_comeback_welcome(&s->back, welcome->window_ms);
    s->has_greeted_twice = false;
    tmb_session_become(s, TMB_SESSION_STREAMING, tmb_mono_never(), actions);
}

/* A mark above what this session sent is honest: the parent may finish a batch of the session before after it
 * has said WELCOME. One above the end of the log is not. */
static void on_ack(tmb_session *s, const tmb_frame_ack *ack, tmb_session_actions *actions)
{
    if (s->state != TMB_SESSION_STREAMING)
        return;
    unsigned i = find_lane(s, ack->mark.stream);
    tmb_session_lane *lane = &s->lanes[i];
    if (i == s->options.streams_count || ack->mark.seq > lane->last_seq ||
        !tmb_incarnation_eq(ack->mark.incarnation, lane->incarnation)) {
        tmb_session_refuse(s, actions);
        return;
    }
    bool was_back = lane->is_going_back;
    tmb_session_lane_ack(lane, ack->mark.seq, s->now, s->options.ack_timeout);
    if (!ack->resend)
        return;
    tmb_dur wait = tmb_dur_ms(ack->wait_ms < WAIT_MS_MAX ? ack->wait_ms : WAIT_MS_MAX);
    /* Going back twice from the same mark: not at the speed of the link. */
    if (was_back && lane->is_going_back && wait.ns < s->options.backoff_base.ns)
        wait = s->options.backoff_base;
    lane->dictionary = ack->mark.dictionary;
    tmb_session_lane_resend(lane, tmb_mono_after(s->now, wait));
    tmb_credit_owe(&s->credit);
    tmb_session_tell(actions, TMB_SESSION_REPORT_RESEND, i, lane->acked);
}

static void on_bye(tmb_session *s, const tmb_frame_bye *bye, tmb_session_actions *actions)
{
    tmb_session_tell(actions, TMB_SESSION_REPORT_BYE, 0, (uint64_t)bye->reason);
    switch (bye->reason) {
    case TMB_BYE_UNKNOWN:
        s->answers = s->session;
        tmb_session_greet_again(s, actions);
        return;
    case TMB_BYE_IDENTITY:
    case TMB_BYE_VERSION:
    case TMB_BYE_AHEAD:
    case TMB_BYE_FORKED:
        tmb_session_fence(s, actions);
        return;
    case TMB_BYE_TWIN:
        tmb_session_say_bye(s, TMB_BYE_TWIN, actions); /* heard */
        tmb_session_fence(s, actions);
        return;
    case TMB_BYE_BUSY:
        tmb_comeback_refused(&s->back, bye->wait_ms);
        break;
    case TMB_BYE_CLOSING:
    case TMB_BYE_MALFORMED:
    case TMB_BYE_LIMIT:
        break;
    }
    tmb_session_give_up(s, actions);
}

bool tmb_session_has_state(const tmb_session *s)
{
    return s->state == TMB_SESSION_STREAMING && s->version >= TMB_PROTOCOL_VERSION_STATE;
}

bool tmb_session_takes_state(const tmb_session *s, const tmb_frame *frame)
{
    return tmb_session_has_state(s) && tmb_frame_is_state(frame) &&
           tmb_frame_state_session(frame) == s->session;
}

void tmb_session_hear(tmb_session *s, const tmb_frame *frame, tmb_session_actions *actions)
{
    switch (frame->type) {
    case TMB_FRAME_WELCOME:
        if (frame->u.welcome.session == s->session)
            on_welcome(s, &frame->u.welcome, actions);
        return;
    case TMB_FRAME_ACK:
        if (frame->u.ack.session == s->session)
            on_ack(s, &frame->u.ack, actions);
        return;
    case TMB_FRAME_BYE:
        if (frame->u.bye.session == s->session)
            on_bye(s, &frame->u.bye, actions);
        else if (frame->u.bye.session == 0 && frame->u.bye.reason == TMB_BYE_UNKNOWN &&
                 (s->state == TMB_SESSION_GREETING || tmb_session_has_state(s)))
            tmb_session_greet_again(s,
                                    actions); /* to whom it may concern: our HELLO was lost, or the
                                                  * parent has begun anew and cannot tell us anything */
        return;
    case TMB_FRAME_CREDIT:
        if (frame->u.credit.session != s->session)
            return;
        tmb_credit_raise(&s->credit, &frame->u.credit);
        tmb_comeback_retold(&s->back, frame->u.credit.window_ms);
        return;
    case TMB_FRAME_TOLD:
        if (frame->u.told.session == s->session && s->state == TMB_SESSION_STREAMING)
            tmb_session_push(actions, TMB_SESSION_TOLD)->frame = frame;
        return;
    case TMB_FRAME_SCOPE:
    case TMB_FRAME_LEAVES:
    case TMB_FRAME_STORED:
    case TMB_FRAME_RANGES: /* the shell has handed on what tmb_session_takes_state; the rest is late */
        if (tmb_frame_state_session(frame) != s->session ||
            s->version >= TMB_PROTOCOL_VERSION_STATE)
            return;
        break;
    case TMB_FRAME_HELLO:
    case TMB_FRAME_BATCH:
    case TMB_FRAME_DICTIONARY:
    case TMB_FRAME_ASK:
        break;
    }
    tmb_session_refuse(s, actions); /* what only a child may say */
}
