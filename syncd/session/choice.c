// SPDX-License-Identifier: Apache-2.0
/* syncd/session/choice.c - see choice.h. */
#include "syncd/session/choice.h"

#include <string.h>

#include "base/err.h"

static tmb_dur times(tmb_dur dur, unsigned n)
{
    tmb_dur longer = {dur.ns * (int64_t)n};
    return longer;
}

/* Up to a half longer. */
static tmb_dur draw(tmb_choice *c, tmb_dur dur)
{
    tmb_dur drawn = {dur.ns + (int64_t)tmb_rng_below(&c->rng, (uint64_t)dur.ns / 2 + 1)};
    return drawn;
}

static bool has_passed(tmb_mono from, tmb_dur dur, tmb_mono now)
{
    return from.ns != INT64_MAX && tmb_mono_is_due(tmb_mono_after(from, dur), now);
}

static void begin_waiting(tmb_choice *c, tmb_mono now)
{
    c->is_up = c->has_failed = c->was_refused = false;
    c->since = now;
    c->sick_since = tmb_mono_never();
    c->patience = draw(c, c->options.move_after);
}

static void draw_probe(tmb_choice *c, tmb_mono now)
{
    int64_t pause_ns = c->options.return_after.ns / TMB_CHOICE_PROBES;
    tmb_dur pause = {pause_ns / 2 + (int64_t)tmb_rng_below(&c->rng, (uint64_t)pause_ns + 1)};
    c->probe_at = tmb_mono_after(now, pause);
}

void tmb_choice_init(tmb_choice *c, const tmb_choice_options *options, tmb_mono now)
{
    TMB_ASSERT(options->parents > 0 && options->parents <= TMB_CHOICE_PARENTS_MAX);
    TMB_ASSERT(options->move_after.ns > 0 && options->return_after.ns > 0);
    memset(c, 0, sizeof *c);
    c->options = *options;
    c->rng.state = options->seed;
    c->moved_at = now;
    c->probe_at = now;
    for (unsigned i = 0; i < options->parents; i++)
        c->parents[i].good_since = tmb_mono_never();
    begin_waiting(c, now);
}

void tmb_choice_up(tmb_choice *c, uint32_t load, tmb_mono now)
{
    c->is_up = true;
    c->had_turn = 0;
    c->sick_since = load >= TMB_CHOICE_LOAD_SICK ? now : tmb_mono_never();
    c->patience = draw(c, c->options.move_after);
}

void tmb_choice_felt(tmb_choice *c, tmb_dur rtt, tmb_mono now)
{
    if (!c->is_up || c->options.sick_rtt.ns == 0)
        return;
    if (rtt.ns >= c->options.sick_rtt.ns && c->sick_since.ns == INT64_MAX)
        c->sick_since = now;
    else if (rtt.ns < c->options.sick_rtt.ns / 2)
        c->sick_since = tmb_mono_never();
}

void tmb_choice_lost(tmb_choice *c, tmb_mono now)
{
    if (c->is_up)
        begin_waiting(c, now);
}

void tmb_choice_failed(tmb_choice *c, bool is_refusal, tmb_mono now)
{
    tmb_choice_lost(c, now);
    c->has_failed = true;
    c->was_refused = is_refusal;
}

/* Of the more preferred ones the first that is trusted again; current when there is none. */
static unsigned find_return(const tmb_choice *c, tmb_mono now)
{
    if (!has_passed(c->moved_at, c->options.return_after, now))
        return c->current;
    for (unsigned i = 0; i < c->current; i++) {
        if (has_passed(c->parents[i].good_since, c->parents[i].wanted, now))
            return i;
    }
    return c->current;
}

/* Of those that had no turn since the last session: one that answers probes, else the next in the round. A
 * broker may answer probes without a tombolo-syncd behind it, and must not keep the others from theirs. */
static unsigned find_other(tmb_choice *c)
{
    unsigned count = c->options.parents, all = (1u << count) - 1;
    c->had_turn |= 1u << c->current;
    if (c->had_turn == all)
        c->had_turn = 0; /* a new round, which the one we leave does not begin */
    for (unsigned i = 0; i < c->current; i++) {
        if (c->parents[i].good_since.ns != INT64_MAX && (c->had_turn & 1u << i) == 0)
            return i;
    }
    unsigned next = c->current;
    do {
        next = (next + 1) % count;
    } while ((c->had_turn & 1u << next) != 0); /* one is left: had_turn is not all of them */
    return next;
}

static void leave(tmb_choice *c, tmb_mono now)
{
    tmb_choice_parent *left = &c->parents[c->current];
    bool has_settled =
        has_passed(c->moved_at, times(c->options.return_after, TMB_CHOICE_SETTLED), now);
    if (has_settled)
        left->penalty = 0;
    else if (c->has_returned && left->penalty < TMB_CHOICE_PENALTY_MAX)
        left->penalty++;
}

static void move_to(tmb_choice *c, unsigned parent, tmb_choice_why why, tmb_mono now)
{
    if (why != TMB_CHOICE_RETURN)
        leave(c, now);
    c->current = parent;
    c->has_returned = why == TMB_CHOICE_RETURN;
    c->moved_at = now;
    c->moves[why]++;
    for (unsigned i = 0; i < c->options.parents; i++)
        c->parents[i].good_since = tmb_mono_never(); /* from here on, and of those above it */
    begin_waiting(c, now);
    draw_probe(c, now);
}

bool tmb_choice_decide(tmb_choice *c, tmb_mono now, tmb_choice_why *ret_why)
{
    if (c->options.parents < 2)
        return false;
    unsigned better = find_return(c, now);
    tmb_choice_why why = TMB_CHOICE_RETURN;
    if (better == c->current) {
        bool is_gone = !c->is_up && c->has_failed && has_passed(c->since, c->patience, now);
        bool is_sick = c->is_up && has_passed(c->sick_since, c->patience, now) &&
                       has_passed(c->moved_at, c->options.return_after, now);
        if (!is_gone && !is_sick)
            return false;
        why = is_sick ? TMB_CHOICE_SICK : c->was_refused ? TMB_CHOICE_REFUSED : TMB_CHOICE_GONE;
        better = find_other(c);
    }
    move_to(c, better, why, now);
    *ret_why = why;
    return true;
}

unsigned tmb_choice_probe(tmb_choice *c, tmb_mono now)
{
    if (c->current == 0 || c->is_probing || !tmb_mono_is_due(c->probe_at, now))
        return TMB_CHOICE_NONE;
    c->is_probing = true;
    c->probe_turn = (c->probe_turn + 1) % c->current;
    draw_probe(c, now);
    return c->probe_turn;
}

void tmb_choice_probed(tmb_choice *c, unsigned parent, bool has_answered, tmb_mono now)
{
    TMB_ASSERT(parent < c->options.parents);
    tmb_choice_parent *p = &c->parents[parent];
    c->is_probing = false;
    if (!has_answered) {
        p->good_since = tmb_mono_never();
    } else if (p->good_since.ns == INT64_MAX && parent < c->current) {
        p->good_since = now;
        p->wanted = draw(c, times(c->options.return_after, 1u << p->penalty));
    }
}

const char *tmb_choice_why_str(tmb_choice_why why)
{
    switch (why) {
    case TMB_CHOICE_GONE:
        return "gone";
    case TMB_CHOICE_REFUSED:
        return "refused";
    case TMB_CHOICE_SICK:
        return "sick";
    case TMB_CHOICE_RETURN:
        return "return";
    }
    return "unknown";
}
