// SPDX-License-Identifier: Apache-2.0
/* syncd/session/event.c - whether an event keeps the contract of session.h: asked before anything changes. */
#include "syncd/session/lane.h"

unsigned tmb_session_find_load(const tmb_session *s, uint64_t ticket)
{
    unsigned i = 0;
    while (i < s->options.streams_count && s->lanes[i].load_ticket != ticket)
        i++;
    return i;
}

static bool is_loaded_valid(const tmb_session *s, const tmb_session_event *event)
{
    uint64_t first_seq = event->u.loaded.first_seq, last_seq = event->u.loaded.last_seq;
    uint64_t gap_first = event->u.loaded.gap_first;
    unsigned i = tmb_session_find_load(s, event->u.loaded.ticket);
    if (event->u.loaded.ticket == 0 || event->u.loaded.ticket >= s->next_ticket)
        return false;
    if (first_seq == 0 || last_seq > TMB_SEQ_MAX || (gap_first != 0 && gap_first >= first_seq))
        return false;
    if (i == s->options.streams_count || s->lanes[i].is_load_unwanted)
        return true;
    if (first_seq > last_seq)
        return first_seq >= s->lanes[i].load_seq;
    return (gap_first != 0 ? gap_first : first_seq) == s->lanes[i].load_seq;
}

bool tmb_session_is_event_valid(const tmb_session *s, const tmb_session_event *event)
{
    if (event->now.ns < s->now.ns)
        return false;
    switch (event->type) {
    case TMB_SESSION_START:
    case TMB_SESSION_TIMEOUT:
    case TMB_SESSION_CLOSE:
    case TMB_SESSION_MOVE:
        return true;
    case TMB_SESSION_ASK:
        return event->u.frame != NULL && event->u.frame->type == TMB_FRAME_ASK;
    case TMB_SESSION_LINK_UP:
    case TMB_SESSION_LINK_DOWN:
    case TMB_SESSION_FRAME_BAD:
        return event->epoch <= s->epoch;
    case TMB_SESSION_FRAME:
        return event->epoch <= s->epoch && event->u.frame != NULL;
    case TMB_SESSION_PROGRESS:
        return event->epoch < s->epoch || (event->epoch == s->epoch && event->u.taken >= s->taken &&
                                           event->u.taken <= s->sent);
    case TMB_SESSION_TAIL:
        return event->u.tail.stream < s->options.streams_count && event->u.tail.first_seq > 0 &&
               event->u.tail.last_seq <= TMB_SEQ_MAX &&
               event->u.tail.first_seq <= event->u.tail.last_seq + 1;
    case TMB_SESSION_LOADED:
        return is_loaded_valid(s, event);
    case TMB_SESSION_PROVED:
        return event->u.proved.ticket > 0 && event->u.proved.ticket < s->next_ticket;
    case TMB_SESSION_LOAD_FAILED:
        return event->u.ticket > 0 && event->u.ticket < s->next_ticket;
    }
    return false;
}
