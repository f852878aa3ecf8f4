// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/window.h - keeps <data_dir>/uplink.window: in how long the parent wants its children back.
 *
 *   tombolo-window 1
 *   window_ms 3125
 *   crc 8d1f00aa
 *
 * Written when the parent says something that differs by a twentieth, read at the start: so a child that
 * starts in the middle of an outage comes back like those that ran through it. However old it is, it is used:
 * a parent that is asked too much gives slots. One that cannot be read is as good as none. A write that fails
 * is tried again with the next WELCOME. Threads: the loop's; writes in the pool.
 */
#ifndef TMB_SYNCD_DAEMON_WINDOW_H
#define TMB_SYNCD_DAEMON_WINDOW_H

#include "syncd/daemon/daemon.h"

#define TMB_WINDOW_FILE "uplink.window"

typedef struct tmb_window {
    tmb_daemon *daemon;
    uint32_t ms;         /* in the file; 0: none */
    uint32_t writing_ms; /* 0: nothing is being written */
    uint32_t failed_ms;  /* the write of this failed: logged */
    tmb_err err;
    uv_work_t work;
} tmb_window;

/* tmb_window_load reads the file; blocking. */
void tmb_window_load(tmb_window *w, tmb_daemon *d);

/* tmb_window_tell: the parent's window is ms now. */
void tmb_window_tell(tmb_window *w, uint32_t ms);

#endif
