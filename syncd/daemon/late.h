// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/late.h - the mark on records that come behind newer ones of their stream.
 *
 * Threads: any. Cost: one pass over the properties.
 */
#ifndef TMB_SYNCD_DAEMON_LATE_H
#define TMB_SYNCD_DAEMON_LATE_H

#include "base/bytes.h"
#include "base/hlc.h"

/* "2026-11-21T22:15:00.123Z" and a NUL; years beyond 9999 are written as that one's end. */
#define TMB_LATE_TIME_BYTES 25

/* tmb_late_time writes when stamp was given, by the clock of the node that gave it. */
void tmb_late_time(tmb_hlc stamp, char out[TMB_LATE_TIME_BYTES]);

/* tmb_late_mark copies props to out with tombolo-late and tombolo-time, in place of any that are there. props
 * must be valid. False: they do not fit. */
bool tmb_late_mark(tmb_bytes props, tmb_hlc born, uint8_t *out, size_t cap, tmb_bytes *ret_props);

#endif
