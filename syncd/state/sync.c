// SPDX-License-Identifier: Apache-2.0
/* syncd/state/sync.c - one job at a time, one pass at a time; whatever is in doubt is asked by a SCOPE. */
#include "syncd/state/sync.h"

static tmb_sync_action *push(tmb_sync_actions *actions, tmb_sync_action_type type)
{
    TMB_ASSERT(actions->n < TMB_SYNC_ACTIONS_MAX);
    tmb_sync_action *action = &actions->v[actions->n++];
    *action = (tmb_sync_action){.type = type};
    return action;
}

static void report(tmb_sync_actions *actions, tmb_sync_report what)
{
    push(actions, TMB_SYNC_REPORT)->report = what;
}

static void send(tmb_sync *s, const tmb_frame *frame, tmb_sync_actions *actions)
{
    push(actions, TMB_SYNC_SEND)->frame = frame;
    s->unsent++;
    s->since = s->now;
}

static void rest(tmb_sync *s)
{
    s->state = TMB_SYNC_RESTING;
    s->is_asking = s->is_ranging = false;
    s->wants_greet = s->wants_scan = s->wants_acked = s->wants_ranges = false;
    s->acked_out = s->next_out;
}

static void give_up(tmb_sync *s, tmb_sync_actions *actions)
{
    rest(s);
    s->is_given_up = true;
    report(actions, TMB_SYNC_REPORT_STUCK);
}

/* Something got through. What did not fit before it may be yet to come. */
static void trust(tmb_sync *s, bool is_whole)
{
    s->misfits = is_whole ? 0 : s->misfits;
    s->tries = s->misfits;
}

/* Something does not fit, or an answer is late: ask where the neighbour stands, and begin again from there.
 * In vain too often, it is reported, and goes on at longer intervals whatever the neighbour answers. */
static void doubt(tmb_sync *s, bool is_late, tmb_sync_actions *actions)
{
    s->is_ranging = s->wants_ranges = false;
    if (s->tries < UINT8_MAX)
        s->tries++;
    if (s->tries == TMB_SYNC_TRIES_MAX)
        report(actions, TMB_SYNC_REPORT_STUCK);
    s->wants_greet = is_late || s->tries < TMB_SYNC_TRIES_MAX;
    s->is_asking = s->is_asking || !s->wants_greet;
    s->since = s->now;
}

static void misfit(tmb_sync *s, tmb_sync_actions *actions)
{
    if (s->misfits < UINT8_MAX)
        s->misfits++;
    doubt(s, false, actions);
}

static bool is_pass_out(const tmb_sync *s)
{
    return s->acked_out < s->next_out;
}

static bool is_waiting(const tmb_sync *s)
{
    return s->is_asking || s->is_ranging || is_pass_out(s);
}

/* The neighbour's pass is under way. */
static bool is_being_told(const tmb_sync *s)
{
    return s->state == TMB_SYNC_SYNCING && s->may_write && s->is_behind;
}

/* A chunk that ends a pass is acknowledged before the next pass begins: what comes meanwhile goes together.
 * While ranges are compared the pass stays where it was: what is adopted of others meanwhile, without entries
 * for what it removed, must show as a gap behind it. */
static bool may_scan(const tmb_sync *s)
{
    return s->state == TMB_SYNC_SYNCING && s->wants_scan && !s->is_asking && !s->is_denied &&
           !s->is_ranging && !s->wants_ranges && s->next_out - s->acked_out < TMB_SYNC_CHUNKS_MAX &&
           !(is_pass_out(s) && s->is_complete_out);
}

static tmb_job *begin_job(tmb_sync *s, tmb_job_kind kind, tmb_sync_actions *actions)
{
    tmb_job *job = &push(actions, TMB_SYNC_JOB)->job;
    s->job = (uint8_t)kind;
    job->kind = kind;
    job->session = s->session;
    job->turn = s->answered;
    job->n = s->next_out;
    job->may_write = s->may_write;
    job->bytes_max = s->chunk_bytes;
    job->room = s->room;
    return job;
}

static void begin_turn(tmb_sync *s)
{
    s->turn++;
    s->next_in = 0;
}

