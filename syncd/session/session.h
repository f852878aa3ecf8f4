// SPDX-License-Identifier: Apache-2.0
/* syncd/session/session.h - the child's end of the sync session: a machine of events and actions.
 *
 *                       START (with a window: into BACKOFF, at its own phase)
 *                         |
 *   IDLE ------------> DIALING --LINK_UP--> GREETING --WELCOME--> STREAMING
 *                       ^   |LINK_DOWN         |  ^  timeout once     |  | no ACK in time, BYE(unknown)
 *                       |   v                  |  +-------------------+--+   (HELLO again on the same link)
 *                      BACKOFF <---------------+----------------------'
 *                         LINK_DOWN, second timeout, a frame that does not leave, malformed frame,
 *                         BYE(closing, busy: comes back at its slot, ...)
 *   any --CLOSE--> CLOSED        GREETING --WELCOME says the parent is ahead, BYE(identity, ...)--> FENCED
 *                                   STREAMING --PROVED: the parent has other records under these numbers--'
 *
 * FENCED is left only by CLOSE or by a restart: the node's journal is not what the parent knows (a restored
 * backup), or its certificate and its name differ; going on could lose data, so it says so and waits for
 * people. BATCHes of one stream go out in order, TMB_INFLIGHT_BATCHES_MAX of all streams at a time, by class
 * (turns.h); the
 * parent's cumulative ACK moves the mark; ACK(resend) goes back to it. Nothing is sent before the shell
 * has made it durable here (LOAD promises that).
 *
 * step() reads no clock, random, file or global. It validates first and changes second: an error leaves
 * the state as it was and actions empty. What the peer does wrong is not an error but a transition.
 * Late answers (LINK_* of an old epoch, frames of another session) are ignored here, and LOADED of a batch
 * no longer wanted is answered by DROP_BATCH, so the shell never cancels anything.
 *
 * A stream joins with its first TAIL. One that joins while streaming, or whose log is another than the
 * HELLO told (a new incarnation, an end before what was sent), makes a new HELLO on the same link.
 * One HELLO again for trouble (time-out, BYE(unknown)) is allowed between two WELCOMEs, then the link goes.
 *
 * A slow line is not a dead one: the time for an answer runs from when the frame has left. Frames leave in
 * the order of their SENDs; PROGRESS tells how many the peer's host has taken, and what waits for its turn or
 * is leaving gets its whole time again. So a frame that is late and has not left stands on a line that does
 * not move: the link goes at once, since a HELLO would stand behind it. There is no limit to how slow a line
 * may be: one that takes a byte in each ack_timeout is kept, as no other line would be faster.
 *
 * A paced session (is_paced) has no more on the line than it carries in about half a second, so that what is
 * urgent is soon there; LOAD is ordered when there is room for what it will bring, and asks for as much.
 * What the parent gives no credit for is not loaded (credit.h).
 *
 * Threads: none; one caller. Cost: O(streams) a step, with credits O(streams) a load; no allocation.
 */
#ifndef TMB_SYNCD_SESSION_SESSION_H
#define TMB_SYNCD_SESSION_SESSION_H

#include "base/err.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/time.h"
#include "proto/chain.h"
#include "proto/frame.h"
#include "syncd/session/comeback.h"
#include "syncd/session/credit.h"
#include "syncd/session/pace.h"
#include "syncd/session/turns.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_SESSION_ACTIONS_MAX 16

typedef enum tmb_session_state {
    TMB_SESSION_IDLE = 0,
    TMB_SESSION_DIALING,
    TMB_SESSION_GREETING,
    TMB_SESSION_STREAMING,
    TMB_SESSION_BACKOFF,
    TMB_SESSION_FENCED,
    TMB_SESSION_CLOSED
} tmb_session_state;

