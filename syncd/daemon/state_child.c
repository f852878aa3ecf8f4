// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_child.c - see state_child.h. */
#include "syncd/daemon/state_child.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/topics.h"
#include "syncd/daemon/state_peer.h"
#include "syncd/state/sync.h"

static bool send_frame(void *arg, tmb_bytes frame)
{
    const tmb_child *child = arg;
    char topic[sizeof TMB_TOPIC_DOWN + TMB_NAME_BYTES_MAX];
    (void)snprintf(topic, sizeof topic, "%s%s", TMB_TOPIC_DOWN, child->name);
    return child->hub->link && tmb_link_send(child->hub->link, topic, frame) == TMB_OK;
}

/* The peer's window is what bounds it: nobody here knows the child's line. */
static bool has_room(void *arg)
{
    (void)arg;
    return true;
}

static uint32_t chunk_bytes(void *arg)
{
    (void)arg;
    return TMB_STATE_CHUNK_BYTES;
}

/* Only a child that has something to share here: its own scope. */
static void miss_state(tmb_child *child)
{
    const tmb_state_policy *policy = &child->hub->daemon->config->state;
    tmb_bytes name = tmb_bytes_str(child->name);
    if (child->intake.state != TMB_INTAKE_OPEN)
        return;
    bool is_missed = !tmb_intake_has_state(&child->intake) &&
                     tmb_state_right_of_child(policy, name, name) != TMB_STATE_RIGHT_NONE;
    if (is_missed && !child->is_state_missed)
        tmb_state_peer_is_old(child->name, child->intake.version);
    child->is_state_missed = is_missed;
}

void tmb_state_child_look(tmb_child *child)
{
    tmb_state *state = child->hub->daemon->state;
    if (state)
        miss_state(child);
    bool is_open = tmb_intake_has_state(&child->intake) && !child->hub->is_stopping;
    if (!state || (!is_open && !child->state_peer))
        return;
    if (!child->state_peer) {
        tmb_state_peer_options options = {.name = child->name,
                                          .arg = child,
                                          .send = send_frame,
                                          .has_room = has_room,
                                          .chunk_bytes = chunk_bytes};
        if (tmb_state_peer_new(state, &options, &child->state_peer) != TMB_OK)
            return; /* the next step tries again */
    }
    tmb_state_peer_look(child->state_peer, is_open ? child->intake.session : 0);
}

bool tmb_state_child_frame(tmb_child *child, const tmb_frame *frame, void *arena)
{
    tmb_frame answer;
    if (!tmb_intake_takes_state(&child->intake, frame))
        return false;
    if (child->state_peer) {
        tmb_state_peer_frame(child->state_peer, frame, arena);
        return true;
    }
    if (tmb_sync_refuse(frame, TMB_REFUSAL_UNKNOWN, &answer)) /* this node has no state */
        tmb_child_send(child->hub, child->name, &answer);
    free(arena);
    return true;
}