/* Whatever is due next, when nothing runs. */
static void go_on(tmb_sync *s, tmb_sync_actions *actions)
{
    if (s->job != TMB_JOB_NONE || s->state == TMB_SYNC_CLOSED || s->state == TMB_SYNC_RESTING)
        return;
    if (s->wants_greet) {
        s->wants_greet = false;
        begin_turn(s);
        begin_job(s, TMB_JOB_GREET, actions)->turn = s->turn;
    } else if (s->wants_acked) {
        s->wants_acked = false;
        begin_job(s, TMB_JOB_ACKED, actions);
    } else if (s->wants_ranges && !s->is_asking) {
        s->wants_ranges = s->is_partial = false;
        s->drives = true;
        begin_job(s, TMB_JOB_RANGES, actions)->begins = true;
    } else if (may_scan(s)) {
        s->wants_scan = false;
        tmb_job *job = begin_job(s, TMB_JOB_SCAN, actions);
        job->is_held = s->is_held;
        job->is_due = s->is_scrub && !s->is_held;
    }
}

/* The held pass is told, and all of the neighbour's is here: what still differs is what neither clock
 * tells. */
static void look_for_ranges(tmb_sync *s)
{
    if (s->is_held && s->is_told && (s->has_all || !s->may_write) && !s->is_ranging)
        s->wants_ranges = true;
}

static void report_refusal(tmb_refusal refused, tmb_sync_actions *actions)
{
    tmb_sync_action *action = push(actions, TMB_SYNC_REPORT);
    action->report = TMB_SYNC_REPORT_REFUSED;
    action->refusal = refused;
}

static void on_refusal(tmb_sync *s, const tmb_frame_scope *scope, tmb_sync_actions *actions)
{
    report_refusal(scope->refused, actions);
    if (scope->refused != TMB_REFUSAL_DENIED) {
        rest(s);
        return;
    }
    s->is_denied = true; /* we may read */
    s->wants_scan = s->is_held = false;
    s->acked_out = s->next_out;
}

static void on_scope(tmb_sync *s, const tmb_frame *frame, tmb_sync_actions *actions)
{
    const tmb_frame_scope *scope = &frame->u.scope;
    if (s->is_given_up)
        return;
    if (scope->refused != TMB_REFUSAL_NONE) {
        on_refusal(s, scope, actions);
        return;
    }
    if (scope->turn <= s->met)
        return; /* said twice by the line */
    bool wants_reply = scope->answers == 0 && !s->is_asking && !s->wants_greet;
    if (wants_reply)
        begin_turn(s);
    if (s->state == TMB_SYNC_RESTING)
        s->state = TMB_SYNC_GREETING;
    s->met = scope->turn;
    tmb_job *job = begin_job(s, TMB_JOB_MEET, actions);
    job->frame = frame;
    job->wants_reply = wants_reply;
    job->turn = s->turn;
    job->answers = scope->turn;
    job->is_other = s->is_other;
    s->is_other = false;
}

static void on_leaves(tmb_sync *s, const tmb_frame *frame, tmb_sync_actions *actions)
{
    const tmb_frame_leaves *leaves = &frame->u.leaves;
    if (s->state != TMB_SYNC_SYNCING || leaves->turn != s->turn || leaves->n < s->next_in)
        return;
    if (leaves->n > s->next_in) {
        if (!s->wants_greet && !s->is_asking)
            doubt(s, false, actions);
        return;
    }
    begin_job(s, TMB_JOB_JOIN, actions)->frame = frame;
}

static void on_stored(tmb_sync *s, const tmb_frame_stored *stored)
{
    if (s->state != TMB_SYNC_SYNCING || stored->turn != s->answered || stored->n < s->acked_out ||
        stored->n >= s->next_out)
        return;
    s->acked_out = stored->n + 1;
    /* That ours is over there says nothing of a pass of its that does not fit here. */
    trust(s, !is_pass_out(s) && s->is_complete_out && !is_being_told(s));
    s->since = s->now;
    if (!is_pass_out(s) && s->is_complete_out)
        s->wants_acked = true;
}

static void on_ranges(tmb_sync *s, const tmb_frame *frame, tmb_sync_actions *actions)
{
    const tmb_frame_ranges *ranges = &frame->u.ranges;
    bool drives = ranges->round % 2 != 0;
    uint32_t turn = drives ? s->answered : s->turn;
    if (s->state != TMB_SYNC_SYNCING || ranges->turn != turn || (drives && !s->is_ranging))
        return;
    tmb_job *job = begin_job(s, TMB_JOB_RANGES, actions);
    job->frame = frame;
    job->turn = turn;
    s->is_ranging = s->is_ranging && !drives;
    s->drives = drives;
}