typedef struct tmb_session_options {
    const char *node;                     /* borrowed for the session's life */
    const char *streams[TMB_STREAMS_MAX]; /* borrowed likewise */
    tmb_class classes[TMB_STREAMS_MAX];   /* of streams, in their order */
    bool is_live[TMB_STREAMS_MAX];        /* never a backlog: the live lane of a stream */
    unsigned streams_count;
    uint64_t box;  /* of this run of the daemon, random; 0: not said */
    uint64_t seed; /* of jitter and session numbers: node and boot counter mixed, never time */
    tmb_dur dial_timeout, hello_timeout, ack_timeout;
    tmb_dur backoff_base, backoff_cap;
    tmb_comeback_mode comeback; /* when to dial again (comeback.h); of backoff's base and cap */
    tmb_dur window,
        dial_gap; /* the parent's window as kept on disk, and between two dials; 0: none */
    uint32_t batch_bytes;
    bool is_paced; /* PROGRESS tells bytes: what is outstanding follows the line (pace.h) */
    uint64_t cap;  /* is_paced: bytes a second of the link, both ways; 0: none */
} tmb_session_options;

/* What the shell found when it made the parent's chain again from the log. */
typedef enum tmb_proof {
    TMB_PROOF_SAME,
    TMB_PROOF_UNKNOWN, /* not all of the block is in the log any more: go on, as without a chain */
    TMB_PROOF_FORKED   /* the parent has other records under these numbers */
} tmb_proof;

typedef enum tmb_session_event_type {
    TMB_SESSION_START, /* begin; ignored when begun */
    TMB_SESSION_LINK_UP,
    TMB_SESSION_LINK_DOWN,   /* also: a dial that failed */
    TMB_SESSION_FRAME,       /* a decoded frame */
    TMB_SESSION_FRAME_BAD,   /* bytes that are no frame */
    TMB_SESSION_TAIL,        /* what a stream's log holds now */
    TMB_SESSION_LOADED,      /* the batch asked for by LOAD: durable here, packed, ready to send */
    TMB_SESSION_LOAD_FAILED, /* the log could not be read; asked again after backoff_base */
    TMB_SESSION_PROVED,      /* the answer to PROVE */
    TMB_SESSION_PROGRESS,    /* the peer's host has taken more bytes; is_paced: or just a look */
    TMB_SESSION_TIMEOUT,     /* early or stale ones are harmless */
    TMB_SESSION_MOVE, /* from now on dials go to another parent: leave this one, and come to that */
    TMB_SESSION_ASK,  /* send this ASK to the parent; without a session of version 2 nothing */
    TMB_SESSION_CLOSE
} tmb_session_event_type;

typedef struct tmb_session_event {
    tmb_session_event_type type;
    tmb_mono now;   /* never goes back */
    uint64_t epoch; /* LINK_*, FRAME*, PROGRESS: which dial */
    struct {
        uint64_t said, taken, all;
    } bytes; /* PROGRESS, is_paced: of this dial; all: also what came in */
    union {
        const tmb_frame *frame; /* FRAME, ASK: borrowed for the step */
        uint32_t window_ms;     /* MOVE: that the other parent has said before; 0: none */
        struct {
            unsigned stream; /* index into options.streams */
            tmb_incarnation incarnation;
            uint64_t first_seq, last_seq; /* first = last + 1 when empty */
            bool
                is_backlog; /* all of it is older than the session: what its HELLO did not tell of that
                              * makes a new one, so that it counts as such */
        } tail;
        /* Starts at the number that LOAD asked for, with records or with a gap. first > last: nothing to
         * send, all up to first - 1 is missing; LOAD comes again, from the same number, when TAIL tells of
         * more than that: so a gap travels with the first record behind it. */
        struct {
            uint64_t ticket;
            uint64_t first_seq, last_seq;
            uint64_t gap_first; /* 0: no gap; else the number asked for */
            tmb_gap_reason gap_reason;
            uint32_t
                bytes; /* of data that SEND_BATCH sends; 0: not known, counts as what was asked for */
            uint32_t raw_bytes; /* is_paced: of the batch, unpacked */
        } loaded;
        struct {
            uint64_t ticket;
            tmb_proof proof;
        } proved;
        uint64_t ticket; /* LOAD_FAILED */
        uint64_t taken;  /* PROGRESS: SENDs and SEND_BATCHes of this dial that have left */
    } u;
} tmb_session_event;

