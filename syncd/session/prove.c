// SPDX-License-Identifier: Apache-2.0
/* syncd/session/prove.c - see prove.h.
 */
#include "syncd/session/prove.h"

void tmb_session_prove_begin(tmb_session *s, unsigned lane, const tmb_mark *mark)
{
    tmb_session_lane *l = &s->lanes[lane];
    memset(&l->told, 0, sizeof l->told);
    if (!mark->has_chain || mark->seq == 0 || mark->seq < l->first_seq)
        return;
    l->told.seq = mark->seq;
    l->told.is_known = true;
    memcpy(l->told.value, mark->chain, sizeof l->told.value);
    l->proof_ticket = s->next_ticket++;
    l->is_proof_due = true;
    l->is_persist_due = false; /* once it is proved */
}

bool tmb_session_is_proving(const tmb_session *s)
{
    bool is_proving = false;
    for (unsigned i = 0; i < s->options.streams_count; i++)
        is_proving = is_proving || s->lanes[i].proof_ticket != 0;
    return is_proving;
}

bool tmb_session_prove_pump(tmb_session *s, tmb_session_actions *actions)
{
    for (unsigned i = 0; i < s->options.streams_count && actions->n < TMB_SESSION_ACTIONS_MAX;
         i++) {
        tmb_session_lane *lane = &s->lanes[i];
        if (!lane->is_proof_due)
            continue;
        lane->is_proof_due = false;
        tmb_session_action *action = &actions->v[actions->n++];
        memset(action, 0, sizeof *action);
        action->type = TMB_SESSION_PROVE;
        action->ticket = lane->proof_ticket;
        action->stream = i;
        action->incarnation = lane->incarnation;
        action->chain = &lane->told;
    }
    return tmb_session_is_proving(s);
}

unsigned tmb_session_prove_end(tmb_session *s, uint64_t ticket)
{
    unsigned i = 0;
    while (i < s->options.streams_count && s->lanes[i].proof_ticket != ticket)
        i++;
    if (i < s->options.streams_count) {
        s->lanes[i].proof_ticket = 0;
        s->lanes[i].is_proof_due = false;
        s->lanes[i].is_persist_due = true;
    }
    return i;
}
