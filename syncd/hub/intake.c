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
 *   RESET         forget               forget                forget
 *
 * "end" is IDLE: what waits in the queues is dropped, what is being stored stays in its lane, so that a HELLO
 * that comes at once finds the right place to go on. A lane:
 *
 *      1 ... mark | queue[0]: with the shell | queue[1] ... | received+1 = what may come next
 */
#include "syncd/hub/intake.h"

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

static void become(tmb_intake *intake, tmb_intake_state state)
{
    TMB_ASSERT(allowed[intake->state] & BIT(state));
    intake->state = state;
}

static tmb_intake_action *push(tmb_intake_actions *actions, tmb_intake_action_type type)
{
    TMB_ASSERT(actions->n < TMB_INTAKE_ACTIONS_MAX);
    tmb_intake_action *action = &actions->v[actions->n++];
    memset(action, 0, sizeof *action);
    action->type = type;
    return action;
}

static void report(tmb_intake_actions *actions, tmb_intake_report what, unsigned lane,
                   uint64_t number)
{
    tmb_intake_action *action = push(actions, TMB_INTAKE_REPORT);
    action->report = what;
    action->lane = lane;
    action->number = number;
}

static void drop(tmb_intake_actions *actions, uint64_t ticket)
{
    push(actions, TMB_INTAKE_DROP)->ticket = ticket;
}

/* The one frame of this step; the caller fills it. */
static tmb_frame *send_frame(tmb_intake *intake, tmb_frame_type type, tmb_intake_actions *actions)
{
    memset(&intake->out, 0, sizeof intake->out);
    intake->out.type = type;
    push(actions, TMB_INTAKE_SEND)->frame = &intake->out;
    return &intake->out;
}

static void send_bye(tmb_intake *intake, uint64_t session, tmb_bye_reason reason,
                     tmb_intake_actions *actions)
{
    tmb_frame_bye *bye = &send_frame(intake, TMB_FRAME_BYE, actions)->u.bye;
    bye->session = session;
    bye->reason = reason;
}

static void tell_pieces(const tmb_intake *intake, tmb_mark *mark)
{
    if (intake->version >= 2)
        tmb_pieces_tell(intake->pieces, mark);
}

/* Every ACK there is comes from here and tells the mark, so none is ahead of the disk. */
static tmb_frame_ack *send_ack(tmb_intake *intake, unsigned i, tmb_intake_actions *actions)
{
    const tmb_intake_lane *lane = &intake->lanes[i];
    tmb_frame_ack *ack = &send_frame(intake, TMB_FRAME_ACK, actions)->u.ack;
    ack->session = intake->session;
    ack->mark.stream = tmb_bytes_str(lane->stream);
    ack->mark.incarnation = lane->incarnation;
    ack->mark.seq = lane->mark;
    ack->mark.dictionary = intake->version >= 2 ? lane->dictionary : 0;
    tell_pieces(intake, &ack->mark);
    return ack;
}

static void ask_resend(tmb_intake *intake, unsigned i, uint32_t wait_ms,
                       tmb_intake_actions *actions)
{
    tmb_frame_ack *ack = send_ack(intake, i, actions);
    ack->resend = true;
    ack->wait_ms = wait_ms;
    intake->lanes[i].quiet_until = tmb_mono_after(intake->now, tmb_dur_ms(QUIET_MS));
    report(actions, TMB_INTAKE_REPORT_RESEND, i, intake->lanes[i].mark);
}

static void count_received(tmb_intake_lane *lane)
{
    uint64_t last = lane->queued > 0 ? lane->queue[lane->queued - 1].last_seq : 0;
    lane->received = lane->mark > last ? lane->mark : last;
}

/* Drops what waits behind the batch that is being stored. */
static void drop_waiting(tmb_intake_lane *lane, tmb_intake_actions *actions)
{
    unsigned kept = lane->is_storing ? 1 : 0;
    while (lane->queued > kept)
        drop(actions, lane->queue[--lane->queued].ticket);
    count_received(lane);
}

