// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/intake.c - the parent's machine, read by rows: in which state an event does what.
 *
 *                 IDLE                 GREETING              OPEN
 *   HELLO         LOAD_MARKS           LOAD_MARKS            LOAD_MARKS (same number again: -)
 *   MARKS         -                    WELCOME               -
 *   BATCH         BYE(unknown)         BYE(unknown)          queue, PERSIST | ACK | ACK(resend)
 *   BYE           -                    end                   end
 *   ASK           -                    -                     ASKED
 *   bad frame     -                    BYE(malformed), end   BYE(malformed), end
 *   STORED        move mark            move mark             move mark, ACK, PERSIST next
 *   STORE_FAILED  -                    -                     ACK(resend), or BYE(malformed) and end
 *   TIMEOUT       BYE(unknown) to the box that waited for another to answer, if any (twins.h)
 *   RESET         forget               forget                forget
 *
 * How a session begins (HELLO, MARKS) is in hello.c; here are the lanes and what comes for them.
 * "end" is IDLE: what waits in the queues is dropped, what is being stored stays in its lane, so that a HELLO
 * that comes at once finds the right place to go on. A lane:
 *
 *      1 ... mark | queue[0]: with the shell | queue[1] ... | received+1 = what may come next
 */
#include "syncd/hub/intake_inside.h"

/* A refused batch asks the child to go back. Those that were sent behind it arrive too and are as useless;
 * they are refused in silence for so long, or until the child has gone back. */
#define QUIET_MS       1000
#define WAIT_FULL_MS   100
#define WAIT_FAILED_MS 1000

#define BIT(state) (1u << (state))

/* clang-format off */
static const unsigned allowed[] = { /* states that may come next */
    [TMB_INTAKE_IDLE]     = BIT(TMB_INTAKE_IDLE) | BIT(TMB_INTAKE_GREETING),
    [TMB_INTAKE_GREETING] = BIT(TMB_INTAKE_IDLE) | BIT(TMB_INTAKE_GREETING) | BIT(TMB_INTAKE_OPEN),
    [TMB_INTAKE_OPEN]     = BIT(TMB_INTAKE_IDLE) | BIT(TMB_INTAKE_GREETING),
};
/* clang-format on */

void tmb_intake_init(tmb_intake *intake, tmb_bytes child, const char *node, bool is_top)
{
    TMB_ASSERT(child.len > 0 && child.len <= TMB_NAME_BYTES_MAX);
    memset(intake, 0, sizeof *intake);
    memcpy(intake->child, child.ptr, child.len);
    intake->node = node;
    intake->is_top = is_top;
    intake->now.ns = INT64_MIN;
}

void tmb_intake_become(tmb_intake *intake, tmb_intake_state state)
{
    TMB_ASSERT(allowed[intake->state] & BIT(state));
    intake->state = state;
}

tmb_intake_action *tmb_intake_push(tmb_intake_actions *actions, tmb_intake_action_type type)
{
    TMB_ASSERT(actions->n < TMB_INTAKE_ACTIONS_MAX);
    tmb_intake_action *action = &actions->v[actions->n++];
    memset(action, 0, sizeof *action);
    action->type = type;
    return action;
}

void tmb_intake_tell(tmb_intake_actions *actions, tmb_intake_report what, unsigned lane,
                     uint64_t number)
{
    tmb_intake_action *action = tmb_intake_push(actions, TMB_INTAKE_REPORT);
    action->report = what;
    action->lane = lane;
    action->number = number;
}

static void drop(tmb_intake_actions *actions, uint64_t ticket)
{
    tmb_intake_push(actions, TMB_INTAKE_DROP)->ticket = ticket;
}

tmb_frame *tmb_intake_say(tmb_intake *intake, tmb_frame_type type, tmb_intake_actions *actions)
{
    memset(&intake->out, 0, sizeof intake->out);
    intake->out.type = type;
    tmb_intake_push(actions, TMB_INTAKE_SEND)->frame = &intake->out;
    return &intake->out;
}

void tmb_intake_say_bye(tmb_intake *intake, uint64_t session, tmb_bye_reason reason,
                        tmb_intake_actions *actions)
{
    tmb_frame_bye *bye = &tmb_intake_say(intake, TMB_FRAME_BYE, actions)->u.bye;
    bye->session = session;
    bye->reason = reason;
}

void tmb_intake_tell_pieces(const tmb_intake *intake, tmb_mark *mark)
{
    if (intake->version >= 2)
        tmb_pieces_tell(intake->pieces, mark);
}

