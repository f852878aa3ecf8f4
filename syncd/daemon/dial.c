// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/dial.c - the uplink's link: a dial, what it hears, what of our words the peer has taken.
 *
 *   DIAL --> tmb_link --up, down, message--> one event each --> step
 *
 * A link that is given up leaves its byte counts behind. A dial that cannot even begin is told as down at the
 * next turn of the loop.
 */
#include "syncd/daemon/uplink_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "syncd/daemon/links.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/state_uplink.h"

void tmb_uplink_hang_up(tmb_uplink *u)
{
    if (!u->link)
        return;
    uint64_t out = 0, in = 0;
    tmb_link_bytes(u->link, &out, &in);
    u->bytes_out += out;
    u->bytes_in += in;
    tmb_link_close(u->link);
    tmb_cutter_begin(&u->cutter);
    u->link = NULL;
}

static void on_up(void *arg)
{
    tmb_uplink *u = arg;
    const tmb_config_endpoint *to = tmb_chooser_endpoint(u->chooser);
    LOG(TMB_LOG_NOTICE, "parent.up", tmb_str("host", to->host), tmb_num("port", to->port));
    u->last_why[0] = 0;
    tmb_session_event event = {.type = TMB_SESSION_LINK_UP, .epoch = u->link_epoch};
    tmb_uplink_step(u, &event);
}

static void tell_down(tmb_uplink *u, const char *why)
{
    if (strncmp(why, u->last_why, sizeof u->last_why - 1) != 0)
        LOG(TMB_LOG_WARNING, "parent.down", tmb_str("why", why));
    (void)snprintf(u->last_why, sizeof u->last_why, "%s", why);
}

static void on_down(void *arg, const char *why)
{
    tmb_uplink *u = arg;
    tell_down(u, why);
    tmb_uplink_hang_up(u);
    tmb_session_event event = {.type = TMB_SESSION_LINK_DOWN, .epoch = u->link_epoch};
    tmb_uplink_step(u, &event);
}

static void on_message(void *arg, const char *topic, tmb_bytes payload)
{
    tmb_uplink *u = arg;
    if (strcmp(topic, u->down_topic) != 0)
        return;
    tmb_uplink_tell_progress(u); /* what is answered has been taken */
    tmb_frame frame;
    size_t cap = tmb_frame_arena_size(payload.len);
    void *arena = payload.len <= TMB_FRAME_BYTES_MAX ? malloc(cap) : NULL;
    tmb_err err = arena ? tmb_frame_decode(payload, arena, cap, &frame) : TMB_ELIMIT;
    if (err == TMB_OK && tmb_state_uplink_frame(u, &frame, arena))
        return;
    tmb_session_event event = {.type = err == TMB_OK ? TMB_SESSION_FRAME : TMB_SESSION_FRAME_BAD,
                               .epoch = u->link_epoch};
    event.u.frame = err == TMB_OK ? &frame : NULL;
    if (err == TMB_OK)
        tmb_uplink_note_pieces(u, &frame);
    tmb_chooser_listen(u->chooser);
    tmb_uplink_step(u, &event);
    tmb_chooser_heard(u->chooser);
    tmb_uplink_send_pieces(u);
    free(arena);
}

void tmb_uplink_dial(tmb_uplink *u, uint64_t epoch)
{
    const char *filters[] = {u->down_topic};
    const tmb_config_endpoint *parent = tmb_chooser_endpoint(u->chooser);
    tmb_link_options options = tmb_links_to(u->daemon, parent->host, parent->port, u->client_id);
    options.subscribe = filters;
    options.subscribe_count = 1;
    options.connect_timeout_ms = TMB_DIAL_TIMEOUT_MS;
    options.arg = u;
    options.up = on_up;
    options.down = on_down;
    options.message = on_message;
    char text[512] = "";
    tmb_uplink_hang_up(u);
    u->dials++;
    u->link_epoch = epoch;
    u->taken_bytes = u->lost_frames = 0;
    tmb_told_begin(&u->told);
    tmb_err err = tmb_link_open(&options, &u->link, text, sizeof text);
    if (err != TMB_OK) {
        tell_down(u, text[0] ? text : tmb_err_str(err));
        u->is_dial_failed = true;
    }
}

/* While an answer is waited for: is what we said still leaving? Every byte counts, for what stands behind it
 * has come nearer. */
void tmb_uplink_tell_progress(tmb_uplink *u)
{
    uint64_t bytes = 0, messages = 0;
    if (!u->link || !tmb_session_is_waiting(&u->session))
        return;
    tmb_link_taken(u->link, &bytes, &messages);
    uint64_t said = tmb_link_said(u->link), out = 0, in = 0;
    if (bytes == 0 || (bytes <= u->taken_bytes && said == u->session.pace.said))
        return;
    tmb_link_bytes(u->link, &out, &in);
    u->taken_bytes = bytes;
    messages = tmb_told_ours(&u->told, messages) + u->lost_frames;
    messages = tmb_cutter_taken(&u->cutter, messages);
    tmb_session_event event = {.type = TMB_SESSION_PROGRESS, .epoch = u->link_epoch};
    event.bytes.said = said;
    event.bytes.taken = bytes;
    event.bytes.all = said + in;
    event.u.taken = messages < u->session.sent ? messages : u->session.sent;
    tmb_uplink_step(u, &event);
}