static void end_session(tmb_intake *intake, tmb_intake_actions *actions)
{
    for (unsigned i = 0; i < intake->lanes_count; i++)
        drop_waiting(&intake->lanes[i], actions);
    become(intake, TMB_INTAKE_IDLE);
}

static void refuse_child(tmb_intake *intake, tmb_intake_actions *actions)
{
    report(actions, TMB_INTAKE_REPORT_MALFORMED, 0, 0);
    if (intake->state == TMB_INTAKE_IDLE)
        return;
    send_bye(intake, intake->session, TMB_BYE_MALFORMED, actions);
    end_session(intake, actions);
}

static void persist(tmb_intake *intake, unsigned i, tmb_intake_actions *actions)
{
    tmb_intake_lane *lane = &intake->lanes[i];
    lane->is_storing = true;
    tmb_intake_action *action = push(actions, TMB_INTAKE_PERSIST);
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

static bool is_incarnation_eq(tmb_incarnation a, tmb_incarnation b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

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
            !is_incarnation_eq(told->incarnation, kept[k].incarnation))
            continue;
        lane->mark = kept[k].mark;
        lane->chain = kept[k].chain;
        lane->is_storing = kept[k].is_storing;
        lane->queued = kept[k].is_storing ? 1 : 0;
        lane->queue[0] = kept[k].storing;
    }
    count_received(lane);
}

static void refuse_hello(tmb_intake *intake, uint64_t session, tmb_bye_reason reason,
                         tmb_intake_actions *actions)
{
    report(actions, TMB_INTAKE_REPORT_REFUSED, 0, (uint64_t)reason);
    send_bye(intake, session, reason, actions);
}

/* Is it this box's turn to speak under the child's name? Else it has its answer, if any. */
static bool admit_box(tmb_intake *intake, const tmb_frame_hello *hello, tmb_intake_actions *actions)
{
    uint64_t open_session = intake->state == TMB_INTAKE_IDLE ? 0 : intake->session;
    switch (tmb_twins_hello(&intake->twins, hello, open_session, intake->now)) {
    case TMB_TWINS_TAKE:
        return true;
    case TMB_TWINS_PROBE:
        send_bye(intake, open_session, TMB_BYE_UNKNOWN, actions);
        report(actions, TMB_INTAKE_REPORT_PROBE, 0, TMB_TWINS_PROBE_MS);
        return false;
    case TMB_TWINS_WAIT:
        return false;
    case TMB_TWINS_REFUSE:
        refuse_hello(intake, hello->session, TMB_BYE_TWIN, actions);
        return false;
    case TMB_TWINS_PROVED:
        send_bye(intake, intake->twins.rival_session, TMB_BYE_TWIN, actions);
        report(actions, TMB_INTAKE_REPORT_TWIN, 0, intake->twins.rival_box);
        return true;
    }
    return true;
}

/* The child has waited for the box before it; now it is its turn. */
static void on_timeout(tmb_intake *intake, tmb_intake_actions *actions)
{
    uint64_t session = tmb_twins_due(&intake->twins, intake->now);
    if (session != 0)
        send_bye(intake, session, TMB_BYE_UNKNOWN, actions);
}

static void on_bye(tmb_intake *intake, const tmb_frame_bye *bye, tmb_intake_actions *actions)
{
    if (bye->reason == TMB_BYE_AHEAD || bye->reason == TMB_BYE_FORKED ||
        bye->reason == TMB_BYE_TWIN)
        report(actions, TMB_INTAKE_REPORT_FENCED, 0, (uint64_t)bye->reason);
    if (intake->state != TMB_INTAKE_IDLE && bye->session == intake->session)
        end_session(intake, actions);
}

/* For a HELLO that holds, as soon as nothing of another box is being stored. */
static void look_for_marks(tmb_intake *intake, tmb_intake_actions *actions)
{
    if (!intake->is_holding || intake->state != TMB_INTAKE_GREETING)
        return;
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        if (lane->is_storing && lane->queue[0].box != intake->twins.box)
            return;
    }
    intake->is_holding = false;
    push(actions, TMB_INTAKE_LOAD_MARKS)->session = intake->session;
}

