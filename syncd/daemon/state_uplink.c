// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_uplink.c - see state_uplink.h. */
#include "syncd/daemon/state_uplink.h"

#include "syncd/daemon/log.h"
#include "syncd/daemon/state_peer.h"

/* A line that is never idle lets a chunk go this often all the same. */
#define WAIT_MS_MAX 250

static bool send_frame(void *arg, tmb_bytes frame)
{
    tmb_uplink *u = arg;
    if (!u->link || u->is_stopping)
        return false;
    tmb_err err = tmb_link_send(u->link, u->up_topic, frame);
    if (err != TMB_OK)
        return false;
    tmb_told_state(&u->told);
    tmb_session_said(&u->session, (uint32_t)frame.len, tmb_daemon_now());
    u->state_at = tmb_daemon_now();
    return true;
}

static bool has_room(void *arg)
{
    tmb_uplink *u = arg;
    tmb_mono now = tmb_daemon_now();
    bool is_patient = !tmb_mono_is_due(tmb_mono_after(u->state_at, tmb_dur_ms(WAIT_MS_MAX)), now);
    bool has_room = u->link && tmb_pace_paid_at(&u->session.pace).ns <= now.ns &&
                    tmb_session_has_room(&u->session, !is_patient);
    if (!has_room)
        tmb_uplink_look_soon(u);
    return has_room;
}

static uint32_t chunk_bytes(void *arg)
{
    const tmb_uplink *u = arg;
    uint32_t piece = tmb_pace_piece_bytes(&u->session.pace);
    return piece < TMB_LEAVES_BYTES_DEFAULT ? piece : TMB_LEAVES_BYTES_DEFAULT;
}

/* Whose records flow and whose state does not would else be told by nothing but values that differ. */
static void miss_state(tmb_uplink *u)
{
    bool is_missed =
        u->session.state == TMB_SESSION_STREAMING && !tmb_session_has_state(&u->session);
    if (is_missed && !u->is_state_missed)
        tmb_state_peer_is_old(u->session.parent, u->session.version);
    if (u->session.state == TMB_SESSION_STREAMING)
        u->is_state_missed = is_missed;
}

void tmb_state_uplink_look(tmb_uplink *u)
{
    tmb_state *state = u->daemon->state;
    if (!state)
        return;
    miss_state(u);
    uint64_t session =
        tmb_session_has_state(&u->session) && !u->is_stopping ? u->session.session : 0;
    if (session != 0 && (!u->state_peer || strcmp(u->state_parent, u->session.parent) != 0)) {
        tmb_state_peer_options options = {.name = u->session.parent,
                                          .is_parent = true,
                                          .arg = u,
                                          .send = send_frame,
                                          .has_room = has_room,
                                          .chunk_bytes = chunk_bytes};
        tmb_state_peer_look(u->state_peer, 0);
        u->state_peer = NULL;
        if (tmb_state_peer_new(state, &options, &u->state_peer) != TMB_OK)
            return; /* the next step tries again */
        memcpy(u->state_parent, u->session.parent, sizeof u->state_parent);
    }
    tmb_state_peer_look(u->state_peer, session);
}

void tmb_state_uplink_pump(tmb_uplink *u)
{
    tmb_state_peer_pump(u->state_peer);
}

bool tmb_state_uplink_frame(tmb_uplink *u, const tmb_frame *frame, void *arena)
{
    if (!u->state_peer || !tmb_session_takes_state(&u->session, frame))
        return false;
    tmb_state_peer_frame(u->state_peer, frame, arena);
    return true;
}
