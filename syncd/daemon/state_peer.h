// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_peer.h - one neighbour as the service of state sees it: its session, its scopes, its
 * frames.
 *
 *   uplink.c, child.c --look: session open or not, frame--> peer --> lane (a scope; state_lane.c) <--> jobs
 *          ^                                                 |
 *          '------- send, when there is room ----------------'
 *
 * LEAVES and RANGES wait for room, at the pace of the line; what is short goes at once, but never past what
 * its own scope has said before. A neighbour has a window of chunks that nobody has acknowledged yet, which
 * follows the time that an answer takes: so one that is slow never fills a broker's queue.
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_PEER_H
#define TMB_SYNCD_DAEMON_STATE_PEER_H

#include "syncd/daemon/state.h"

struct tmb_held;

/* Chunks of all scopes of one neighbour that are not acknowledged: at first, and at most. */
#define TMB_STATE_WINDOW_FIRST 4u
#define TMB_STATE_WINDOW_MAX   16u
/* An answer within this long widens the window by one; one that took longer than that makes it one. */
#define TMB_STATE_QUICK_MS 300
#define TMB_STATE_SLOW_MS  2000
/* Scopes that a child may name, one more is refused (limit). */
#define TMB_STATE_SCOPES_OF_CHILD_MAX 256u
/* A chunk for a child, whose line nobody here knows. For the parent: what the pace calls a piece. */
#define TMB_STATE_CHUNK_BYTES 16384u

typedef struct tmb_state_peer_options {
    /* Borrowed for the peer's life: the child's; of the parent as told by its WELCOME. */
    const char *name;
    bool is_parent;
    void *arg;
    /* Sends a frame, encoded; bytes of data that it carries. False: there is no link. */
    bool (*send)(void *arg, tmb_bytes frame);
    /* Whether the line has room for a chunk now; else tmb_state_peer_pump is called when it may have. */
    bool (*has_room)(void *arg);
    uint32_t (*chunk_bytes)(void *arg);
} tmb_state_peer_options;

/* gives ret_peer, with no session. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_peer_new(tmb_state *state, const tmb_state_peer_options *options,
                                        tmb_state_peer **ret_peer);

/* tmb_state_peer_look: the session with the neighbour as it is now, 0 when there is none that has state.
 * What is news begins or ends all its machines; before the store has begun (state.c) a session waits for it.
 * peer NULL: nothing. */
void tmb_state_peer_look(tmb_state_peer *peer, uint64_t session);

/* tmb_state_peer_is_old logs that a session with name is of a version without state. */
void tmb_state_peer_is_old(const char *name, unsigned version);

/* tmb_state_peer_frame takes a frame of the open session, and arena, which holds what it points to. */
void tmb_state_peer_frame(tmb_state_peer *peer, const tmb_frame *frame, void *arena);

/* tmb_state_peer_pump sends what there is room for. peer NULL: nothing. */
void tmb_state_peer_pump(tmb_state_peer *peer);
bool tmb_state_peer_has_chunks(const tmb_state_peer *peer);

/* For state.c: the store has begun, sessions that are open already are taken, with the greetings that came in
 * them; a scope has changed (from NULL:
 * here); leaves of it hold what no clock covers; once a second. */
void tmb_state_peers_begin(tmb_state *state);
void tmb_state_peers_changed(tmb_state *state, struct tmb_held *held, const tmb_state_peer *from);
void tmb_state_peers_compare(const struct tmb_held *held);
void tmb_state_peers_tick(tmb_state *state);
void tmb_state_peers_stop(tmb_state *state);
void tmb_state_peers_free(tmb_state *state); /* the loop has ended */

/* tmb_state_peers_is_open says whether a neighbour called name has a session in which it shares the scope. It
 * may be gone without a word: ask sends it a greeting, whose answer shows in its row (heard_ms). close:
 * nothing is said of the scope any more before it says something. held NULL: not open, nothing. */
bool tmb_state_peers_is_open(const struct tmb_held *held, const char *name);
void tmb_state_peers_ask(const struct tmb_held *held, const char *name);
void tmb_state_peers_close(const struct tmb_held *held, const char *name);

/* tmb_state_peers_stats gives what is told of the neighbours of one scope. */
json_t *tmb_state_peers_stats(const struct tmb_held *held);

#endif
