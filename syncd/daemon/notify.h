// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/notify.h - tell systemd how we are (sd_notify's protocol, without its library).
 *
 * Source: sd_notify(3), "NOTES": one datagram to the socket in $NOTIFY_SOCKET. Nothing happens without it.
 * Threads: any.
 */
#ifndef TMB_SYNCD_DAEMON_NOTIFY_H
#define TMB_SYNCD_DAEMON_NOTIFY_H

#include <stdint.h>

/* tmb_notify sends state, as in "READY=1". */
void tmb_notify(const char *state);

/* tmb_notify_watchdog_ms: how often to send "WATCHDOG=1", half of what systemd allows; 0: never. */
uint64_t tmb_notify_watchdog_ms(void);

#endif
