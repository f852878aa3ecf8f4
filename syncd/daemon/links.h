// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/links.h - what all connections of a node have in common: its loop, certificates, keep-alive.
 *
 *   dial.c, chooser.c     to a parent's broker           hub.c, state_link.c     to our own
 *
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_LINKS_H
#define TMB_SYNCD_DAEMON_LINKS_H

#include "syncd/daemon/daemon.h"
#include "syncd/link/link.h"

/* tmb_links_to gives options that lack what the caller is called with, subscribes, and how long he waits.
 * tmb_links_home: to our own broker, on this machine; they lack what he is called with, and subscribes. */
tmb_link_options tmb_links_to(tmb_daemon *d, const char *host, unsigned port,
                              const char *client_id);
tmb_link_options tmb_links_home(tmb_daemon *d, const char *client_id);

#endif