typedef enum tmb_session_action_type {
    TMB_SESSION_DIAL,       /* connect; answer LINK_UP or LINK_DOWN with this epoch */
    TMB_SESSION_HANGUP,     /* drop the link of this epoch; needs no answer */
    TMB_SESSION_SEND,       /* encode and send frame */
    TMB_SESSION_SEND_BATCH, /* send the batch loaded as ticket, under this session; then free it */
    TMB_SESSION_DROP_BATCH, /* free the batch loaded as ticket: no longer wanted */
    TMB_SESSION_PROVE,   /* is *chain the log's at its number? No LOAD before PROVED has answered */
    TMB_SESSION_LOAD,    /* read from the log, make durable, pack; answer LOADED or LOAD_FAILED */
    TMB_SESSION_PERSIST, /* the parent has everything of stream up to seq: keep that on disk */
    TMB_SESSION_TOLD,    /* the parent answered an ASK: frame */
    TMB_SESSION_REPORT   /* something worth a log line or a counter */
} tmb_session_action_type;

typedef enum tmb_session_report {
    TMB_SESSION_REPORT_STATE,     /* state changed; number = new state */
    TMB_SESSION_REPORT_BYE,       /* parent said bye; number = reason */
    TMB_SESSION_REPORT_MALFORMED, /* parent broke the protocol */
    TMB_SESSION_REPORT_AHEAD, /* parent has more of stream than this log: fenced; number = its mark */
    TMB_SESSION_REPORT_FORKED, /* parent has other records of stream: fenced; number = its mark */
    TMB_SESSION_REPORT_RESEND, /* went back to the mark; number = mark */
    TMB_SESSION_REPORT_TIMEOUT /* HELLO or ACK did not come in time */
} tmb_session_report;

typedef struct tmb_session_action {
    tmb_session_action_type type;
    uint64_t epoch;              /* DIAL, HANGUP, SEND, SEND_BATCH */
    uint64_t session;            /* SEND_BATCH: number to put into the frame */
    uint64_t ticket;             /* SEND_BATCH, DROP_BATCH, LOAD */
    unsigned stream;             /* LOAD, PERSIST, some REPORTs */
    uint64_t seq;                /* LOAD: first wanted; PERSIST: mark */
    tmb_incarnation incarnation; /* LOAD, PERSIST */
    const tmb_chain *chain;      /* PROVE: lives until the next step */
    bool is_cut;            /* SEND_BATCH: too large for the line: in pieces (tmb_session_said) */
    uint32_t bytes_max;     /* LOAD: raw bytes, unless one record is larger */
    tmb_pool pool;          /* SEND_BATCH: for the frame */
    uint64_t spent;         /* SEND_BATCH: likewise */
    const tmb_frame *frame; /* SEND: lives until the next step; TOLD: the event's */
    tmb_session_report report;
    uint64_t number;
} tmb_session_action;

typedef struct tmb_session_actions {
    unsigned n;
    tmb_session_action v[TMB_SESSION_ACTIONS_MAX];
} tmb_session_actions;

typedef struct tmb_session_lane {
    bool is_known;   /* a TAIL told what the log holds */
    bool is_greeted; /* the HELLO of this session told it too, and it is still true */
    tmb_incarnation incarnation;
    uint64_t first_seq, last_seq; /* of the log */
    uint64_t told_last_seq;       /* by the HELLO of this session: what is above it is live */
    uint64_t acked;               /* the parent's mark */
    uint64_t next_seq;            /* first number not yet loaded */
    uint64_t sent;                /* highest number sent in this session, or the mark */
    uint64_t load_ticket;         /* 0: none under way */
    uint64_t load_seq;            /* first number that load was asked for */
    uint32_t load_bytes;          /* as much it was asked for */
    bool must_go_alone;           /* what was loaded was more than the credit left */
    bool is_load_unwanted; /* drop it on arrival: the session or the place to go on has changed */
    bool is_persist_due;   /* acked is news to the shell */
    uint64_t proof_ticket; /* 0: nothing to prove, or proved */
    bool is_proof_due;     /* the shell has not been asked yet */
    tmb_chain told; /* the parent's, as of WELCOME; after PROVED: known only if it is the log's */
    uint32_t
        dictionary; /* that the parent said it keeps, in WELCOME or the last ACK(resend); 0: none */
    bool is_going_back;    /* ACK(resend) came, and the mark has not moved since */
    uint64_t hold_last;    /* nothing to send up to here: load when the log is longer */
    tmb_mono not_before;   /* the parent asked to wait, or a load failed */
    tmb_mono ack_deadline; /* never, unless something is in flight */
    unsigned inflight;     /* batches sent and not acked */
    uint64_t inflight_last[TMB_INFLIGHT_BATCHES_MAX];
    uint64_t inflight_place[TMB_INFLIGHT_BATCHES_MAX]; /* among what was sent on this link */
} tmb_session_lane;

