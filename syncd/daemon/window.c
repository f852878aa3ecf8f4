// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/window.c - see window.h. */
#include "syncd/daemon/window.h"

#include <stdio.h>
#include <stdlib.h>

#include "syncd/daemon/log.h"
#include "syncd/daemon/memo.h"
#include "syncd/session/comeback.h"

void tmb_window_load(tmb_window *w, tmb_daemon *d)
{
    char *text = NULL;
    unsigned ms = 0;
    int end = 0;
    memset(w, 0, sizeof *w);
    w->daemon = d;
    tmb_err err = tmb_memo_read(d->config->data_dir, TMB_WINDOW_FILE, &text);
    if (err == TMB_OK &&
        (sscanf(text, "tombolo-window 1\nwindow_ms %9u\n%n", &ms, &end) != 1 || end == 0))
        err = TMB_ECORRUPT;
    if (err == TMB_OK)
        w->ms = tmb_window_clamp(ms);
    else if (err != TMB_ENOENT)
        LOG(TMB_LOG_WARNING, "window.not_read", tmb_str("file", TMB_WINDOW_FILE), tmb_why(err),
            tmb_str("then", "this node comes back with full jitter until the parent says it anew"));
    free(text);
}

/* Blocking. */
static void do_write(uv_work_t *work)
{
    tmb_window *w = work->data;
    char text[64];
    (void)snprintf(text, sizeof text, "tombolo-window 1\nwindow_ms %u\n", (unsigned)w->writing_ms);
    w->err = tmb_memo_write(w->daemon->config->data_dir, TMB_WINDOW_FILE, text);
}

static void on_written(uv_work_t *work, int status)
{
    tmb_window *w = work->data;
    (void)status;
    if (w->err == TMB_OK) {
        w->ms = w->writing_ms;
        w->failed_ms = 0;
    } else {
        if (w->failed_ms == 0)
            LOG(TMB_LOG_WARNING, "window.not_written", tmb_str("file", TMB_WINDOW_FILE),
                tmb_why(w->err), tmb_str("then", "tried again with the next welcome"));
        w->failed_ms = w->writing_ms;
    }
    w->writing_ms = 0;
}

void tmb_window_tell(tmb_window *w, uint32_t ms)
{
    uint32_t less = w->ms < ms ? w->ms : ms, more = w->ms < ms ? ms : w->ms;
    if (w->writing_ms != 0 || more - less <= more / 20)
        return;
    w->writing_ms = ms;
    w->work.data = w;
    (void)uv_queue_work(&w->daemon->loop, &w->work, do_write, on_written);
}
