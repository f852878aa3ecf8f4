// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/subscribing.c - a lasting session is told that it has subscribed when a snapshot has it.
 *
 *   check: ask for a snapshot, hold the client (hold.h) -> the broker queues SUBACK -> snapshot, checkpoint
 *          -> TICK: release
 *
 * Asked for inside the check, the snapshot comes in the same round. When there was one a moment ago the next
 * has to wait for its budget (asking.c), and the client with it, over rounds; but only while it keeps silent,
 * since one that sends makes the broker's loop spin, while little is queued for it, and not for ever. Then,
 * and when the snapshot fails, it gets its answer without that promise, counted. Unsubscribing is the same.
 */
#include "broker-plugin/plugin.h"

#define WAIT_MS_MAX 5000

static void note_early(tmb_plugin *p, unsigned count, const char *why)
{
    if (count > 0 && p->counts.subscribes_early == 0)
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tombolo: a subscription was confirmed before a snapshot had it (%s); a kill "
            "of the broker in that moment would forget it; counted in subscribes_early",
            why);
    p->counts.subscribes_early += count;
}

static tmb_hold_answer hold(tmb_plugin *p, const struct mosquitto *client)
{
    if (!p->hold || p->group.is_broken || mosquitto_client_protocol(client) == mp_websockets)
        return TMB_HOLD_UNFIT;
    const char *address = mosquitto_client_address(client);
    tmb_hold_answer answer = tmb_hold_take(p->hold, client, address, TMB_HOLD_MARK_SUBSCRIBE);
    if (answer != TMB_HOLD_FULL)
        return answer;
    tmb_group_make_room(p);
    return tmb_hold_take(p->hold, client, address, TMB_HOLD_MARK_SUBSCRIBE);
}

void tmb_plugin_on_subscribe(tmb_plugin *p, const struct mosquitto *client)
{
    bool is_held = p->hold && tmb_hold_is_held(p->hold, client);
    bool is_first = p->hold && !tmb_hold_has(p->hold, TMB_HOLD_MARK_SUBSCRIBE);
    tmb_plugin_want_snapshot(p);
    if (hold(p, client) != TMB_HOLD_TAKEN) {
        note_early(p, 1, "its connection cannot be held back");
        return;
    }
    if (!is_held)
        p->counts.subscribes_held++;
    if (is_first)
        p->snapshot.subscribed_at = tmb_plugin_now();
}

void tmb_plugin_release_subscribers(tmb_plugin *p, tmb_mono now, bool has_snapshot)
{
    if (!p->hold || tmb_hold_count(p->hold) == 0)
        return;
    bool is_refused = has_snapshot ? p->snapshot.is_failing || p->checkpoint.is_failing
                                   : p->snapshot.asked_at.ns > p->snapshot.seen_at.ns &&
                                         p->snapshot.asked_at.ns <= p->tick_at.ns;
    bool is_over =
        tmb_mono_is_due(tmb_mono_after(p->snapshot.subscribed_at, tmb_dur_ms(WAIT_MS_MAX)), now);
    if (has_snapshot && !is_refused)
        tmb_hold_release(p->hold, TMB_HOLD_MARK_SUBSCRIBE);
    else if (is_refused || is_over)
        note_early(p, tmb_hold_release_early_all(p->hold, TMB_HOLD_MARK_SUBSCRIBE),
                   is_refused ? "the broker could not write it: free space there"
                              : "snapshots take the broker long: less must wait in its sessions");
    else
        note_early(p, tmb_hold_release_readable(p->hold, TMB_HOLD_MARK_SUBSCRIBE),
                   "its client did not wait for the answer");
}
