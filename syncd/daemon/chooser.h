// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/chooser.h - which parent the uplink dials, and how the preferred ones are: the shell of
 * syncd/session/choice.h.
 *
 * A preferred parent is probed by a connection to its broker, with our certificate, that says nothing and is
 * closed when it stands: that costs it a TLS handshake, and proves the host, the line, the broker and the
 * certificates, though not the tombolo-syncd behind it. A return that finds none is left again, and the next
 * one takes twice as long.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_CHOOSER_H
#define TMB_SYNCD_DAEMON_CHOOSER_H

#include <jansson.h>

#include "syncd/daemon/daemon.h"
#include "syncd/session/session.h"

typedef struct tmb_chooser tmb_chooser;

typedef struct tmb_chooser_options {
    tmb_daemon *daemon;
    const tmb_session *session; /* borrowed, read */
    void *arg;
    /* Dials go elsewhere from now on; window_ms: what that parent has said of its window before, 0: nothing.
     * Never called from inside a call of this header. */
    void (*moved)(void *arg, uint32_t window_ms);
} tmb_chooser_options;

/* gives ret. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_chooser_new(const tmb_chooser_options *options, tmb_chooser **ret);
void tmb_chooser_stop(tmb_chooser *chooser); /* lets go of the loop; NULL is fine */
void tmb_chooser_free(tmb_chooser *chooser); /* the loop has ended */

/* tmb_chooser_endpoint gives whom to dial now. */
const tmb_config_endpoint *tmb_chooser_endpoint(const tmb_chooser *chooser);

/* tmb_chooser_is_preferred: that is the first of the list. */
bool tmb_chooser_is_preferred(const tmb_chooser *chooser);

/* tmb_chooser_report takes what the session reports. */
void tmb_chooser_report(tmb_chooser *chooser, const tmb_session_action *report);

/* tmb_chooser_listen before a step with a frame of the parent, tmb_chooser_heard after it: did an answer take
 * long? The time runs from when what is answered had left. */
void tmb_chooser_listen(tmb_chooser *chooser);
void tmb_chooser_heard(tmb_chooser *chooser);

/* tmb_chooser_stats adds its keys to object. */
void tmb_chooser_stats(const tmb_chooser *chooser, json_t *object);

#endif
