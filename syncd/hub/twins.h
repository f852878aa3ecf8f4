// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/twins.h - is it one box that speaks under a child's name, or two? Inner part of intake.h.
 *
 *   box A has the session; box B says HELLO
 *      |
 *      '--> B waits; A is told BYE(unknown) --A answers: HELLO{answers}--> two boxes: A goes on,
 *                       |                                                  and B is told BYE(twin)
 *                       '--no answer within TMB_TWINS_PROBE_MS--> A is gone (B is its restart): B is taken
 *
 * A box is one run of the daemon, so of two that are both alive one is another machine. What proves that A is
 * alive is not that it speaks (a frame of a dead one may be late), but that it answers what was said after B
 * had come. So neither reconnects of one box, nor restarts, nor late frames are taken for a twin. A restart
 * costs TMB_TWINS_PROBE_MS when the box before has gone without BYE while its session was open here.
 * An answer that comes later than that proves as much: A goes on, B is told.
 * A box once told so is refused for as long as this process remembers it (TMB_TWINS_FENCED_MAX, the oldest is
 * forgotten: it would be found anew).
 *
 * Peers that do not say their box (version 1) are not looked at. Threads: none. Cost: constant.
 */
#ifndef TMB_SYNCD_HUB_TWINS_H
#define TMB_SYNCD_HUB_TWINS_H

#include "base/time.h"
#include "proto/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_TWINS_PROBE_MS   1500
#define TMB_TWINS_FENCED_MAX 4

typedef enum tmb_twins_verdict {
    TMB_TWINS_TAKE, /* go on with this HELLO */
    TMB_TWINS_PROBE, /* say nothing to it; tell probed_session BYE(unknown), and ask due at `until` */
    TMB_TWINS_WAIT,   /* say nothing to it: the probe runs */
    TMB_TWINS_REFUSE, /* answer it with BYE(twin) */
    TMB_TWINS_PROVED  /* go on with this HELLO, and tell rival_session BYE(twin) */
} tmb_twins_verdict;

/* Zeroed: nobody has spoken yet. */
typedef struct tmb_twins {
    uint64_t box; /* who has the session, or had it last; 0: does not say */
    uint64_t probed_box, probed_session;
    uint64_t rival_box, rival_session; /* whose HELLO made the probe; its newest session */
    tmb_mono until;
    bool is_probing;
    uint64_t fenced[TMB_TWINS_FENCED_MAX]; /* 0: free */
    unsigned fenced_next;
} tmb_twins;

/* open_session: the session that is open or greeting; 0: none. */
tmb_twins_verdict tmb_twins_hello(tmb_twins *twins, const tmb_frame_hello *hello,
                                  uint64_t open_session, tmb_mono now);

/* tmb_twins_due gives, once, the session that has waited in vain for a twin to show up and is to be told to
 * say HELLO again; 0: none. */
uint64_t tmb_twins_due(tmb_twins *twins, tmb_mono now);

#ifdef __cplusplus
}
#endif
#endif
