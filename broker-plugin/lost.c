// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/lost.c - may what a numbered message repeats be lost here?
 *
 * Its first sending has a number in the log, but nobody knows which. So if anything of its stream is gone
 * that the parent does not have, it may be that, and no receipt can say that it is there. What is gone shows
 * in the log's first number (dropped), in the ledger's entries (told in a life before), in what this life
 * meets, and in the gaps that the parent was told.
 */
#include <stdio.h>

#include "broker-plugin/plugin.h"

void tmb_plugin_note_lost(tmb_plugin *p, const char *stream)
{
    for (unsigned i = 0; i < p->config->policy.streams_count; i++)
        if (strcmp(p->config->policy.streams[i].name, stream) == 0)
            p->streams[i].has_lost = true;
}

static bool says(tmb_bytes entry, const char *key, const char *value)
{
    char text[TMB_LEDGER_TEXT_BYTES];
    int len = snprintf(text, sizeof text, "\"%s\":\"%s\",", key, value);
    for (size_t at = 0; at + (size_t)len <= entry.len; at++)
        if (memcmp(entry.ptr + at, text, (size_t)len) == 0)
            return true;
    return false;
}

/* The entries are our own text (ledger.c). */
static void note_entry(tmb_plugin *p, tmb_bytes entry)
{
    for (unsigned i = 0; i < p->streams_count; i++) {
        tmb_plugin_stream *s = &p->streams[i];
        if (!says(entry, "stream", s->policy->name))
            continue;
        if (says(entry, "reason", tmb_loss_reason_str(TMB_LOSS_FULL_NEWEST)))
            s->has_shed_before = true; /* what was stored in this life is not among them */
        else
            s->has_lost = true;
    }
}

void tmb_plugin_lost_start(tmb_plugin *p)
{
    const tmb_plugin_stream *ledger = &p->streams[p->streams_count - 1];
    tmb_tail *tail = NULL;
    tmb_record record;
    tmb_tail_gap gap;
    TMB_ASSERT(ledger->policy->is_ledger);
    bool is_whole = tmb_journal_first_seq(ledger->log) <= 1;
    tmb_err err = tmb_tail_open(p->journal_root, ledger->policy->name, NULL, &tail);
    while (err == TMB_OK || err == TMB_EGAP) {
        err = tmb_tail_next(tail, &record, &gap);
        if (err == TMB_OK && !record.has_origin)
            note_entry(p, record.payload);
        if (err == TMB_EGAP && gap.reason != TMB_GAP_TORN)
            is_whole = false;
    }
    tmb_tail_close(tail);
    /* Entries that cannot be read any more may have been of any stream. */
    is_whole = is_whole && (err == TMB_EAGAIN || err == TMB_ENOENT);
    for (unsigned i = 0; i < p->streams_count; i++)
        p->streams[i].has_lost |= !is_whole;
}

bool tmb_plugin_may_be_lost(tmb_plugin *p, unsigned stream)
{
    const tmb_plugin_stream *s = &p->streams[stream];
    const tmb_plugin_receipts *r = &p->receipts;
    uint64_t mark = 0;
    if (s->policy->is_state)
        return s->has_lost; /* what the retention took was applied */
    if (p->config->parent.host) {
        tmb_plugin_load_marks(p);
        mark = r->has_marks ? r->marks_seq[stream] : 0;
        if (r->has_marks && tmb_marks_has_losses(&r->marks, s->policy->name))
            return true;
    }
    return s->has_lost || tmb_journal_first_seq(s->log) > mark + 1;
}
