// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/hello.c - how a child's session begins.
 *
 *   HELLO --> is it the child's, wellformed, of a version we speak? --> whose turn is it (twins.h)?
 *         --> lanes: what is durable, and what is being made so, goes on under the new session
 *         --> LOAD_MARKS, once nothing of another box is being stored --> MARKS --> WELCOME
 *
 * What waited in the queues of the session before is dropped: WELCOME's marks have the child say it again.
 */
#include "syncd/hub/intake_inside.h"

static bool is_hello_wellformed(const tmb_frame_hello *hello)
{
    if (hello->streams_count > TMB_STREAMS_MAX)
        return false;
    for (unsigned i = 0; i < hello->streams_count; i++) {
        tmb_bytes name = hello->streams[i].name;
        if (name.len == 0 || name.len > TMB_STREAM_NAME_BYTES_MAX)
            return false;
        for (unsigned k = 0; k < i; k++) {
            if (tmb_bytes_eq(name, hello->streams[k].name))
                return false;
        }
    }
    return true;
}

/* What of a lane outlives its session: what is durable, and what is being made so. */
typedef struct kept_lane {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
    uint64_t mark;
    tmb_chain chain;
    bool is_storing;
    tmb_intake_batch storing;
} kept_lane;

static void keep_lanes(const tmb_intake *intake, kept_lane kept[TMB_STREAMS_MAX])
{
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        memcpy(kept[i].stream, lane->stream, sizeof kept[i].stream);
        kept[i].incarnation = lane->incarnation;
        kept[i].mark = lane->mark;
        kept[i].chain = lane->chain;
        kept[i].is_storing = lane->is_storing;
        kept[i].storing = lane->queue[0];
    }
}

static void fill_lane(tmb_intake_lane *lane, const tmb_stream_state *told, const kept_lane *kept,
                      unsigned kept_count)
{
    memset(lane, 0, sizeof *lane);
    memcpy(lane->stream, told->name.ptr, told->name.len);
    lane->incarnation = told->incarnation;
    lane->first_seq = told->first_seq;
    lane->last_seq = told->last_seq;
    lane->class_ = told->class_;
    lane->quiet_until.ns = INT64_MIN;
    for (unsigned k = 0; k < kept_count; k++) {
        if (!tmb_bytes_eq(told->name, tmb_bytes_str(kept[k].stream)) ||
            !tmb_incarnation_eq(told->incarnation, kept[k].incarnation))
            continue;
        lane->mark = kept[k].mark;
        lane->chain = kept[k].chain;
        lane->is_storing = kept[k].is_storing;
        lane->queued = kept[k].is_storing ? 1 : 0;
        lane->queue[0] = kept[k].storing;
    }
    tmb_intake_count_received(lane);
}

static void refuse_hello(tmb_intake *intake, uint64_t session, tmb_bye_reason reason,
                         tmb_intake_actions *actions)
{
    tmb_intake_tell(actions, TMB_INTAKE_REPORT_REFUSED, 0, (uint64_t)reason);
    tmb_intake_say_bye(intake, session, reason, actions);
}

/* Is it this box's turn to speak under the child's name? Else it has its answer, if any. */
static bool admit_box(tmb_intake *intake, const tmb_frame_hello *hello, tmb_intake_actions *actions)
{
    uint64_t open_session = intake->state == TMB_INTAKE_IDLE ? 0 : intake->session;
    switch (tmb_twins_hello(&intake->twins, hello, open_session, intake->now)) {
    case TMB_TWINS_TAKE:
        return true;
    case TMB_TWINS_PROBE:
        tmb_intake_say_bye(intake, open_session, TMB_BYE_UNKNOWN, actions);
        tmb_intake_tell(actions, TMB_INTAKE_REPORT_PROBE, 0, TMB_TWINS_PROBE_MS);
        return false;
    case TMB_TWINS_WAIT:
        return false;
    case TMB_TWINS_REFUSE:
        refuse_hello(intake, hello->session, TMB_BYE_TWIN, actions);
        return false;
    case TMB_TWINS_PROVED:
        tmb_intake_say_bye(intake, intake->twins.rival_session, TMB_BYE_TWIN, actions);
        tmb_intake_tell(actions, TMB_INTAKE_REPORT_TWIN, 0, intake->twins.rival_box);
        return true;
    }
    return true;
}

/* The child has waited for the box before it; now it is its turn. */
void tmb_intake_turn(tmb_intake *intake, tmb_intake_actions *actions)
{
    uint64_t session = tmb_twins_due(&intake->twins, intake->now);
    if (session != 0)
        tmb_intake_say_bye(intake, session, TMB_BYE_UNKNOWN, actions);
}

