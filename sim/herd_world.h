// SPDX-License-Identifier: Apache-2.0
/* sim/herd_world.h - what herd.c (clock and figures), herd_site.c and herd_hub.c (the shells around the
 * machines) share. Private to this room. */
#ifndef TMB_SIM_HERD_WORLD_H
#define TMB_SIM_HERD_WORLD_H

#include "sim/chance.h"
#include "sim/heap.h"
#include "sim/herd.h"
#include "syncd/hub/admission.h"
#include "syncd/hub/drain.h"
#include "syncd/hub/intake.h"
#include "syncd/session/session.h"

#define HERD_NAME_BYTES 16
#define HERD_RECORD_BYTES                                                                          \
    200 /* of a record, encoded; batches are as long as the session asks for */
#define HERD_TAIL_MS       5000
#define HERD_LOADS_MAX     (2 * TMB_INFLIGHT_BATCHES_MAX)
#define HERD_PROGRESS_EACH 65536

typedef enum herd_kind {
    HERD_START,   /* a site begins */
    HERD_TIMER,   /* a session's deadline */
    HERD_TAIL,    /* a site looks at its log */
    HERD_ARRIVE,  /* a dial reaches the hub */
    HERD_DONE,    /* the hub has done a handshake */
    HERD_LINK_UP, /* a handshake's end reaches the site */
    HERD_LINK_DOWN,
    HERD_TO_SITE, /* load: tmb_frame */
    HERD_TO_HUB,  /* load: tmb_frame */
    HERD_STORED,
    HERD_CREDITS, /* the hub looks whom to give credits */
    HERD_GONE,    /* the hub goes away */
    HERD_BACK
} herd_kind;

typedef struct herd_load {
    uint64_t ticket, first_seq, last_seq;
} herd_load;

/* A batch in the hub's memory. ticket 0: free. */
typedef struct herd_held {
    uint64_t ticket, bytes;
    tmb_pool pool;
} herd_held;

typedef struct herd_site {
    tmb_session session;
    char name[HERD_NAME_BYTES];
    uint32_t index;
    uint64_t dial, hub_run;     /* hub_run: of the hub that this dial has found */
    bool is_linked, is_counted; /* is_counted: among the connected */
    bool is_refused;            /* this link was refused: its HELLO is answered by BYE, */
    uint32_t slot_ms;           /* with this */
    bool is_dialing_live;       /* this dial found a hub, and has led to nothing so far */
    int64_t delay_ns;           /* one way */
    int64_t timer_ns;           /* the TIMER that is posted; INT64_MAX: none */
    bool has_tail;              /* a TAIL is posted */
    uint64_t mark;              /* at the hub, durable */
    herd_load loads[HERD_LOADS_MAX];
    tmb_intake *intake; /* the hub's, for this site, and the next two */
    tmb_drain_child drain;
    herd_held held[HERD_LOADS_MAX];
} herd_site;

typedef struct herd_hub {
    bool is_up;
    uint64_t run;
    int64_t free_ns;        /* when the handshakes before are done */
    int64_t commit_free_ns; /* likewise the commits */
    tmb_admission admission;
    tmb_drain drain;
    int64_t credits_ns; /* the HERD_CREDITS that is posted; INT64_MAX: none */
} herd_hub;

typedef struct herd_world {
    const herd_options *options;
    herd_result *result;
    sim_heap heap;
    tmb_rng net, fate;
    int64_t now_ns, gone_ns, back_ns; /* gone_ns, back_ns: INT64_MAX until then */
    bool is_out_of_memory;
    size_t seconds_cap;
    uint64_t marks_sum;
    herd_hub hub;
    herd_site *sites;
} herd_world;

/* herd.c */
void herd_post(herd_world *world, herd_kind kind, uint32_t site, uint64_t run, uint64_t number,
               int64_t at_ns, const tmb_frame *frame);
herd_second *herd_this_second(herd_world *world); /* NULL before the hub has gone */
void herd_hash(herd_world *world, uint64_t number);
uint64_t herd_log_end(const herd_world *world); /* the last number that each site's log holds now */

/* herd_site.c */
bool herd_site_init(herd_world *world, uint32_t index);
void herd_site_event(herd_world *world, herd_site *site, const sim_event *event);

/* herd_hub.c */
void herd_hub_event(herd_world *world, herd_site *site, const sim_event *event);
void herd_hub_gone(herd_world *world);
void herd_hub_back(herd_world *world);
void herd_hub_send(herd_world *world, herd_site *site, const tmb_frame *frame);
void herd_hub_start(herd_world *world);

/* herd_drain.c */
void herd_drain_start(herd_world *world);
void herd_drain_offer(herd_world *world, herd_site *site, tmb_intake_event *marks);
uint32_t herd_drain_take(herd_world *world, herd_site *site, const tmb_frame_batch *batch,
                         uint64_t ticket);
void herd_drain_done(herd_world *world, herd_site *site, uint64_t ticket, bool is_committed);
void herd_drain_look(herd_world *world, herd_site *site);
void herd_drain_run(herd_world *world, const sim_event *event);

#endif