/* Every ACK there is comes from here and tells the mark, so none is ahead of the disk. */
static tmb_frame_ack *send_ack(tmb_intake *intake, unsigned i, tmb_intake_actions *actions)
{
    const tmb_intake_lane *lane = &intake->lanes[i];
    tmb_frame_ack *ack = &tmb_intake_say(intake, TMB_FRAME_ACK, actions)->u.ack;
    ack->session = intake->session;
    ack->mark.stream = tmb_bytes_str(lane->stream);
    ack->mark.incarnation = lane->incarnation;
    ack->mark.seq = lane->mark;
    ack->mark.dictionary = intake->version >= 2 ? lane->dictionary : 0;
    tmb_intake_tell_pieces(intake, &ack->mark);
    return ack;
}

static void ask_resend(tmb_intake *intake, unsigned i, uint32_t wait_ms,
                       tmb_intake_actions *actions)
{
    tmb_frame_ack *ack = send_ack(intake, i, actions);
    ack->resend = true;
    ack->wait_ms = wait_ms;
    intake->lanes[i].quiet_until = tmb_mono_after(intake->now, tmb_dur_ms(QUIET_MS));
    tmb_intake_tell(actions, TMB_INTAKE_REPORT_RESEND, i, intake->lanes[i].mark);
}

void tmb_intake_count_received(tmb_intake_lane *lane)
{
    uint64_t last = lane->queued > 0 ? lane->queue[lane->queued - 1].last_seq : 0;
    lane->received = lane->mark > last ? lane->mark : last;
}

void tmb_intake_drop_waiting(tmb_intake_lane *lane, tmb_intake_actions *actions)
{
    unsigned kept = lane->is_storing ? 1 : 0;
    while (lane->queued > kept)
        drop(actions, lane->queue[--lane->queued].ticket);
    tmb_intake_count_received(lane);
}

static void end_session(tmb_intake *intake, tmb_intake_actions *actions)
{
    for (unsigned i = 0; i < intake->lanes_count; i++)
        tmb_intake_drop_waiting(&intake->lanes[i], actions);
    tmb_intake_become(intake, TMB_INTAKE_IDLE);
}

static void refuse_child(tmb_intake *intake, tmb_intake_actions *actions)
{
    tmb_intake_tell(actions, TMB_INTAKE_REPORT_MALFORMED, 0, 0);
    if (intake->state == TMB_INTAKE_IDLE)
        return;
    tmb_intake_say_bye(intake, intake->session, TMB_BYE_MALFORMED, actions);
    end_session(intake, actions);
}

static void persist(tmb_intake *intake, unsigned i, tmb_intake_actions *actions)
{
    tmb_intake_lane *lane = &intake->lanes[i];
    lane->is_storing = true;
    tmb_intake_action *action = tmb_intake_push(actions, TMB_INTAKE_PERSIST);
    action->ticket = lane->queue[0].ticket;
    action->session = intake->session;
    action->lane = i;
}

static unsigned find_lane(const tmb_intake *intake, tmb_bytes stream)
{
    unsigned i = 0;
    while (i < intake->lanes_count && !tmb_bytes_eq(tmb_bytes_str(intake->lanes[i].stream), stream))
        i++;
    return i;
}

static void on_bye(tmb_intake *intake, const tmb_frame_bye *bye, tmb_intake_actions *actions)
{
    if (bye->reason == TMB_BYE_AHEAD || bye->reason == TMB_BYE_FORKED ||
        bye->reason == TMB_BYE_TWIN)
        tmb_intake_tell(actions, TMB_INTAKE_REPORT_FENCED, 0, (uint64_t)bye->reason);
    if (intake->state != TMB_INTAKE_IDLE && bye->session == intake->session)
        end_session(intake, actions);
}

void tmb_intake_set_chain(tmb_intake_lane *lane, const tmb_chain *chain)
{
    memset(&lane->chain, 0, sizeof lane->chain);
    lane->chain.seq = lane->mark;
    if (chain != NULL && chain->is_known && chain->seq == lane->mark)
        lane->chain = *chain;
}

static bool is_batch_wellformed(const tmb_frame_batch *batch)
{
    return batch->first_seq > 0 && batch->first_seq <= batch->last_seq &&
           batch->last_seq <= TMB_SEQ_MAX && batch->gap_first < batch->first_seq &&
           batch->last_seq - batch->first_seq < TMB_BATCH_RECORDS_MAX;
}

static unsigned count_queued(const tmb_intake *intake)
{
    unsigned queued = 0;
    for (unsigned i = 0; i < intake->lanes_count; i++)
        queued += intake->lanes[i].queued;
    return queued;
}