static void on_frame(tmb_sync *s, const tmb_frame *frame, tmb_sync_actions *actions)
{
    if (frame->type == TMB_FRAME_SCOPE)
        on_scope(s, frame, actions);
    else if (frame->type == TMB_FRAME_LEAVES)
        on_leaves(s, frame, actions);
    else if (frame->type == TMB_FRAME_STORED)
        on_stored(s, &frame->u.stored);
    else if (frame->type == TMB_FRAME_RANGES)
        on_ranges(s, frame, actions);
}

static void say_stored(tmb_sync *s, tmb_sync_actions *actions)
{
    actions->out.type = TMB_FRAME_STORED;
    actions->out.u.stored = (tmb_frame_stored){
        .session = s->session, .scope = tmb_bytes_str(s->scope), .turn = s->turn, .n = s->next_in};
    send(s, &actions->out, actions);
    s->next_in++;
}

static void say_refused(tmb_sync *s, tmb_refusal refused, tmb_sync_actions *actions)
{
    actions->out.type = TMB_FRAME_SCOPE;
    actions->out.u.scope =
        (tmb_frame_scope){.session = s->session, .scope = tmb_bytes_str(s->scope), .turn = s->turn};
    actions->out.u.scope.answers = s->met;
    actions->out.u.scope.refused = refused;
    send(s, &actions->out, actions);
}

/* We refuse. One that may not write is told of elsewhere. */
static void refuse(tmb_sync *s, tmb_refusal refused, tmb_sync_actions *actions)
{
    if (refused == TMB_REFUSAL_LIMIT)
        report_refusal(refused, actions);
    say_refused(s, refused, actions);
}

static void met(tmb_sync *s, const tmb_job_result *result, tmb_sync_actions *actions)
{
    if (s->state == TMB_SYNC_GREETING)
        report(actions, TMB_SYNC_REPORT_MET);
    if (result->is_below || result->is_scrub)
        report(actions, result->is_below ? TMB_SYNC_REPORT_BELOW : TMB_SYNC_REPORT_SCRUB);
    s->state = TMB_SYNC_SYNCING;
    s->is_asking = false;
    s->answered = s->met;
    s->next_out = s->acked_out = 0;
    s->is_complete_out = s->is_told = s->is_ranging = s->is_partial = false;
    s->wants_acked = s->wants_ranges = false;
    s->rounds = 0;
    s->is_held = (result->is_below || result->is_scrub) && !s->is_denied;
    s->is_scrub = result->is_scrub;
    s->has_all = result->has_all;
    s->is_behind = result->is_behind;
    s->is_compared = result->is_same || result->is_scrub || (result->is_behind && !s->may_write);
    s->wants_scan = true;
}

static void done_meet(tmb_sync *s, const tmb_job_result *result, tmb_sync_actions *actions)
{
    if (result->forks > 0)
        report(actions, TMB_SYNC_REPORT_FORKED);
    if (result->refused != TMB_REFUSAL_NONE) {
        refuse(s, result->refused, actions);
        rest(s);
        return;
    }
    if (result->is_reborn) {
        report(actions, TMB_SYNC_REPORT_REBORN);
        if (++s->rebirths > TMB_SYNC_REBIRTHS_MAX) {
            give_up(s, actions);
            return;
        }
        s->wants_greet = true;
        return;
    }
    if (s->wants_greet)
        return; /* begun again meanwhile */
    if (result->frames_count > 0)
        send(s, result->frames[0], actions);
    met(s, result, actions);
}

static void done_scan(tmb_sync *s, const tmb_job_result *result, tmb_sync_actions *actions)
{
    if (result->is_stale) {
        misfit(s, actions);
        return;
    }
    if (result->frames_count > 0 && !s->is_asking) {
        send(s, result->frames[0], actions);
        s->next_out++;
        s->is_complete_out = result->is_complete;
        s->wants_scan = s->wants_scan || !result->is_all;
        s->is_scrub = s->is_scrub && !result->is_complete;
    } else if (!s->is_held && !s->wants_scan) {
        trust(s, false);
        if (!s->is_equal_told)
            report(actions, TMB_SYNC_REPORT_EQUAL);
        s->is_equal_told = true;
    }
    s->is_told = result->is_all;
    look_for_ranges(s);
}