void tmb_intake_look_for_marks(tmb_intake *intake, tmb_intake_actions *actions)
{
    if (!intake->is_holding || intake->state != TMB_INTAKE_GREETING)
        return;
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        if (lane->is_storing && lane->queue[0].box != intake->twins.box)
            return;
    }
    intake->is_holding = false;
    tmb_intake_push(actions, TMB_INTAKE_LOAD_MARKS)->session = intake->session;
}

void tmb_intake_hello(tmb_intake *intake, const tmb_frame_hello *hello, tmb_intake_actions *actions)
{
    kept_lane kept[TMB_STREAMS_MAX];
    unsigned kept_count = intake->lanes_count;
    if (!tmb_bytes_eq(hello->node, tmb_bytes_str(intake->child))) {
        refuse_hello(intake, hello->session, TMB_BYE_IDENTITY, actions);
        return;
    }
    if (hello->version_min > TMB_PROTOCOL_VERSION ||
        hello->version_max < TMB_PROTOCOL_VERSION_MIN) {
        refuse_hello(intake, hello->session, TMB_BYE_VERSION, actions);
        return;
    }
    if (!is_hello_wellformed(hello)) {
        refuse_hello(intake, hello->session, TMB_BYE_MALFORMED, actions);
        return;
    }
    if (intake->state != TMB_INTAKE_IDLE && hello->session == intake->session)
        return; /* the link said it twice; a child takes a new number for each HELLO */
    if (!admit_box(intake, hello, actions))
        return;
    for (unsigned i = 0; i < intake->lanes_count; i++)
        tmb_intake_drop_waiting(&intake->lanes[i], actions);
    keep_lanes(intake, kept);
    for (unsigned i = 0; i < hello->streams_count; i++)
        fill_lane(&intake->lanes[i], &hello->streams[i], kept, kept_count);
    intake->lanes_count = hello->streams_count;
    intake->session = hello->session;
    intake->version =
        hello->version_max < TMB_PROTOCOL_VERSION ? hello->version_max : TMB_PROTOCOL_VERSION;
    tmb_intake_become(intake, TMB_INTAKE_GREETING);
    intake->is_holding = true;
    tmb_intake_look_for_marks(intake, actions);
}

static void tell_chain(const tmb_intake *intake, const tmb_intake_lane *lane, tmb_mark *mark)
{
    mark->dictionary = intake->version >= 2 ? lane->dictionary : 0;
    mark->has_chain = intake->version >= 2 && lane->chain.is_known && lane->mark > 0;
    if (mark->has_chain)
        memcpy(mark->chain, lane->chain.value, sizeof mark->chain);
}

void tmb_intake_welcome(tmb_intake *intake, const tmb_intake_event *event,
                        tmb_intake_actions *actions)
{
    uint64_t session = event->u.marks.session;
    const uint64_t *seqs = event->u.marks.seqs;
    const tmb_chain *chains = event->u.marks.chains;
    if (intake->state != TMB_INTAKE_GREETING || session != intake->session)
        return;
    tmb_frame_welcome *welcome = &tmb_intake_say(intake, TMB_FRAME_WELCOME, actions)->u.welcome;
    welcome->session = intake->session;
    welcome->node = tmb_bytes_str(intake->node);
    welcome->version = intake->version;
    welcome->is_top = intake->is_top;
    welcome->has_credit = intake->version >= 2 && event->u.marks.has_credit;
    if (welcome->has_credit) {
        welcome->live_bytes = event->u.marks.live_bytes;
        welcome->backlog_bytes = event->u.marks.backlog_bytes;
    }
    welcome->window_ms = intake->version >= 2 ? intake->window_ms : 0;
    welcome->load = intake->version >= 2 ? intake->load : 0;
    welcome->marks_count = intake->lanes_count;
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        tmb_intake_lane *lane = &intake->lanes[i];
        /* A STORED may have come between the shell's look-up and its answer. */
        if (lane->mark <= seqs[i]) {
            lane->mark = seqs[i];
            if (!lane->chain.is_known || lane->chain.seq != lane->mark)
                tmb_intake_set_chain(lane, chains ? &chains[i] : NULL);
        }
        tmb_intake_count_received(lane);
        welcome->marks[i].stream = tmb_bytes_str(lane->stream);
        welcome->marks[i].incarnation = lane->incarnation;
        welcome->marks[i].seq = lane->mark;
        tmb_intake_tell_pieces(intake, &welcome->marks[i]);
        tell_chain(intake, lane, &welcome->marks[i]);
    }
    tmb_intake_become(intake, TMB_INTAKE_OPEN);
    tmb_intake_tell(actions, TMB_INTAKE_REPORT_OPEN, 0, intake->session);
}