/* A well-formed batch of an open session and a known lane. */
static void receive(tmb_intake *intake, unsigned i, const tmb_frame_batch *batch, uint64_t ticket,
                    uint32_t refuse_ms, tmb_intake_actions *actions)
{
    tmb_intake_lane *lane = &intake->lanes[i];
    uint64_t from = tmb_frame_batch_from(batch);
    if (from > lane->received + 1) { /* something before it was lost, or refused */
        drop(actions, ticket);
        if (lane->quiet_until.ns <= intake->now.ns)
            ask_resend(intake, i, 0, actions);
        return;
    }
    if (batch->piece_total == 0)
        lane->quiet_until.ns = INT64_MIN;
    if (batch->last_seq <= lane->received) {
        drop(actions, ticket);
        tmb_intake_tell(actions, TMB_INTAKE_REPORT_KNOWN, i,
                        batch->last_seq - batch->first_seq + 1);
        send_ack(intake, i, actions);
        return;
    }
    if (batch->piece_total != 0) { /* a piece that is not the next, or whose batch came out wrong */
        drop(actions, ticket);
        if (lane->quiet_until.ns <= intake->now.ns)
            ask_resend(intake, i, 0, actions);
        return;
    }
    bool is_full = count_queued(intake) >= TMB_INTAKE_QUEUE_MAX;
    if (is_full || refuse_ms != 0) {
        drop(actions, ticket);
        ask_resend(intake, i, is_full ? WAIT_FULL_MS : refuse_ms, actions);
        return;
    }
    tmb_intake_batch *slot = &lane->queue[lane->queued++];
    slot->ticket = ticket;
    slot->first_seq = batch->first_seq;
    slot->last_seq = batch->last_seq;
    slot->gap_first = batch->gap_first;
    slot->gap_reason = batch->gap_reason;
    slot->box = intake->twins.box;
    lane->received = batch->last_seq;
    if (!lane->is_storing)
        persist(intake, i, actions);
}

static void on_batch(tmb_intake *intake, const tmb_frame_batch *batch, uint64_t ticket,
                     uint32_t refuse_ms, tmb_intake_actions *actions)
{
    if (intake->state != TMB_INTAKE_OPEN || batch->session != intake->session) {
        drop(actions, ticket);
        tmb_intake_say_bye(intake, batch->session, TMB_BYE_UNKNOWN, actions);
        return;
    }
    unsigned i = find_lane(intake, batch->stream);
    if (i == intake->lanes_count || !is_batch_wellformed(batch) ||
        !tmb_incarnation_eq(batch->incarnation, intake->lanes[i].incarnation)) {
        drop(actions, ticket);
        refuse_child(intake, actions);
        return;
    }
    receive(intake, i, batch, ticket, refuse_ms, actions);
}

bool tmb_intake_has_state(const tmb_intake *intake)
{
    return intake->state == TMB_INTAKE_OPEN && intake->version >= TMB_PROTOCOL_VERSION_STATE;
}

bool tmb_intake_takes_state(const tmb_intake *intake, const tmb_frame *frame)
{
    return tmb_intake_has_state(intake) && tmb_frame_is_state(frame) &&
           tmb_frame_state_session(frame) == intake->session;
}

static void on_frame(tmb_intake *intake, const tmb_intake_event *event, tmb_intake_actions *actions)
{
    const tmb_frame *frame = event->u.frame;
    switch (frame->type) {
    case TMB_FRAME_HELLO:
        tmb_intake_hello(intake, &frame->u.hello, actions);
        return;
    case TMB_FRAME_BATCH:
        on_batch(intake, &frame->u.batch, event->ticket, event->refuse_ms, actions);
        return;
    case TMB_FRAME_BYE:
        on_bye(intake, &frame->u.bye, actions);
        return;
    case TMB_FRAME_ASK: /* of a session that is over: whoever asked has given up waiting, too */
        if (intake->state == TMB_INTAKE_OPEN && intake->version >= 2 &&
            frame->u.ask.session == intake->session)
            tmb_intake_push(actions, TMB_INTAKE_ASKED)->frame = frame;
        return;
    case TMB_FRAME_DICTIONARY:
        return;
    case TMB_FRAME_SCOPE:
    case TMB_FRAME_LEAVES:
    case TMB_FRAME_STORED:
    case TMB_FRAME_RANGES: /* the shell has handed on what tmb_intake_takes_state */
        if (intake->state != TMB_INTAKE_OPEN || tmb_frame_state_session(frame) != intake->session) {
            tmb_intake_say_bye(intake, tmb_frame_state_session(frame), TMB_BYE_UNKNOWN, actions);
            return;
        }
        if (intake->version >= TMB_PROTOCOL_VERSION_STATE)
            return;
        break;
    case TMB_FRAME_WELCOME:
    case TMB_FRAME_ACK:
    case TMB_FRAME_CREDIT:
    case TMB_FRAME_TOLD:
        break;
    }
    refuse_child(intake, actions); /* what only a parent may say */
}