static void done_join(tmb_sync *s, const tmb_job_result *result, tmb_sync_actions *actions)
{
    if (result->forks > 0)
        report(actions, TMB_SYNC_REPORT_FORKED);
    if (result->refused != TMB_REFUSAL_NONE) {
        if (result->refused == TMB_REFUSAL_DENIED)
            report(actions, TMB_SYNC_REPORT_DENIED);
        refuse(s, result->refused, actions);
        if (result->refused != TMB_REFUSAL_DENIED)
            rest(s);
        return;
    }
    s->is_other = s->is_other || result->has_other;
    if (result->is_stale) {
        misfit(s, actions);
        return;
    }
    trust(s, !result->is_behind);
    s->has_all = s->has_all || result->has_all;
    s->is_behind = result->is_behind;
    s->is_compared = s->is_compared && !result->is_changed;
    if (!s->wants_greet)
        say_stored(s, actions);
    look_for_ranges(s);
}

static void done_acked(tmb_sync *s, tmb_sync_actions *actions)
{
    if (s->wants_scan || s->is_equal_told)
        return;
    s->is_equal_told = true;
    report(actions, TMB_SYNC_REPORT_EQUAL);
}

static void done_ranges(tmb_sync *s, const tmb_job_result *result, tmb_sync_actions *actions)
{
    if (result->is_stale) {
        misfit(s, actions);
        return;
    }
    for (unsigned i = 0; i < result->frames_count; i++) {
        bool is_leaves = result->frames[i]->type == TMB_FRAME_LEAVES;
        send(s, result->frames[i], actions);
        s->next_out += is_leaves;
        s->is_complete_out = s->is_complete_out && !is_leaves;
        s->is_ranging = s->is_ranging || (!is_leaves && s->drives);
    }
    if (!s->drives)
        return;
    trust(s, false);
    s->is_partial = result->is_partial;
    if (++s->rounds > TMB_SYNC_ROUNDS_MAX) {
        give_up(s, actions);
    } else if (result->is_over && s->is_partial) {
        s->wants_ranges = true;
        s->rounds = result->has_moved ? 0 : s->rounds;
    } else if (result->is_over) {
        s->is_held = s->is_told = false;
        s->wants_scan = true;
        report(actions, TMB_SYNC_REPORT_RANGED);
    }
}

static void on_done(tmb_sync *s, const tmb_job_result *result, tmb_sync_actions *actions)
{
    tmb_job_kind kind = (tmb_job_kind)s->job;
    s->job = TMB_JOB_NONE;
    if (s->state == TMB_SYNC_CLOSED || s->state == TMB_SYNC_RESTING)
        return;
    if (result->err) { /* the store: again, when an answer would be late */
        tmb_sync_action *action = push(actions, TMB_SYNC_REPORT);
        action->report = TMB_SYNC_REPORT_FAILED;
        action->err = result->err;
        s->is_asking = true;
        s->since = s->now;
        return;
    }
    if (kind == TMB_JOB_GREET) {
        send(s, result->frames[0], actions);
        s->is_asking = true;
    } else if (kind == TMB_JOB_MEET) {
        done_meet(s, result, actions);
    } else if (kind == TMB_JOB_SCAN) {
        done_scan(s, result, actions);
    } else if (kind == TMB_JOB_JOIN) {
        done_join(s, result, actions);
    } else if (kind == TMB_JOB_ACKED) {
        done_acked(s, actions);
    } else {
        done_ranges(s, result, actions);
    }
}

static void close_it(tmb_sync *s)
{
    tmb_sync fresh = {.room = s->room, .scope = s->scope, .now = s->now, .job = s->job};
    fresh.answer_ms = s->answer_ms;
    fresh.chunk_bytes = s->chunk_bytes;
    fresh.may_write = s->may_write;
    *s = fresh;
}

static void open_it(tmb_sync *s, const tmb_sync_event *event)
{
    close_it(s);
    s->session = event->session;
    s->state = TMB_SYNC_GREETING;
    s->wants_greet = event->speaks;
    s->room->is_set = false;
}

/* Both are through with what they had to tell, and prints were not compared since. Who takes nothing from us
 * is not asked: whatever differs stays so. */
static bool may_compare(const tmb_sync *s)
{
    return s->state == TMB_SYNC_SYNCING && !s->is_compared && !s->is_denied && tmb_sync_is_quiet(s);
}

