// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_lane.h - one scope with one neighbour: its machine, the job it waits for, frames that
 * wait.
 *
 * Private to state_peer.c and state_lane.c. Idle it is about 500 bytes: the room, the job and the queue are
 * there while something is done.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_LANE_H
#define TMB_SYNCD_DAEMON_STATE_LANE_H

#include "syncd/daemon/state_inside.h"
#include "syncd/daemon/state_peer.h"
#include "syncd/state/sync.h"

/* A frame that came. */
typedef struct tmb_state_came {
    struct tmb_state_came *next;
    void *arena;
    uint8_t *unpacked; /* data of LEAVES that came compressed */
    tmb_frame frame;
} tmb_state_came;

/* A frame that is to go. */
typedef struct tmb_state_goes {
    struct tmb_state_goes *next;
    tmb_state_lane *lane;
    size_t len;
    bool is_chunk;
    uint8_t bytes[];
} tmb_state_goes;

typedef struct tmb_state_goes_list {
    tmb_state_goes *first, **last;
} tmb_state_goes_list;

struct tmb_state_peer {
    tmb_state *state;
    tmb_state_peer_options options;
    char name[TMB_NAME_BYTES_MAX + 1];
    uint64_t session;      /* 0: none */
    uint64_t offered;      /* as it was looked at last: not taken before the store has begun ... */
    tmb_state_came *early; /* ... and greetings in it that came by then */
    unsigned early_count;
    tmb_state_lane *lanes;
    unsigned lanes_count;
    tmb_state_goes_list at_once, paced;
    unsigned flight, window; /* chunks not acknowledged */
    bool is_pumping;
    uint64_t sent_bytes, sent_chunks, came_chunks, refused, dropped;
    tmb_state_peer *next; /* of state->peers */
};

struct tmb_state_lane {
    tmb_sync sync;
    tmb_state_peer *peer;
    tmb_held *held;
    tmb_state_lane *next_of_peer, *next_of_held;
    tmb_state_lane *next_awake, **place_awake; /* while a deadline is to be watched */
    struct tmb_lane_job *job;                  /* NULL: none runs */
    tmb_state_came *came, *current;
    unsigned came_count;
    unsigned queued, flight; /* chunks that wait to go, and that went */
    bool is_stepping, must_open, speaks, is_changed;
    uint8_t report;    /* tmb_sync_report that people may want to see: the last bad one */
    uint8_t refusal;   /* what the neighbour said */
    int64_t equal_ms;  /* Unix time when all was last acknowledged; 0: never */
    tmb_mono chunk_at; /* when the oldest chunk in flight went */
    uint64_t asked_ms; /* wall, when our last SCOPE went */
};

TMB_MUST_USE tmb_err tmb_state_lane_new(tmb_state_peer *peer, tmb_held *held, bool may_write,
                                        tmb_state_lane **ret_lane);
void tmb_state_lane_free(tmb_state_lane *lane);
void tmb_state_lane_open(tmb_state_lane *lane, bool speaks);
void tmb_state_lane_close(tmb_state_lane *lane);
void tmb_state_lane_frame(tmb_state_lane *lane, tmb_state_came *came); /* takes came */
void tmb_state_lane_changed(tmb_state_lane *lane);
void tmb_state_lane_ask(tmb_state_lane *lane);     /* is the neighbour there? */
void tmb_state_lane_compare(tmb_state_lane *lane); /* has it what is ahead of the clock? */
void tmb_state_lane_sent(tmb_state_lane *lane, bool is_chunk);
void tmb_state_lane_timeout(tmb_state_lane *lane);

/* tmb_state_peer_queue is for a lane's frame, encoded. */
void tmb_state_peer_queue(tmb_state_peer *peer, tmb_state_goes *goes);

void tmb_state_came_free(tmb_state_came *came);

#endif
