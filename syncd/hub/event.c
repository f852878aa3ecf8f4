// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/event.c - whether an event keeps the contract of intake.h: asked before anything changes. */
#include "syncd/hub/intake_inside.h"

unsigned tmb_intake_find_storing(const tmb_intake *intake, uint64_t ticket)
{
    unsigned i = 0;
    while (i < intake->lanes_count &&
           !(intake->lanes[i].is_storing && intake->lanes[i].queue[0].ticket == ticket))
        i++;
    return i;
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

bool tmb_intake_is_event_valid(const tmb_intake *intake, const tmb_intake_event *event)
{
    if (event->now.ns < intake->now.ns)
        return false;
    switch (event->type) {
    case TMB_INTAKE_FRAME:
        return event->u.frame != NULL &&
               (event->u.frame->type != TMB_FRAME_BATCH ||
                (event->ticket != 0 && !is_waiting(intake, event->ticket) &&
                 tmb_intake_find_storing(intake, event->ticket) == intake->lanes_count));
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
