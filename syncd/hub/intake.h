// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/intake.h - the parent's end of the sync session with one child: a machine like session.h.
 *
 *   IDLE --HELLO: LOAD_MARKS--> GREETING --MARKS: WELCOME--> OPEN --(HELLO with a new session)--> GREETING
 *   any --RESET (the shell lost its broker, or the child's certificate is gone)--> IDLE
 *
 * A BATCH that follows the last one received is queued; PERSIST{ticket} asks the shell to commit it and its
 * mark together and durably, one at a time a stream, in order; only STORED{ticket} moves the mark and sends
 * the ACK. So an ACK is never ahead of the disk, and commits of a stream leave no hole. A BATCH that does
 * not follow is answered by ACK(resend), once, until the child has gone back; one that is wholly known by an
 * ACK of the mark. A batch of a session that is not open here gets BYE(unknown).
 *
 * The shell joins batches that come in pieces and gives them whole; a piece that it cannot use comes as it
 * is, and is answered by ACK(resend), whose mark says which bytes are here.
 *
 * A batch given by PERSIST is the shell's until it answers, and then to free; it outlives its session: if the
 * next HELLO has the same stream and incarnation its STORED still moves the mark, else it is ignored. All
 * others the shell frees on DROP. If that HELLO is of another box, whose log may have gone apart, it gets its
 * WELCOME only when nothing of the box before is being stored: it proves its log at a mark that moves no
 * more.
 *
 * Threads: none. Cost: O(streams) a step, no allocation; batches stay with the shell, named by ticket.
 */
#ifndef TMB_SYNCD_HUB_INTAKE_H
#define TMB_SYNCD_HUB_INTAKE_H

#include "base/err.h"
#include "base/limits.h"
#include "base/time.h"
#include "proto/chain.h"
#include "proto/frame.h"
#include "syncd/hub/pieces.h"
#include "syncd/hub/twins.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_INTAKE_ACTIONS_MAX 16
/* Batches queued, all streams of a child together. More: refused by ACK(resend). */
#define TMB_INTAKE_QUEUE_MAX TMB_INFLIGHT_BATCHES_MAX

typedef enum tmb_intake_state {
    TMB_INTAKE_IDLE = 0,
    TMB_INTAKE_GREETING,
    TMB_INTAKE_OPEN
} tmb_intake_state;

typedef enum tmb_intake_event_type {
    TMB_INTAKE_FRAME, /* decoded frame; for a BATCH, ticket names the shell's copy */
    TMB_INTAKE_FRAME_BAD,
    TMB_INTAKE_MARKS,  /* answer to LOAD_MARKS: u.marks, one for each lane; late ones are ignored */
    TMB_INTAKE_STORED, /* the batch and its mark are durable; u.chain as it is behind the batch */
    TMB_INTAKE_STORE_FAILED, /* they are not; `is_malformed`: they never will be */
    TMB_INTAKE_TIMEOUT, /* the probe that REPORT_PROBE told of is over; early or stale ones are harmless */
    TMB_INTAKE_RESET /* forget all: nobody knows what became of the PERSISTs; late answers are ignored */
} tmb_intake_event_type;

typedef struct tmb_intake_event {
    tmb_intake_event_type type;
    tmb_mono now;
    uint64_t ticket; /* FRAME of a BATCH: a number the shell chose, not 0; STORED, STORE_FAILED */
    uint32_t
        refuse_ms; /* FRAME of a BATCH: 0, or it has no room: the child comes again in so long */
    bool is_malformed;
    union {
        const tmb_frame *frame; /* borrowed for the step */
        struct {
            uint64_t session;
            const uint64_t *seqs;    /* marks, in the order of LOAD_MARKS' streams */
            const tmb_chain *chains; /* likewise, what is known of them; NULL: nothing */
            bool has_credit;         /* for the WELCOME */
            uint64_t live_bytes, backlog_bytes;
        } marks;
        const tmb_chain *chain; /* STORED; NULL: not known */
    } u;
} tmb_intake_event;

typedef enum tmb_intake_action_type {
    TMB_INTAKE_LOAD_MARKS, /* look up the marks of the streams in lanes[0..lanes_count) */
    TMB_INTAKE_SEND,       /* frame, to this child */
    TMB_INTAKE_PERSIST,    /* commit batch `ticket` and its mark; answer STORED or STORE_FAILED */
    TMB_INTAKE_DROP,  /* free batch `ticket`: refused, known already, or of a session that ended */
    TMB_INTAKE_ASKED, /* answer this ASK by a TOLD of its session and id, or leave it: frame */
    TMB_INTAKE_REPORT
} tmb_intake_action_type;

typedef enum tmb_intake_report {
    TMB_INTAKE_REPORT_OPEN, /* child is here; number = session */
    TMB_INTAKE_REPORT_GAP,  /* number records of lane are missing for gap_reason: durable as such */
    TMB_INTAKE_REPORT_KNOWN,    /* a batch that was here already; number = records */
    TMB_INTAKE_REPORT_RESEND,   /* asked the child to go back */
    TMB_INTAKE_REPORT_REFUSED,  /* HELLO refused; number = tmb_bye_reason */
    TMB_INTAKE_REPORT_PROBE,    /* is the box that has the session alive? TIMEOUT in number ms */
    TMB_INTAKE_REPORT_TWIN,     /* two boxes are alive under this name; number = the fenced one's */
    TMB_INTAKE_REPORT_FENCED,   /* the child says that it stopped: number = tmb_bye_reason */
    TMB_INTAKE_REPORT_MALFORMED /* a frame or batch that breaks the protocol */
} tmb_intake_report;

typedef struct tmb_intake_action {
    tmb_intake_action_type type;
    uint64_t ticket;
    uint64_t session;
    unsigned lane;          /* PERSIST, GAP, KNOWN, RESEND */
    const tmb_frame *frame; /* SEND: lives until the next step; ASKED: the event's */
    tmb_intake_report report;
    tmb_gap_reason gap_reason;
    uint64_t number;
} tmb_intake_action;

typedef struct tmb_intake_actions {
    unsigned n;
    tmb_intake_action v[TMB_INTAKE_ACTIONS_MAX];
} tmb_intake_actions;

typedef struct tmb_intake_batch {
    uint64_t ticket, first_seq, last_seq, gap_first;
    tmb_gap_reason gap_reason;
    uint64_t box; /* who sent it */
} tmb_intake_batch;

typedef struct tmb_intake_lane {
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
    uint64_t first_seq, last_seq; /* of the child's log, from HELLO */
    tmb_class class_;             /* likewise */
    uint64_t mark;                /* durable here; counts when OPEN */
    tmb_chain chain;              /* at the mark, if it is known */
    uint32_t dictionary;          /* that the shell keeps for it; 0: none */
    uint64_t received;            /* last number in the queue, else mark */
    bool is_storing;              /* queue[0] is with the shell */
    tmb_mono quiet_until; /* asked to resend: not again before this, unless the child went back */
    unsigned queued;
    tmb_intake_batch queue[TMB_INTAKE_QUEUE_MAX];
} tmb_intake_lane;

/* Caller's memory; fields are read by the shell and tests, and written by this room alone but for those that
 * are said to be the shell's. */
typedef struct tmb_intake {
    char child[TMB_NAME_BYTES_MAX + 1]; /* by its certificate */
    const char *node;                   /* this node's name, borrowed */
    bool is_top;                        /* this node has no parent: WELCOME says so */
    tmb_intake_state state;
    tmb_mono now;
    uint64_t session;
    uint32_t version; /* of the protocol in this session */
    tmb_twins twins;
    bool
        is_holding; /* GREETING: LOAD_MARKS waits for a batch of another box that is being stored */
    uint32_t window_ms,
        load; /* the shell's: what the next WELCOME says, in a session of version 2 */
    const tmb_pieces
        *pieces; /* the shell's, which joins them: for marks of version 2; NULL: none */
    unsigned lanes_count;
    tmb_intake_lane lanes[TMB_STREAMS_MAX];
    tmb_frame out; /* a step sends one frame at most */
} tmb_intake;

/* child: its name as the certificate says; node: this node's, borrowed for the intake's life; is_top: this
 * node has no parent. */
void tmb_intake_init(tmb_intake *intake, tmb_bytes child, const char *node, bool is_top);

/* tmb_intake_step takes one event and gives the orders that follow.
 * Errors: TMB_EINVAL (an event that breaks the contract above: time going back, a BATCH without a ticket, an
 * answer for a batch that was not given out): nothing changed. */
TMB_MUST_USE tmb_err tmb_intake_step(tmb_intake *intake, const tmb_intake_event *event,
                                     tmb_intake_actions *ret_actions);

void tmb_intake_check(const tmb_intake *intake);

/* tmb_intake_has_state: the child speaks version 3, so scopes of state may be synced in this session
 * (intake->session). tmb_intake_takes_state: this frame is about one of them, of this session: for tmb_sync
 * (syncd/state/sync.h), not for step, which passes over it. */
bool tmb_intake_has_state(const tmb_intake *intake);
bool tmb_intake_takes_state(const tmb_intake *intake, const tmb_frame *frame);

/* tmb_intake_dictionary tells which dictionary of a lane the shell keeps (id; 0: none): WELCOME and ACK say
 * it. Before MARKS, and when one has come. */
void tmb_intake_dictionary(tmb_intake *intake, unsigned lane, uint32_t id);

#ifdef __cplusplus
}
#endif
#endif
