// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/notes.c - what the uplink writes down of what the parent has: marks, gaps, chains, and the
 * ranges that went ahead.
 *
 * The keeper brings it to disk; a gap before it is told to the parent, the rest behind the step.
 */
#include "syncd/daemon/uplink_inside.h"

#include <stdio.h>

/* Notes of another journal are worth nothing. What was lost here is lost whoever the parent is; how far it
 * is, the new one's WELCOME says for each stream, and the marks go there, down too. */
static void begin_notes(tmb_uplink *u, const tmb_incarnation *incarnation)
{
    tmb_marks *marks = &u->marks;
    if (marks->streams_count == 0 || !tmb_incarnation_eq(marks->incarnation, *incarnation)) {
        memset(marks, 0, sizeof *marks);
        (void)snprintf(marks->node, sizeof marks->node, "%s", u->daemon->config->node);
        marks->incarnation = *incarnation;
    }
    if (strcmp(marks->parent, u->session.parent) != 0) {
        for (unsigned i = 0; i < marks->streams_count; i++) {
            marks->streams[i].seq =
                0; /* and the gaps stay, unlike those of a mark that goes back */
            marks->streams[i].has_chain = false;
        }
        (void)snprintf(marks->parent, sizeof marks->parent, "%s", u->session.parent);
    }
    marks->is_parent_top = u->session.is_parent_top;
}

static bool has_notes(const tmb_uplink *u, const char *stream)
{
    for (unsigned i = 0; i < u->marks.streams_count; i++)
        if (strcmp(u->marks.streams[i].stream, stream) == 0)
            return true;
    return false;
}

void tmb_uplink_note_mark(tmb_uplink *u, const tmb_session_action *action)
{
    tmb_lane *lane = &u->lanes[action->stream];
    lane->cursor_due = action->seq;
    begin_notes(u, &action->incarnation);
    if (!has_notes(u, lane->name) && action->seq > 0) /* carried up when nobody took notes */
        tmb_marks_add_gap(&u->marks, lane->name, 1, action->seq, TMB_GAP_NONE);
    u->are_marks_news |= tmb_marks_move(&u->marks, lane->name, action->seq);
    const tmb_chain *told = &u->session.lanes[lane->index].told;
    tmb_chain chain =
        told->is_known && told->seq == action->seq ? *told : tmb_lane_chain(lane, action->seq);
    if (chain.is_known)
        tmb_marks_set_chain(&u->marks, lane->name, chain.value);
}

void tmb_uplink_note_aheads(tmb_uplink *u)
{
    tmb_live live;
    tmb_ahead_copy(u->ahead, &live);
    u->marks.aheads_count = live.ranges_count;
    memcpy(u->marks.aheads, live.ranges, sizeof live.ranges);
}

/* Before it is told: should this process end right behind it, its notes must know. */
void tmb_uplink_note_gap(tmb_uplink *u, const char *stream, const tmb_frame_batch *batch)
{
    begin_notes(u, &batch->incarnation);
    tmb_uplink_note_aheads(u);
    tmb_marks_add_gap(&u->marks, stream, batch->gap_first, batch->first_seq - 1, batch->gap_reason);
    tmb_keeper_save_gap(u->keeper, &u->marks);
}
