// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/stats.c - the counters, as one retained JSON message, at most once a second and when changed.
 * They begin at 0 with the broker.
 */
#include <stdio.h>

#include "broker-plugin/plugin.h"
#include "proto/topics.h"

#define TELL_EVERY_MS 1000

static void put(char *text, size_t cap, size_t *len, const char *name, uint64_t value)
{
    int n = snprintf(text + *len, cap - *len, "%s\"%s\":%llu", *len > 1 ? "," : "", name,
                     (unsigned long long)value);
    TMB_ASSERT(n > 0 && (size_t)n < cap - *len); /* else the text below is too short for all */
    *len += (size_t)n;
}

static uint64_t ms_up(int64_t ns)
{
    return (uint64_t)((ns + 999999) / 1000000);
}

/* put_redelivery says what a crash now would repeat, and what it costs to keep that small. */
static void put_redelivery(const tmb_plugin *p, tmb_mono now, char *text, size_t cap, size_t *len)
{
    uint64_t records = 0;
    for (unsigned i = 0; i < p->streams_count; i++)
        records += p->streams[i].good_seq - p->streams[i].kept_seq;
    put(text, cap, len, "since_checkpoint_records", records);
    put(text, cap, len, "since_checkpoint_bytes", p->checkpoint.stored_bytes - p->checkpoint.bytes);
    put(text, cap, len, "since_checkpoint_s",
        (uint64_t)((now.ns - p->checkpoint.at.ns) / 1000000000));
    put(text, cap, len, "snapshot_last_ms", ms_up(p->snapshot.budget.last_ns));
    put(text, cap, len, "snapshot_worst_ms", ms_up(p->snapshot.budget.worst_ns));
    put(text, cap, len, "snapshot_all_ms", ms_up(p->snapshot.budget.all_ns));
}

void tmb_plugin_tell_stats(tmb_plugin *p)
{
    tmb_mono now = tmb_plugin_now();
    bool is_first = p->stats_at.ns == 0;
    if (!is_first &&
        (!tmb_mono_is_due(tmb_mono_after(p->stats_at, tmb_dur_ms(TELL_EVERY_MS)), now) ||
         memcmp(&p->counts, &p->counts_told, sizeof p->counts) == 0))
        return;
    p->stats_at = now;
    p->counts_told = p->counts;
    char text[8192] = "{"; /* some 100 counters of 25 letters and 20 digits */
    size_t len = 1;
#define PUT(name) put(text, sizeof text - 1, &len, #name, p->counts.name);
    TMB_PLUGIN_COUNTS(PUT)
#undef PUT
    const tmb_journal_counts *j = tmb_journal_counts_get(p->journal);
    put(text, sizeof text - 1, &len, "journal_records", j->appended);
    put(text, sizeof text - 1, &len, "journal_payload_bytes", j->appended_bytes);
    put(text, sizeof text - 1, &len, "journal_written_bytes", j->written_bytes);
    put(text, sizeof text - 1, &len, "journal_syncs", j->syncs);
    put(text, sizeof text - 1, &len, "journal_damaged_ranges", j->damaged_ranges);
    put(text, sizeof text - 1, &len, "journal_torn_bytes", j->torn_bytes);
    put(text, sizeof text - 1, &len, "journal_dropped_records", j->dropped_records);
    put(text, sizeof text - 1, &len, "journal_failures", j->failures);
    put(text, sizeof text - 1, &len, "ring_bytes", j->ring_bytes);
    put(text, sizeof text - 1, &len, "ring_troubles", j->ring_troubles);
    put(text, sizeof text - 1, &len, "sources", tmb_seen_count(p->children));
    put(text, sizeof text - 1, &len, "origins", tmb_seen_count(p->origins));
    put(text, sizeof text - 1, &len, "numbered_publishers", tmb_seen_count(p->publishers));
    put(text, sizeof text - 1, &len, "forgotten",
        tmb_seen_forgotten(p->children) + tmb_seen_forgotten(p->origins) +
            tmb_seen_forgotten(p->publishers));
    put(text, sizeof text - 1, &len, "receipts_pending", tmb_receipts_count(p->receipts.table));
    put_redelivery(p, now, text, sizeof text - 1, &len);
    text[len++] = '}';
    void *payload = mosquitto_malloc(len);
    if (!payload)
        return;
    memcpy(payload, text, len);
    if (mosquitto_broker_publish(NULL, TMB_TOPIC_STATS, (int)len, payload, 0, true, NULL) !=
        MOSQ_ERR_SUCCESS)
        mosquitto_free(payload);
}