static void on_hello(tmb_intake *intake, const tmb_frame_hello *hello, tmb_intake_actions *actions)
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
        drop_waiting(&intake->lanes[i], actions);
    keep_lanes(intake, kept);
    for (unsigned i = 0; i < hello->streams_count; i++)
        fill_lane(&intake->lanes[i], &hello->streams[i], kept, kept_count);
    intake->lanes_count = hello->streams_count;
    intake->session = hello->session;
    intake->version =
        hello->version_max < TMB_PROTOCOL_VERSION ? hello->version_max : TMB_PROTOCOL_VERSION;
    become(intake, TMB_INTAKE_GREETING);
    intake->is_holding = true;
    look_for_marks(intake, actions);
}

/* A chain of another number than the mark's is of no use any more. */
static void set_chain(tmb_intake_lane *lane, const tmb_chain *chain)
{
    memset(&lane->chain, 0, sizeof lane->chain);
    lane->chain.seq = lane->mark;
    if (chain != NULL && chain->is_known && chain->seq == lane->mark)
        lane->chain = *chain;
}

static void tell_chain(const tmb_intake *intake, const tmb_intake_lane *lane, tmb_mark *mark)
{
    mark->dictionary = intake->version >= 2 ? lane->dictionary : 0;
    mark->has_chain = intake->version >= 2 && lane->chain.is_known && lane->mark > 0;
    if (mark->has_chain)
        memcpy(mark->chain, lane->chain.value, sizeof mark->chain);
}

static void on_marks(tmb_intake *intake, const tmb_intake_event *event, tmb_intake_actions *actions)
{
    uint64_t session = event->u.marks.session;
    const uint64_t *seqs = event->u.marks.seqs;
    const tmb_chain *chains = event->u.marks.chains;
    if (intake->state != TMB_INTAKE_GREETING || session != intake->session)
        return;
    tmb_frame_welcome *welcome = &send_frame(intake, TMB_FRAME_WELCOME, actions)->u.welcome;
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
                set_chain(lane, chains ? &chains[i] : NULL);
        }
        count_received(lane);
        welcome->marks[i].stream = tmb_bytes_str(lane->stream);
        welcome->marks[i].incarnation = lane->incarnation;
        welcome->marks[i].seq = lane->mark;
        tell_pieces(intake, &welcome->marks[i]);
        tell_chain(intake, lane, &welcome->marks[i]);
    }
    become(intake, TMB_INTAKE_OPEN);
    report(actions, TMB_INTAKE_REPORT_OPEN, 0, intake->session);
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
    uint64_t from = batch->gap_first != 0 ? batch->gap_first : batch->first_seq;
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
        report(actions, TMB_INTAKE_REPORT_KNOWN, i, batch->last_seq - batch->first_seq + 1);
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
        send_bye(intake, batch->session, TMB_BYE_UNKNOWN, actions);
        return;
    }
    unsigned i = find_lane(intake, batch->stream);
    if (i == intake->lanes_count || !is_batch_wellformed(batch) ||
        !is_incarnation_eq(batch->incarnation, intake->lanes[i].incarnation)) {
        drop(actions, ticket);
        refuse_child(intake, actions);
        return;
    }
    receive(intake, i, batch, ticket, refuse_ms, actions);
}

static void on_frame(tmb_intake *intake, const tmb_intake_event *event, tmb_intake_actions *actions)
{
    const tmb_frame *frame = event->u.frame;
    switch (frame->type) {
    case TMB_FRAME_HELLO:
        on_hello(intake, &frame->u.hello, actions);
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
            push(actions, TMB_INTAKE_ASKED)->frame = frame;
        return;
    case TMB_FRAME_DICTIONARY:
        return;
    case TMB_FRAME_WELCOME:
    case TMB_FRAME_ACK:
    case TMB_FRAME_CREDIT:
    case TMB_FRAME_TOLD:
        break;
    }
    refuse_child(intake, actions); /* what only a parent may say */
}

