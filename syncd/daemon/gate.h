// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/gate.h - the door for children: what syncd/hub/admission.h and capacity.h decide, done.
 *
 *   HELLO --> admission --next--> tmb_child_receive ... WELCOME: tmb_gate_done
 *                 '--> BYE(BUSY, slot), to a child of protocol 1 BYE(LIMIT)
 *   probes: an empty message to ourselves, through our own broker
 *
 * It also knows the children that there are: those seen in the last TMB_GATE_SEEN_DAYS, kept with C in
 * <data_dir>/children.known, so that a parent that was away advertises the right window from its first
 * WELCOME, and can tell all of them to say HELLO again (BYE(unknown-session) of session 0): what one said
 * between its broker's start and ours is lost.
 *
 * Threads: the loop's; the file is written in the pool.
 */
#ifndef TMB_SYNCD_DAEMON_GATE_H
#define TMB_SYNCD_DAEMON_GATE_H

#include <jansson.h>

#include "syncd/daemon/child.h"

#define TMB_GATE_FILE      "children.known"
#define TMB_GATE_SEEN_DAYS 7

/* gives ret_gate. Errors: TMB_ENOMEM. A file that cannot be read is a line in the log. */
TMB_MUST_USE tmb_err tmb_gate_new(tmb_hub *hub, tmb_gate **ret_gate);

/* tmb_gate_stop lets go of the loop; tmb_gate_free, when the loop has ended, writes what is still to be
 * written. NULL is fine for both. */
void tmb_gate_stop(tmb_gate *gate);
void tmb_gate_free(tmb_gate *gate);

/* Our broker is there (the hub is open), or gone: then before the children are reset. */
void tmb_gate_open(tmb_gate *gate);
void tmb_gate_close(tmb_gate *gate);

/* tmb_gate_hello: a HELLO of child has come, payload as it is on the wire (copied if need be). True: it is to
 * be worked on now; false: the gate has taken care of it. */
bool tmb_gate_hello(tmb_gate *gate, tmb_child *child, const tmb_frame_hello *hello,
                    tmb_bytes payload);

/* tmb_gate_done: the HELLO that child was at work with is answered, or void. */
void tmb_gate_done(tmb_gate *gate, tmb_child *child);

/* tmb_gate_window_ms: over which children come back, as it is now. */
uint32_t tmb_gate_window_ms(const tmb_gate *gate);

/* A message to ourselves came back. */
void tmb_gate_probe_back(tmb_gate *gate);

/* tmb_gate_stats adds its object to the statistics. */
void tmb_gate_stats(const tmb_gate *gate, json_t *object);

#endif
