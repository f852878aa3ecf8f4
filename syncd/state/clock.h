// SPDX-License-Identifier: Apache-2.0
/* syncd/state/clock.h - what time it is for the state of a node: stamps that rise, whatever the box believes.
 *
 *   wall clock of the box --+ offset learned from the parent--> time --> stamps of register writes
 *                                                               ^ last
 *   stamps from elsewhere --unless more than 5 minutes ahead----'
 *
 * A stamp only decides between writes that did not know of each other (crdt/register.c), so a wrong clock
 * never loses what was written after having read; here it is kept from spreading, and shown:
 *
 *   UNSYNCED      the box does not know the date (it says a time before this program was built: its
 *                 battery is empty, it boots in 1970) and no parent has told it. Its stamps rise from the
 *                 last ones; at the same time as others they lose.
 *   OK
 *   SELF_SKEWED   stamps that were given here are more than 5 minutes ahead of the time: the clock was ahead
 *                 and was put right, or the parent says that it is ahead. Others take what is written here
 *                 and do not follow its stamps; at the same time as others its writes win. It ends when
 *                 time has come to where the stamps are, or with a new incarnation (tmb_clock_lower).
 *
 * What is learned from the parent: of two clocks that differ by more than 5 minutes the earlier is believed,
 * since one that is ahead wins against all and one that is behind only loses to others; but a time before
 * this program was built is none. The clock of the box is never set, and stamps never go back.
 *
 * Nothing is given twice over a crash: a floor is stored, 10 s ahead of the time, in the same transaction
 * as the first thing that was stamped beyond the floor before.
 *
 * Source: Kulkarni et al., "Logical Physical Clocks", 2014; CockroachDB's persisted upper bound of the clock.
 * Differs: a stamp too far ahead is not refused, it is not followed.
 * Threads: none, the caller serialises. Cost: a few instructions.
 */
#ifndef TMB_SYNCD_STATE_CLOCK_H
#define TMB_SYNCD_STATE_CLOCK_H

#include "base/hlc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How far ahead of the time the floor is stored; so it is stored about once in this time. */
#define TMB_CLOCK_FLOOR_STEP_MS 10000

typedef enum tmb_clock_state {
    TMB_CLOCK_OK = 0,
    TMB_CLOCK_UNSYNCED,
    TMB_CLOCK_SELF_SKEWED
} tmb_clock_state;

typedef struct tmb_clock {
    tmb_hlc last;      /* the last stamp given, or followed */
    tmb_hlc floor;     /* as it is stored: no stamp was given or followed above it */
    int64_t built_ms;  /* Unix time before which no clock can be */
    int64_t offset_ms; /* to be added to what the box believes */
    int64_t parent_ms; /* parent's time less the box's, when it was heard last; for people */
    bool is_taught;    /* a parent has told the time */
} tmb_clock;

/* tmb_clock_begin starts a node's clock. floor: as it was stored ({0}: never). built: when this program was
 * built, or a date not long before. */
void tmb_clock_begin(tmb_clock *clock, tmb_hlc floor, tmb_wall built);

/* tmb_clock_now gives the time as far as it is known, for stamps and for judging others: never before built.
 * now is always what the box believes. */
tmb_wall tmb_clock_now(const tmb_clock *clock, tmb_wall now);

/* tmb_clock_stamp gives the stamp of a write, greater than all that were given or followed before. record:
 * the stamp of the message that asks for it, as the journal has it: it tells when that was, if that can be
 * ({0}: now). */
tmb_hlc tmb_clock_stamp(tmb_clock *clock, tmb_hlc record, tmb_wall now);

/* tmb_clock_fold hears of a stamp from elsewhere (the hlc of a SCOPE; the stamp of a register that was
 * joined). False: it is too far ahead and not followed: SKEWED, to be counted and shown, and nothing else. A
 * node that is UNSYNCED cannot judge, and neither follows nor accuses. */
bool tmb_clock_fold(tmb_clock *clock, tmb_hlc remote, tmb_wall now);

/* tmb_clock_learn hears a parent's time: parent is what it said (wall_ms of its SCOPE), sent and received
 * what the box believed when the question left and the answer came. True: the time has changed by it, to be
 * logged. Not for children: a clock goes down the tree. */
bool tmb_clock_learn(tmb_clock *clock, tmb_wall parent, tmb_wall sent, tmb_wall received);

/* tmb_clock_floor says whether a new floor is to be stored, with what was stamped or followed, in the same
 * transaction, and which; it counts as stored from then on: if the transaction fails, the clock begins anew
 * from what is on the disk. */
bool tmb_clock_floor(tmb_clock *clock, tmb_wall now, tmb_hlc *ret_floor);

/* tmb_clock_rest gives the floor to store when the node stops in good order: the last stamp itself. */
tmb_hlc tmb_clock_rest(tmb_clock *clock);

/* tmb_clock_lower: the node goes on under a new incarnation, and its stamps may begin at the time again. The
 * floor has to be stored after it (tmb_clock_rest). True: they were ahead. */
bool tmb_clock_lower(tmb_clock *clock, tmb_wall now);

tmb_clock_state tmb_clock_state_of(const tmb_clock *clock, tmb_wall now);

/* "ok", "unsynced", "self_skewed"; static text. */
const char *tmb_clock_state_str(tmb_clock_state state);

#ifdef __cplusplus
}
#endif
#endif
