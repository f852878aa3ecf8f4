// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/child.h - one child at its parent: its machine, its batches, its counters.
 *
 * Inner header of hub.c, child.c and store_job.c.
 *
 *   frame --> intake --LOAD_MARKS--> (pool: store) --MARKS--> intake
 *               |----PERSIST--> (pool: unpack, rewrite) --> publish --PUBACK--> (pool: mark) --STORED-->
 *               '----SEND--> our broker, to the child
 *
 * A batch belongs to the pool while is_busy; when its child is reset meanwhile it is only marked dead, and
 * freed when the pool gives it back.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_CHILD_H
#define TMB_SYNCD_DAEMON_CHILD_H

#include <jansson.h>
#include <uthash.h>

#include "base/rng.h"
#include "syncd/daemon/commit.h"
#include "syncd/daemon/daemon.h"
#include "syncd/daemon/shelf.h"
#include "syncd/hub/drain.h"
#include "syncd/hub/intake.h"
#include "syncd/link/link.h"

typedef struct tmb_child tmb_child;
typedef struct tmb_hub tmb_hub;
typedef struct tmb_gate tmb_gate;

typedef struct tmb_batch {
    uint64_t ticket;
    int publish_id; /* key in hub->published while its PUBACK is due */
    bool is_published, is_busy, is_dead;
    tmb_child *child;
    struct tmb_batch *next; /* of child->batches */
    void *arena;            /* holds what frame points to ... */
    uint8_t *joined;        /* ... or its data, if it came in pieces */
    tmb_frame frame;
    uv_work_t work;
    tmb_commit commit;
    tmb_kept *dictionary; /* that frame names, if it was here when that came */
    tmb_err mark_err;
    uint64_t generation; /* of hub->bind when it was published */
    bool is_held, is_waiting, is_committing,
        is_committed; /* credits.c: is_committed is set before it is freed */
    struct tmb_batch *turn_before, *turn_next;
    UT_hash_handle hh;
} tmb_batch;

/* The bytes of a slot of pieces (join.c). */
typedef struct tmb_joined {
    uint8_t *bytes;
    size_t cap;
} tmb_joined;

/* A box of this child that has stopped, for people to look at; TMB_BYE_CLOSING and the like: none. */
typedef struct tmb_fenced {
    tmb_bye_reason why;   /* 0: nobody is fenced */
    uint64_t box, holder; /* who stopped; who went on meanwhile (twin) */
    int64_t since_ms;     /* wall */
    uint64_t count;       /* since start */
} tmb_fenced;

struct tmb_child {
    char name[TMB_NAME_BYTES_MAX + 1];
    tmb_hub *hub;
    tmb_intake intake;
    tmb_pieces pieces;
    tmb_joined joined[TMB_STREAMS_MAX];
    tmb_batch *batches;
    tmb_shelf shelf;
    bool is_keeping;  /* a dictionary is being written to its file */
    bool is_refused;  /* the last commit was: logged once */
    bool wants_marks; /* asked for while another look-up, or our broker, was not done yet */
    bool is_loading_marks;
    tmb_drain_child drain; /* its credits; credits.c */
    bool is_at_work;       /* its HELLO was let in by the gate, and is not answered yet */
    uint8_t *hello;        /* waits at the gate; NULL: none */
    size_t hello_len;
    tmb_mono came_at;      /* when a HELLO was last counted as a session brought up; 0: never */
    uint32_t window_ms;    /* as last told it */
    uint64_t open_session; /* as last reported open; told BYE(unknown) when our broker comes back */
    uint64_t batch_count, records, known, resends, malformed, refused, refused_commits;
    uint64_t changed_topics, dropped_props, left_out;
    unsigned asked; /* its questions that are not answered yet */
    uint64_t answered, unanswered;
    uint64_t
        carried_elsewhere; /* records that WELCOMEs passed over: they had come by another road */
    uint64_t gaps[TMB_GAP_MISSING + 1];
    uv_timer_t probe; /* of intake.twins */
    tmb_fenced fenced;
    struct tmb_state_peer *state_peer; /* state_child.c; NULL: no session of state yet */
    bool is_state_missed;              /* too old for state: said, until it is not */
    UT_hash_handle hh;
};

/* Which journal the marks in the store belong to (store_job.c). Looked up anew with every connection to our
 * broker, its generation, for the journal may have been replaced while it was away. */
typedef struct tmb_binding tmb_binding;

struct tmb_hub {
    tmb_daemon *daemon;
    tmb_child *children; /* uthash by name */
    unsigned children_count;
    tmb_batch *published; /* uthash by publish_id */
    uint64_t next_ticket;
    uint64_t shelf_bytes; /* of dictionaries in memory */
    uint64_t
        joined_bytes; /* of batches that are here in pieces; at most children.memory, and one batch */
    tmb_link *link;
    bool is_up, is_open, is_stopping;
    int probe_id;
    uint64_t probe_ms;
    uv_timer_t timer;
    tmb_rng rng;
    unsigned attempt;
    tmb_binding *bind;
    struct tmb_origins *origins;
    tmb_drain drain; /* these six: credits.c */
    uv_timer_t drain_timer;
    tmb_batch *turns[TMB_DRAIN_POOLS]; /* that wait to be committed */
    unsigned committing[TMB_DRAIN_POOLS];
    unsigned live_turns; /* since the last one of a backlog */
    uint64_t committing_bytes;
    tmb_gate *gate;
    char last_why[256];
    uint64_t commits, refused_commits, children_refused, frames_ignored;
    tmb_err last_mark_err;
};