/* Caller's memory; fields are read by tests and status, written by this room alone. */
typedef struct tmb_session {
    tmb_session_options options;
    tmb_session_state state;
    tmb_mono now, deadline;
    uint64_t epoch, session, next_ticket;
    uint64_t answers; /* the session that BYE(unknown) has ended: the next HELLO says so */
    tmb_rng rng;
    tmb_pace pace;
    uint64_t sent, taken; /* frames on this link: ordered, left. HELLO is the last while GREETING */
    uint32_t version;     /* of the protocol in this session, from WELCOME */
    tmb_comeback back;    /* when to dial; its window is the parent's, for the shell to keep */
    bool has_greeted_twice; /* this HELLO is already the second try since the last WELCOME */
    tmb_turns turns;        /* who loads next */
    tmb_credit credit;      /* what the parent lets us send */
    char parent[TMB_NAME_BYTES_MAX + 1]; /* who said the last WELCOME; empty: none yet */
    uint32_t parent_load;                /* percent, likewise */
    bool is_parent_top;                  /* and said that it has no parent itself */
    tmb_session_lane lanes[TMB_STREAMS_MAX];
    tmb_frame out;
} tmb_session;

/* tmb_session_init: options are copied, strings in them borrowed; every time and batch_bytes above 0. */
void tmb_session_init(tmb_session *s, const tmb_session_options *options, tmb_mono now);

/* tmb_session_step takes one event and gives the orders that follow from it.
 * Errors: TMB_EINVAL (an event that breaks the contract above: time going back, a stream, ticket or dial
 * that never was, a LOADED that does not start where LOAD asked, a PROGRESS that goes back or tells of
 * more than was sent): nothing changed. */
TMB_MUST_USE tmb_err tmb_session_step(tmb_session *s, const tmb_session_event *event,
                                      tmb_session_actions *ret_actions);

/* tmb_session_deadline: when to send TIMEOUT; now or earlier means at once: more to do than one step's
 * actions could hold. */
tmb_mono tmb_session_deadline(const tmb_session *s);

/* tmb_session_set_cap: from now on; next, ask for the deadline again. */
void tmb_session_set_cap(tmb_session *s, uint64_t bytes_per_s);

/* For a shell that sends a batch in pieces: tmb_session_has_room says whether one more may go
 * (is_overdue: although others are being loaded, but not on a line that is full), tmb_session_said that it
 * or another frame went that the session did not order, with so many bytes of data. */
bool tmb_session_has_room(const tmb_session *s, bool is_overdue);
void tmb_session_said(tmb_session *s, uint32_t bytes, tmb_mono now);

/* tmb_session_is_waiting: for an answer, so that PROGRESS would be heard. */
bool tmb_session_is_waiting(const tmb_session *s);

/* tmb_session_has_state: the parent speaks version 3, so scopes of state may be synced in this session
 * (s->session). tmb_session_takes_state: this frame is about one of them, of this session: for tmb_sync
 * (syncd/state/sync.h), not for step, which passes over it. */
bool tmb_session_has_state(const tmb_session *s);
bool tmb_session_takes_state(const tmb_session *s, const tmb_frame *frame);

const char *tmb_session_state_str(tmb_session_state state);

/* tmb_session_check asserts what must hold after every step; called by step itself. */
void tmb_session_check(const tmb_session *s);

#ifdef __cplusplus
}
#endif
#endif
