// SPDX-License-Identifier: Apache-2.0
/* syncd/session/choice.h - which of a node's parents to dial: the preferred one, or a fall-back.
 *
 *            without a session for move_after, and a try of that time has failed (gone, or refused)
 *            sick for move_after: too loaded, or its answers take too long
 *   0 ---------------------------------------------------------------------------> 1 -----> 2 -----> 0 ...
 *     <---------------------------------------------------------------------------
 *            a more preferred one has answered every probe for return_after
 *
 * Parents are numbered by preference, 0 first. Hysteresis, so that nobody flaps:
 *   - two moves are never nearer than the shorter of move_after and return_after;
 *   - after a return that did not hold (the parent was left again within TMB_CHOICE_SETTLED times
 *     return_after) the next return takes twice as long, up to TMB_CHOICE_PENALTY_MAX doublings;
 *   - for sickness one moves at most once in return_after: the line may be what is slow, not the parent.
 * When all are gone each has its turn of move_after, round and round; one that has lately answered a probe
 * goes first. move_after and return_after are drawn up to a half longer, so that the children of one parent
 * do not move as one.
 *
 * How fast one parent is dialled is not decided here but in comeback.h.
 * Threads: none. Cost: O(parents) a call; no allocation.
 */
#ifndef TMB_SYNCD_SESSION_CHOICE_H
#define TMB_SYNCD_SESSION_CHOICE_H

#include <stdbool.h>

#include "base/limits.h"
#include "base/rng.h"
#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_CHOICE_PARENTS_MAX (1 + TMB_FALLBACKS_MAX)
#define TMB_CHOICE_LOAD_SICK   95u /* percent, as WELCOME says it */
#define TMB_CHOICE_SETTLED     4
#define TMB_CHOICE_PENALTY_MAX 3
#define TMB_CHOICE_PROBES      8 /* in return_after */
#define TMB_CHOICE_NONE        UINT32_MAX

typedef enum tmb_choice_why {
    TMB_CHOICE_GONE = 0, /* no session for move_after */
    TMB_CHOICE_REFUSED,  /* likewise, and the last thing it said was no */
    TMB_CHOICE_SICK,
    TMB_CHOICE_RETURN
} tmb_choice_why;
#define TMB_CHOICE_WHYS 4

typedef struct tmb_choice_options {
    unsigned parents; /* 1 to TMB_CHOICE_PARENTS_MAX */
    tmb_dur move_after, return_after;
    tmb_dur sick_rtt; /* an answer that takes so long is sick; well again at the half */
    uint64_t seed;
} tmb_choice_options;

typedef struct tmb_choice_parent {
    tmb_mono good_since; /* of the first probe it has answered since the last it did not; never */
    tmb_dur wanted;      /* how long from there until it is trusted again */
    unsigned penalty;
} tmb_choice_parent;

/* Caller's memory; fields are read by status and tests, written by choice.c alone. */
typedef struct tmb_choice {
    tmb_choice_options options;
    tmb_rng rng;
    unsigned current;
    bool is_up;          /* a session with it is open */
    bool has_failed;     /* a try since `since` has */
    bool was_refused;    /* and the last one was a refusal */
    bool has_returned;   /* it came here by a return */
    tmb_mono since;      /* without a session; of the move, if that is later */
    tmb_mono sick_since; /* never: well */
    tmb_mono moved_at;
    tmb_dur patience; /* move_after, as drawn for this time */
    tmb_mono probe_at;
    bool is_probing;
    unsigned probe_turn;
    unsigned had_turn; /* bits: parents tried since the last session */
    uint64_t moves[TMB_CHOICE_WHYS];
    tmb_choice_parent parents[TMB_CHOICE_PARENTS_MAX];
} tmb_choice;

void tmb_choice_init(tmb_choice *c, const tmb_choice_options *options, tmb_mono now);

/* What happened with the current parent. up: WELCOME, with the load it told (percent). felt: an answer took
 * so long. lost: the session has ended. failed: a dial, or a link before its WELCOME, did; is_refusal: it
 * said that it would not. */
void tmb_choice_up(tmb_choice *c, uint32_t load, tmb_mono now);
void tmb_choice_felt(tmb_choice *c, tmb_dur rtt, tmb_mono now);
void tmb_choice_lost(tmb_choice *c, tmb_mono now);
void tmb_choice_failed(tmb_choice *c, bool is_refusal, tmb_mono now);

/* tmb_choice_decide: is it time to move? Then current is the parent to go to, and ret_why says why. */
bool tmb_choice_decide(tmb_choice *c, tmb_mono now, tmb_choice_why *ret_why);

/* tmb_choice_probe gives a more preferred parent that should be probed now, or TMB_CHOICE_NONE; one at a
 * time, answered by tmb_choice_probed. */
unsigned tmb_choice_probe(tmb_choice *c, tmb_mono now);
void tmb_choice_probed(tmb_choice *c, unsigned parent, bool has_answered, tmb_mono now);

/* "gone", "refused", "sick", "return". Static text. */
const char *tmb_choice_why_str(tmb_choice_why why);

#ifdef __cplusplus
}
#endif
#endif