/* gives ret_child. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_child_new(tmb_hub *hub, tmb_bytes name, tmb_child **ret_child);
void tmb_child_free(tmb_child *child); /* the loop has ended */

/* A frame of this child, as it came. */
void tmb_child_receive(tmb_child *child, tmb_bytes payload);

/* The PUBACK of a batch. */
void tmb_child_published(tmb_batch *batch, unsigned reason_code);

/* Our broker is gone: everything under way is void. */
void tmb_child_reset(tmb_child *child);

/* tmb_child_commit unpacks, rewrites and publishes a batch that PERSIST gave. */
void tmb_child_commit(tmb_batch *batch);

/* tmb_child_send sends a frame to the child of that name; lost when our broker is away. */
void tmb_child_send(tmb_hub *hub, const char *name, const tmb_frame *frame);

/* tmb_child_bye sends a BYE outside of the machine. */
void tmb_child_bye(tmb_hub *hub, const char *name, uint64_t session, tmb_bye_reason reason);

/* Store jobs (store_job.c). gives ret_binding. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_binding_new(tmb_daemon *d, tmb_binding **ret_binding);
void tmb_binding_free(tmb_binding *binding);

/* tmb_binding_reset: with every connection to our broker, a new generation. */
void tmb_binding_reset(tmb_binding *binding);
uint64_t tmb_binding_generation(const tmb_binding *binding);

/* tmb_binding_put_mark is blocking. A batch that was committed in an earlier generation, and a journal
 * without a segment, are passed over: TMB_OK. Errors: as tmb_store_mark_put. */
TMB_MUST_USE tmb_err tmb_binding_put_mark(tmb_binding *binding, const tmb_batch *batch);

/* tmb_marks_load looks the intake's marks up in the pool and tells it MARKS; only when the hub is open,
 * else it is called again then. */
void tmb_marks_load(tmb_child *child, uint64_t session);

/* tmb_child_keep puts a dictionary of an open session on the shelf and into its file; one that is not what
 * its id says is passed over, and the batch that names it is refused. */
void tmb_child_keep(tmb_child *child, const tmb_frame_dictionary *dictionary);

/* tmb_binding_put and _get are the same for a stream of any node; blocking. generation: in which it was
 * committed. get gives 0 when nothing is known. Errors: as tmb_store_mark_put. */
TMB_MUST_USE tmb_err tmb_binding_put(tmb_binding *binding, uint64_t generation, tmb_bytes node,
                                     const tmb_incarnation *incarnation, tmb_bytes stream,
                                     uint64_t seq);
uint64_t tmb_binding_get(tmb_binding *binding, tmb_bytes node, const tmb_incarnation *incarnation,
                         tmb_bytes stream);

/* road.c: how far streams are, here and higher up. */
#define TMB_ROAD_WAIT_MS_MAX 1000
typedef struct tmb_road_lane {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
} tmb_road_lane;

/* tmb_road_answer: a child asks about a child of its own. */
void tmb_road_answer(tmb_child *child, const tmb_frame_ask *ask);

/* tmb_road_question makes the ASK about these lanes of node; borrows. */
void tmb_road_question(tmb_bytes node, const tmb_road_lane *lanes, unsigned count,
                       const uint64_t *seqs, tmb_frame_ask *ret);

/* tmb_road_raise takes what was told (NULL: nothing) where it is higher; gives by how much in all. */
uint64_t tmb_road_raise(const tmb_frame_told *told, const tmb_road_lane *lanes, unsigned count,
                        uint64_t *seqs);

/* tmb_road_remember takes what other children have brought of node, where it is higher. */
void tmb_road_remember(const tmb_hub *hub, tmb_bytes node, const tmb_road_lane *lanes,
                       unsigned count, uint64_t *seqs);

/* How long our parent's answer is waited for: a fifth of ack_timeout, and no more than
 * TMB_ROAD_WAIT_MS_MAX; a child waits for its WELCOME half an ack_timeout. */
uint64_t tmb_road_wait_ms(const tmb_daemon *d);

/* tmb_road_stats adds its keys to object. */
void tmb_road_stats(const tmb_child *child, json_t *object);

/* tmb_child_send sends a frame to a child by its name. */
void tmb_child_send(tmb_hub *hub, const char *name, const tmb_frame *frame);

/* tmb_child_step tells the machine one event and does what it says. */
void tmb_child_step(tmb_child *child, tmb_intake_event *event);

#endif