/* Whether the event keeps the contract. */
static bool is_in_order(const tmb_sync *s, const tmb_sync_event *event)
{
    bool is_for_idle = event->type == TMB_SYNC_OPEN || event->type == TMB_SYNC_FRAME;
    if (event->now.ns < s->now.ns || (is_for_idle && s->job != TMB_JOB_NONE))
        return false;
    if (!s->room && event->type != TMB_SYNC_CLOSE && event->type != TMB_SYNC_SENT)
        return false;
    if (event->type == TMB_SYNC_DONE)
        return event->result && s->job != TMB_JOB_NONE && event->result->kind == s->job;
    if (event->type == TMB_SYNC_FRAME)
        return event->frame && tmb_frame_is_state(event->frame) &&
               (s->state == TMB_SYNC_CLOSED || tmb_frame_state_session(event->frame) == s->session);
    return event->type >= TMB_SYNC_OPEN && event->type <= TMB_SYNC_TIMEOUT;
}

tmb_err tmb_sync_step(tmb_sync *s, const tmb_sync_event *event, tmb_sync_actions *actions)
{
    actions->n = 0;
    if (!is_in_order(s, event))
        return TMB_EINVAL;
    s->now = event->now;
    switch (event->type) {
    case TMB_SYNC_OPEN:
        open_it(s, event);
        break;
    case TMB_SYNC_CLOSE:
        close_it(s);
        break;
    case TMB_SYNC_FRAME:
        if (s->state != TMB_SYNC_CLOSED)
            on_frame(s, event->frame, actions);
        break;
    case TMB_SYNC_CHANGED:
        s->wants_scan = s->state == TMB_SYNC_SYNCING;
        s->is_equal_told = s->is_compared = false;
        break;
    case TMB_SYNC_COMPARE:
        s->wants_greet = s->wants_greet || may_compare(s);
        break;
    case TMB_SYNC_DONE:
        on_done(s, event->result, actions);
        break;
    case TMB_SYNC_SENT:
        s->unsent -= s->unsent > 0;
        s->since = s->now;
        break;
    case TMB_SYNC_ASK:
        s->wants_greet = s->wants_greet || (s->state == TMB_SYNC_SYNCING && !is_waiting(s));
        break;
    case TMB_SYNC_TIMEOUT:
        if (tmb_mono_is_due(tmb_sync_deadline(s), s->now) && !s->wants_greet)
            doubt(s, true, actions);
        break;
    }
    go_on(s, actions);
    return TMB_OK;
}

tmb_mono tmb_sync_deadline(const tmb_sync *s)
{
    if (!is_waiting(s) || s->unsent > 0 || s->job != TMB_JOB_NONE)
        return tmb_mono_never();
    unsigned doublings = s->tries > 1 ? s->tries - 1u : 0;
    int64_t wait_ms = (int64_t)s->answer_ms << (doublings < 5 ? doublings : 5);
    return tmb_mono_after(s->since, tmb_dur_ms(wait_ms));
}

bool tmb_sync_is_quiet(const tmb_sync *s)
{
    if (s->job != TMB_JOB_NONE)
        return false;
    return s->state == TMB_SYNC_CLOSED || s->state == TMB_SYNC_RESTING ||
           !(is_waiting(s) || s->is_held || s->wants_greet || s->wants_acked || s->wants_ranges ||
             may_scan(s) || is_being_told(s));
}

void tmb_sync_init(tmb_sync *s, const char *scope, const tmb_sync_options *options)
{
    uint32_t bytes = options->chunk_bytes;
    *s = (tmb_sync){.scope = scope, .answer_ms = options->answer_ms};
    s->chunk_bytes =
        bytes > 0 && bytes < TMB_LEAVES_BYTES_DEFAULT ? bytes : TMB_LEAVES_BYTES_DEFAULT;
    s->may_write = options->may_write;
}

bool tmb_sync_refuse(const tmb_frame *frame, tmb_refusal refused, tmb_frame *ret)
{
    bool is_due = frame->type == TMB_FRAME_SCOPE && frame->u.scope.refused == TMB_REFUSAL_NONE;
    if (!is_due)
        return false;
    ret->type = TMB_FRAME_SCOPE;
    ret->u.scope = (tmb_frame_scope){.session = frame->u.scope.session, .turn = 1};
    ret->u.scope.scope = frame->u.scope.scope;
    ret->u.scope.answers = frame->u.scope.turn;
    ret->u.scope.refused = refused;
    return true;
}

const char *tmb_sync_report_str(tmb_sync_report what)
{
    static const char *const words[] = {"none",   "met",     "equal",  "reborn", "below", "scrub",
                                        "ranged", "refused", "denied", "forked", "stuck", "failed"};
    return (unsigned)what < sizeof words / sizeof *words ? words[what] : "unknown";
}
