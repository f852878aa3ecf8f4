// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/outbox.c - what goes over the uplink's link: frames, batches, and batches in pieces.
 *
 *   SEND ----------------------------------------------------> frame
 *   SEND_BATCH --[dictionary that it needs]-- whole ---------> frame
 *                                          \- too large: cutter, a piece at a time, as the pace has room
 *
 * What is lost on the way is not said again from here: its ACK does not come, and the session goes back.
 */
#include "syncd/daemon/uplink_inside.h"

#include <stdlib.h>

#include "syncd/daemon/log.h"
#include "syncd/daemon/pair.h"

#define CUT_MS_MAX 1000

void tmb_uplink_send(tmb_uplink *u, const tmb_frame *frame)
{
    size_t cap = tmb_frame_size_max(frame), len = 0;
    uint8_t *bytes = malloc(cap);
    tmb_err err = bytes ? tmb_frame_encode(frame, bytes, cap, &len) : TMB_ENOMEM;
    if (err == TMB_OK && u->link)
        err = tmb_link_send(u->link, u->up_topic, tmb_bytes_of(bytes, len));
    if (err != TMB_OK && err != TMB_ECLOSED)
        LOG(TMB_LOG_ERROR, "frame.not_sent", tmb_num("type", (uint64_t)frame->type), tmb_why(err));
    u->lost_frames += err != TMB_OK;
    u->told.given += err == TMB_OK && u->link;
    u->cutter.messages += frame->type != TMB_FRAME_DICTIONARY; /* which the session does not know */
    free(bytes);
}

/* On the same way as the batch that needs it, before it. */
static void send_dictionary(tmb_uplink *u, const tmb_frame_batch *batch, tmb_lane *lane)
{
    tmb_frame frame = tmb_told_frame(batch, u->loaded);
    uint64_t lost = u->lost_frames;
    tmb_uplink_send(u, &frame);
    if (u->lost_frames == lost)
        tmb_told_sent(&u->told, lane, &frame.u.dictionary);
    tmb_session_said(&u->session, (uint32_t)frame.u.dictionary.data.len, tmb_daemon_now());
    u->lost_frames =
        lost; /* when it was lost, the batch behind it is refused, and both come again */
}

/* The machine's batch is what LOADED has just told of. */
void tmb_uplink_send_batch(tmb_uplink *u, const tmb_session_action *action)
{
    tmb_load *load = u->loaded;
    TMB_ASSERT(load && load->ticket == action->ticket);
    tmb_frame frame = {.type = TMB_FRAME_BATCH};
    frame.u.batch = load->batch;
    frame.u.batch.session = action->session;
    tmb_lane *lane = &u->lanes[action->stream];
    frame.u.batch.stream = tmb_bytes_str(lane->name);
    frame.u.batch.pool = action->pool;
    frame.u.batch.spent = action->spent;
    frame.u.batch.is_late = tmb_pair_is_late(lane, load->batch.last_seq);
    lane->sent_last =
        lane->sent_last > load->batch.last_seq ? lane->sent_last : load->batch.last_seq;
    if (load->batch.gap_first != 0 && load->batch.gap_reason <= TMB_GAP_MISSING)
        tmb_uplink_note_gap(u, lane->name, &load->batch);
    else if (load->batch.gap_first != 0 && u->session.version < 2)
        frame.u.batch.gap_reason = TMB_GAP_TORN; /* it knows no other that is no loss */
    if (load->dictionary)
        send_dictionary(u, &frame.u.batch, lane);
    bool is_cut = action->is_cut || tmb_cutter_has(&u->cutter, action->stream);
    if (is_cut && tmb_cutter_add(&u->cutter, action->stream, load, &frame.u.batch) == TMB_OK)
        u->is_load_kept = true;
    else
        tmb_uplink_send(u, &frame);
    u->batches++;
    u->records += load->batch.last_seq - load->batch.first_seq + 1;
    u->told.batches += load->batch.dictionary != 0;
    u->raw_bytes += load->batch.raw_bytes;
    u->packed_bytes += load->batch.data.len;
    tmb_line_count(&u->line, u->session.options.classes[action->stream], load->batch.data.len);
    if (load->batch.gap_first != 0 && (unsigned)load->batch.gap_reason <= TMB_GAP_MISSING)
        u->gaps[load->batch.gap_reason] += load->batch.first_seq - load->batch.gap_first;
}

static void note_piece(tmb_uplink *u, const tmb_mark *mark)
{
    for (unsigned i = 0; i < u->lanes_count; i++)
        if (tmb_bytes_eq(tmb_bytes_str(u->lanes[i].name), mark->stream))
            tmb_cutter_note(&u->cutter, i, mark);
}

/* Where to go on with what the parent has in part. */
void tmb_uplink_note_pieces(tmb_uplink *u, const tmb_frame *frame)
{
    const tmb_frame_welcome *welcome = &frame->u.welcome;
    if (frame->type == TMB_FRAME_WELCOME && welcome->session == u->session.session) {
        for (unsigned i = 0; i < welcome->marks_count; i++)
            note_piece(u, &welcome->marks[i]);
    } else if (frame->type == TMB_FRAME_ACK && frame->u.ack.session == u->session.session &&
               frame->u.ack.resend) {
        note_piece(u, &frame->u.ack.mark);
    }
}

/* Pieces go when the session has left room; if it never does, all the same once in a while. */
void tmb_uplink_send_pieces(tmb_uplink *u)
{
    tmb_session *s = &u->session;
    while (u->cutter.first && u->link && s->state == TMB_SESSION_STREAMING) {
        tmb_mono now = tmb_daemon_now();
        bool is_patient = !tmb_mono_is_due(tmb_mono_after(u->cut_at, tmb_dur_ms(CUT_MS_MAX)), now);
        if (tmb_pace_paid_at(&s->pace).ns > now.ns || !tmb_session_has_room(s, !is_patient))
            return;
        tmb_frame frame = {.type = TMB_FRAME_BATCH};
        frame.u.batch = tmb_cutter_next(&u->cutter, tmb_pace_piece_bytes(&s->pace));
        uint32_t bytes = (uint32_t)frame.u.batch.data.len;
        tmb_uplink_send(u, &frame);
        tmb_session_said(s, bytes, now);
        tmb_cutter_sent(&u->cutter, bytes);
        u->cut_at = now;
    }
}
