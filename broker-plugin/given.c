// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/given.c - a mark that somebody has seen is never given to another message, also when the log
 * has lost the first.
 *
 * A message is delivered, with its number in its mark, before it is sure to outlive a kill (QoS 0, group) or
 * a power cut (process). What is lost then leaves no trace in the log, and its number would be given again: a
 * subscriber that knows the mark would drop the new message, which was acked. So while marks are given there
 * is a file; where it is found at a start, every marked stream leaves out as many numbers as can have been
 * lost.
 *
 *   start --file made, synced--> marks are given --all synced, file removed--> good end
 *   start, file there: kill or power cut --numbers left out (torn: nobody was promised them)--> as above
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "broker-plugin/checkpoint.h"
#include "broker-plugin/plugin.h"

/* A kill takes what is in the buffer: 7,000 records at most. A power cut takes what came since the last sync,
 * a second's. Not more than is needed: a subscriber tells old from new in a window of 2^20 numbers
 * (clients/c/dedupe.h), and several kills in a row must fit in it. */
#define NUMBERS_MAX  UINT64_C(65536)
#define TRY_EVERY_MS 1000

static tmb_err make_file(tmb_plugin *p)
{
    int fd = open(p->given.file, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return TMB_EIO;
    close(fd);
    return tmb_file_sync(p->given.file);
}

tmb_err tmb_plugin_given_start(tmb_plugin *p)
{
    if (snprintf(p->given.file, sizeof p->given.file, "%s/marks.given", p->config->data_dir) >=
        (int)sizeof p->given.file)
        return TMB_ELIMIT;
    if (access(p->given.file, F_OK) < 0)
        return errno == ENOENT ? TMB_OK : TMB_EIO;
    bool is_done = true;
    for (unsigned i = 0; i < p->streams_count; i++) {
        const tmb_plugin_stream *s = &p->streams[i];
        if (!s->policy->mark)
            continue;
        tmb_err err = tmb_journal_skip(s->log, tmb_journal_last_seq(s->log) + NUMBERS_MAX,
                                       TMB_GAP_TORN, tmb_plugin_wall());
        is_done &= err == TMB_OK;
        if (err != TMB_OK) /* this life leaves them out all the same; and the next one again */
            mosquitto_log_printf(MOSQ_LOG_WARNING, "tombolo: stream %s: no new segment yet: %s",
                                 s->policy->name, tmb_err_str(err));
    }
    p->given.is_owed = !is_done;
    if (is_done)
        (void)unlink(
            p->given.file); /* the new segments say it; should it come back, no harm is done */
    return TMB_OK;
}

bool tmb_plugin_may_mark(tmb_plugin *p)
{
    if (p->given.is_there)
        return true;
    tmb_mono now = tmb_plugin_now();
    if (p->given.tried_at.ns != 0 &&
        !tmb_mono_is_due(tmb_mono_after(p->given.tried_at, tmb_dur_ms(TRY_EVERY_MS)), now))
        return false;
    p->given.tried_at = now;
    tmb_err err = make_file(p);
    p->given.is_there = err == TMB_OK;
    if (err != TMB_OK)
        mosquitto_log_printf(MOSQ_LOG_WARNING,
                             "tombolo: %s cannot be made: %s; messages of marked streams go out "
                             "without their mark until it can: mend the disk",
                             p->given.file, tmb_err_str(err));
    return p->given.is_there;
}

void tmb_plugin_given_end(tmb_plugin *p)
{
    if (p->given.is_there && !p->given.is_owed && tmb_plugin_sync_all(p) == TMB_OK)
        (void)unlink(p->given.file); /* left there, numbers are left out for nothing */
}