static tmb_intake_batch take_stored(tmb_intake_lane *lane)
{
    tmb_intake_batch batch = lane->queue[0];
    lane->is_storing = false;
    lane->queued--;
    memmove(lane->queue, lane->queue + 1, lane->queued * sizeof lane->queue[0]);
    return batch;
}

static void on_stored(tmb_intake *intake, uint64_t ticket, const tmb_chain *chain,
                      tmb_intake_actions *actions)
{
    unsigned i = tmb_intake_find_storing(intake, ticket);
    if (i == intake->lanes_count)
        return;
    tmb_intake_lane *lane = &intake->lanes[i];
    tmb_intake_batch batch = take_stored(lane);
    if (batch.first_seq > lane->mark + 1) {
        tmb_intake_tell(actions, TMB_INTAKE_REPORT_GAP, i, batch.first_seq - lane->mark - 1);
        actions->v[actions->n - 1].gap_reason = batch.gap_reason;
    }
    if (lane->mark < batch.last_seq)
        lane->mark = batch.last_seq;
    if (lane->mark == batch.last_seq)
        tmb_intake_set_chain(lane, chain);
    tmb_intake_count_received(lane);
    if (intake->state == TMB_INTAKE_OPEN)
        send_ack(intake, i, actions);
    if (lane->queued > 0)
        persist(intake, i, actions);
    tmb_intake_look_for_marks(intake, actions);
}

static void on_store_failed(tmb_intake *intake, uint64_t ticket, bool is_malformed,
                            tmb_intake_actions *actions)
{
    unsigned i = tmb_intake_find_storing(intake, ticket);
    if (i == intake->lanes_count)
        return;
    tmb_intake_lane *lane = &intake->lanes[i];
    take_stored(lane);
    tmb_intake_drop_waiting(lane, actions); /* they would leave a hole */
    tmb_intake_look_for_marks(intake, actions);
    if (intake->state != TMB_INTAKE_OPEN)
        return;
    if (is_malformed)
        refuse_child(intake, actions);
    else
        ask_resend(intake, i, WAIT_FAILED_MS, actions);
}

static void forget(tmb_intake *intake, tmb_intake_actions *actions)
{
    end_session(intake, actions);
    intake->lanes_count = 0;
    intake->session = 0;
}

tmb_err tmb_intake_step(tmb_intake *intake, const tmb_intake_event *event,
                        tmb_intake_actions *ret_actions)
{
    ret_actions->n = 0;
    if (!tmb_intake_is_event_valid(intake, event))
        return TMB_EINVAL;
    intake->now = event->now;
    switch (event->type) {
    case TMB_INTAKE_FRAME:
        on_frame(intake, event, ret_actions);
        break;
    case TMB_INTAKE_FRAME_BAD:
        refuse_child(intake, ret_actions);
        break;
    case TMB_INTAKE_MARKS:
        tmb_intake_welcome(intake, event, ret_actions);
        break;
    case TMB_INTAKE_STORED:
        on_stored(intake, event->ticket, event->u.chain, ret_actions);
        break;
    case TMB_INTAKE_STORE_FAILED:
        on_store_failed(intake, event->ticket, event->is_malformed, ret_actions);
        break;
    case TMB_INTAKE_TIMEOUT:
        tmb_intake_turn(intake, ret_actions);
        break;
    case TMB_INTAKE_RESET:
        forget(intake, ret_actions);
        break;
    }
    tmb_intake_check(intake);
    return TMB_OK;
}

void tmb_intake_dictionary(tmb_intake *intake, unsigned lane, uint32_t id)
{
    TMB_ASSERT(lane < intake->lanes_count);
    intake->lanes[lane].dictionary = id;
}

void tmb_intake_check(const tmb_intake *intake)
{
    TMB_ASSERT(count_queued(intake) <= TMB_INTAKE_QUEUE_MAX);
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        uint64_t before = 0;
        for (unsigned k = 0; k < lane->queued; k++) {
            const tmb_intake_batch *batch = &lane->queue[k];
            uint64_t from = batch->gap_first != 0 ? batch->gap_first : batch->first_seq;
            TMB_ASSERT(batch->first_seq <= batch->last_seq && batch->last_seq > before);
            TMB_ASSERT(k == 0 || from <= (lane->mark > before ? lane->mark : before) + 1);
            before = batch->last_seq;
        }
        TMB_ASSERT(lane->is_storing == (lane->queued > 0));
        TMB_ASSERT(lane->received == (lane->mark > before ? lane->mark : before));
        TMB_ASSERT(intake->state == TMB_INTAKE_OPEN || lane->queued <= 1);
    }
}