/* The lane whose batch `ticket` is with the shell; lanes_count for one of a lane that is gone. */
static unsigned find_storing(const tmb_intake *intake, uint64_t ticket)
{
    unsigned i = 0;
    while (i < intake->lanes_count &&
           !(intake->lanes[i].is_storing && intake->lanes[i].queue[0].ticket == ticket))
        i++;
    return i;
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
    unsigned i = find_storing(intake, ticket);
    if (i == intake->lanes_count)
        return;
    tmb_intake_lane *lane = &intake->lanes[i];
    tmb_intake_batch batch = take_stored(lane);
    if (batch.first_seq > lane->mark + 1) {
        report(actions, TMB_INTAKE_REPORT_GAP, i, batch.first_seq - lane->mark - 1);
        actions->v[actions->n - 1].gap_reason = batch.gap_reason;
    }
    if (lane->mark < batch.last_seq)
        lane->mark = batch.last_seq;
    if (lane->mark == batch.last_seq)
        set_chain(lane, chain);
    count_received(lane);
    if (intake->state == TMB_INTAKE_OPEN)
        send_ack(intake, i, actions);
    if (lane->queued > 0)
        persist(intake, i, actions);
    look_for_marks(intake, actions);
}

static void on_store_failed(tmb_intake *intake, uint64_t ticket, bool is_malformed,
                            tmb_intake_actions *actions)
{
    unsigned i = find_storing(intake, ticket);
    if (i == intake->lanes_count)
        return;
    tmb_intake_lane *lane = &intake->lanes[i];
    take_stored(lane);
    drop_waiting(lane, actions); /* they would leave a hole */
    look_for_marks(intake, actions);
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

static bool is_waiting(const tmb_intake *intake, uint64_t ticket)
{
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        const tmb_intake_lane *lane = &intake->lanes[i];
        for (unsigned k = lane->is_storing ? 1 : 0; k < lane->queued; k++) {
            if (lane->queue[k].ticket == ticket)
                return true;
        }
    }
    return false;
}

static bool are_marks_valid(const tmb_intake *intake, const uint64_t *seqs)
{
    for (unsigned i = 0; i < intake->lanes_count; i++) {
        if (seqs == NULL || seqs[i] > TMB_SEQ_MAX)
            return false;
    }
    return true;
}

static bool is_valid(const tmb_intake *intake, const tmb_intake_event *event)
{
    if (event->now.ns < intake->now.ns)
        return false;
    switch (event->type) {
    case TMB_INTAKE_FRAME:
        return event->u.frame != NULL &&
               (event->u.frame->type != TMB_FRAME_BATCH ||
                (event->ticket != 0 && !is_waiting(intake, event->ticket) &&
                 find_storing(intake, event->ticket) == intake->lanes_count));
    case TMB_INTAKE_MARKS:
        return event->u.marks.session != intake->session ||
               are_marks_valid(intake, event->u.marks.seqs);
    case TMB_INTAKE_STORED:
    case TMB_INTAKE_STORE_FAILED:
        return event->ticket != 0 && !is_waiting(intake, event->ticket);
    case TMB_INTAKE_FRAME_BAD:
    case TMB_INTAKE_TIMEOUT:
    case TMB_INTAKE_RESET:
        return true;
    }
    return false;
}

tmb_err tmb_intake_step(tmb_intake *intake, const tmb_intake_event *event,
                        tmb_intake_actions *ret_actions)
{
    ret_actions->n = 0;
    if (!is_valid(intake, event))
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
        on_marks(intake, event, ret_actions);
        break;
    case TMB_INTAKE_STORED:
        on_stored(intake, event->ticket, event->u.chain, ret_actions);
        break;
    case TMB_INTAKE_STORE_FAILED:
        on_store_failed(intake, event->ticket, event->is_malformed, ret_actions);
        break;
    case TMB_INTAKE_TIMEOUT:
        on_timeout(intake, ret_actions);
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
