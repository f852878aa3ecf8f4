// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/asking.c - when the broker is asked for a snapshot, and what each one cost.
 *
 *   due:  checkpoint.records or checkpoint.bytes stored, or checkpoint.interval over and something went on
 *   wish: a lasting session subscribed
 *
 * Either waits until the budget allows it. What goes on and is not stored is delivery: a session that comes
 * back and works off what it has waiting would get all of it again after a crash, with nothing published at
 * all. Its acks are not told to plugins; so when all is quiet there is one more snapshot, an interval after
 * the last.
 */
#include <signal.h>
#include <unistd.h>

#include "broker-plugin/plugin.h"
#include "broker-plugin/snapshot.h"

#define ASK_AGAIN_MS 5000 /* when no snapshot has come of it */

void tmb_plugin_note_delivery(tmb_plugin *p, const struct mosquitto *client)
{
    p->snapshot.has_delivered |= !mosquitto_client_clean_session(client);
}

static bool is_due(const tmb_plugin *p, tmb_mono now)
{
    const tmb_config *c = p->config;
    if (p->snapshot.records_since >= c->checkpoint_records ||
        p->snapshot.bytes_since >= c->checkpoint_bytes)
        return true;
    return (p->snapshot.records_since > 0 || p->snapshot.has_delivered ||
            p->snapshot.is_one_more_due) &&
           tmb_mono_is_due(
               tmb_mono_after(p->snapshot.seen_at, tmb_dur_ms(c->checkpoint_interval_ms)), now);
}

void tmb_plugin_ask_for_snapshot(tmb_plugin *p, tmb_mono now)
{
    bool is_unanswered = p->snapshot.asked_at.ns > p->snapshot.seen_at.ns;
    int64_t patience_ms =
        is_unanswered && !p->snapshot.is_wanted ? ASK_AGAIN_MS : TMB_SNAPSHOT_GAP_MS;
    if ((!p->snapshot.is_wanted && !is_due(p, now)) ||
        !tmb_budget_allows(&p->snapshot.budget, p->snapshot.is_wanted, now) ||
        !tmb_mono_is_due(tmb_mono_after(p->snapshot.asked_at, tmb_dur_ms(patience_ms)), now))
        return;
    p->snapshot.is_wanted = false;
    p->snapshot.asked_at = now;
    p->counts.snapshots_asked++;
    kill(getpid(), SIGUSR1);
}

/* A new subscription of a lasting session is in no snapshot yet. Asked for inside the check, it is in the one
 * that ends this round; too soon after another, at a later tick. */
void tmb_plugin_want_snapshot(tmb_plugin *p)
{
    p->snapshot.is_wanted = true;
    tmb_plugin_ask_for_snapshot(p, tmb_plugin_now());
}

void tmb_plugin_note_snapshot(tmb_plugin *p, tmb_mono now)
{
    p->snapshot.is_one_more_due = p->snapshot.records_since > 0 || p->snapshot.has_delivered;
    p->snapshot.has_delivered = false;
    p->snapshot.records_since = p->snapshot.bytes_since = 0;
    p->snapshot.seen_at = now;
}

/* The broker makes its file, writes, syncs and renames it, and then ticks: so it was held up since the file
 * was made. Where the file system does not tell, or somebody has set the clock since, at most since the
 * tick before. */
void tmb_plugin_note_cost(tmb_plugin *p, tmb_mono tick_at, int64_t age_ns)
{
    int64_t round_ns = tick_at.ns - p->tick_at.ns;
    int64_t broker_ns = age_ns >= 0 && age_ns < round_ns ? age_ns : round_ns;
    tmb_mono now = tmb_plugin_now();
    tmb_budget_spend(&p->snapshot.budget, broker_ns + now.ns - tick_at.ns, now);
}
