// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/damage.c - a missing or damaged range in the broker's log, in the words of tombolo-journal
 * verify: which file, which numbers, and whether the parent has them.
 */
#include <stdio.h>

#include "broker-plugin/plugin.h"

#define LINES_MAX 10 /* at one start; verify names them all */

void tmb_plugin_say_parent(tmb_plugin *p, const char *stream, uint64_t first, uint64_t last,
                           char out[TMB_MARKS_SAY_BYTES])
{
    tmb_marks marks;
    out[0] = '\0';
    if (!p->journal || !p->config->parent.host)
        return;
    bool has_marks = tmb_marks_read(NULL, p->config->data_dir, &marks) == TMB_OK;
    tmb_marks_say(has_marks ? &marks : NULL, tmb_journal_incarnation(p->journal), stream, first,
                  last, out, TMB_MARKS_SAY_BYTES);
}

/* What is known of file, bytes and numbers: of a missing file there are only numbers, of a torn end maybe the
 * first alone. */
static void where_of(const tmb_tail_gap *gap, char *out, size_t cap)
{
    char file[128] = "", numbers[64] = "";
    if (gap->file[0])
        (void)snprintf(file, sizeof file, " at byte %llu of %s, %llu bytes",
                       (unsigned long long)gap->offset, gap->file, (unsigned long long)gap->bytes);
    if (gap->last_seq > gap->first_seq)
        (void)snprintf(numbers, sizeof numbers, "%s numbers %llu to %llu", file[0] ? "," : ":",
                       (unsigned long long)gap->first_seq, (unsigned long long)gap->last_seq);
    else if (gap->first_seq > 0)
        (void)snprintf(numbers, sizeof numbers, "%s number %llu%s", file[0] ? "," : ":",
                       (unsigned long long)gap->first_seq,
                       gap->last_seq == 0 ? " and maybe more" : "");
    (void)snprintf(out, cap, "%s%s", file, numbers);
}

void tmb_plugin_log_gap(tmb_plugin *p, const char *stream, const tmb_tail_gap *gap)
{
    char parent[TMB_MARKS_SAY_BYTES] = "", where[256];
    bool is_loss = gap->reason == TMB_GAP_DAMAGED || gap->reason == TMB_GAP_MISSING;
    if (p->gaps_logged++ >= LINES_MAX)
        return;
    if (is_loss && gap->last_seq != 0)
        tmb_plugin_say_parent(p, stream, gap->first_seq, gap->last_seq, parent);
    where_of(gap, where, sizeof where);
    mosquitto_log_printf(
        MOSQ_LOG_WARNING, "tombolo: journal, stream %s: %s%s; %s%s%s", stream ? stream : "-",
        tmb_gap_reason_str(gap->reason), where, parent, parent[0] ? "; " : "",
        is_loss ? "tombolo-journal verify says more" : "its message was never acknowledged");
}
