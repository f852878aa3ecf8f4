// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/group.c - many messages, one sync, and no ack before it.
 *
 * A message of a group stream is appended, its client is held (hold.h), and the end of the broker's round
 * syncs each stream once and lets the acks go:
 *
 *   MESSAGE: append, hold   MESSAGE: append, hold ...   TICK: sync --good--> release all
 *                                                                 --bad---> cut those of the stream
 *
 * What makes that safe at every moment: a sync covers all that was appended before it, so it may come early,
 * and a release after a sync is right at any time. A client that cannot be held has its message synced at
 * once, as in `strict`. After a failed sync a stream is strict until a strict write has succeeded; and should
 * an ack ever have gone past the hold, every group stream is strict for the rest of the broker's life.
 *
 * While many have sent more already the sync waits a few rounds: they get their numbers back and are read,
 * their acks stay (tmb_hold_linger).
 *
 * Numbers of publishers are taken as seen when the message is appended, so that a repeat in the same round is
 * known; they are taken back when the sync fails, for those messages will come again.
 */
#include <stdlib.h>

#include "broker-plugin/plugin.h"

/* Numbered messages between two syncs. One more: a sync comes first. */
#define NUMBERS_MAX 512
/* Of SUBACK and UNSUBACK, for a topic: one, and a part of what the kernel needs for the packet. */
#define SUBACK_BYTES 4
/* A sync may wait for so many more rounds of the broker's loop, and so long, while so many publish. */
#define ROUNDS_MAX  8
#define WAIT_MS_MAX 5
#define CLIENTS_MIN 8

struct tmb_plugin_number {
    unsigned stream;
    uint64_t before;
    tmb_seen_key key;
};

static uint64_t mark_of(unsigned stream)
{
    return UINT64_C(1) << stream;
}

tmb_err tmb_group_start(tmb_plugin *p)
{
    tmb_err err = tmb_hold_new(0, &p->hold);
    if (err == TMB_EIO) { /* then all are strict, and counted */
        p->group.is_broken = true;
        return TMB_OK;
    }
    return err;
}

void tmb_group_end(tmb_plugin *p)
{
    tmb_hold_free(p->hold);
    free(p->group.numbers);
    p->hold = NULL;
    p->group.numbers = NULL;
    p->group.numbers_count = 0;
}

/* forget_numbers of a stream; with is_undone, as if they had never been seen. */
static void forget_numbers(tmb_plugin *p, unsigned stream, bool is_undone)
{
    unsigned kept = 0;
    for (unsigned i = p->group.numbers_count; is_undone && i-- > 0;) {
        const struct tmb_plugin_number *n = &p->group.numbers[i];
        if (n->stream == stream)
            tmb_seen_lower(p->publishers, tmb_bytes_of(n->key.bytes, n->key.len), n->before);
    }
    for (unsigned i = 0; i < p->group.numbers_count; i++)
        if (p->group.numbers[i].stream != stream)
            p->group.numbers[kept++] = p->group.numbers[i];
    p->group.numbers_count = kept;
}

/* Every failure of a stream's writes comes by here: what was appended and not synced may be gone. */
void tmb_group_failed(tmb_plugin *p, unsigned stream)
{
    tmb_plugin_stream *s = &p->streams[stream];
    if (!s->is_group_open)
        return;
    s->is_group_open = false;
    s->is_group_strict = true;
    forget_numbers(p, stream, true);
    if (p->hold)
        tmb_hold_cut(p->hold, mark_of(stream));
    mosquitto_log_printf(MOSQ_LOG_ERR,
                         "tombolo: stream %s: a sync for many failed; none of them is acked, their "
                         "connections are closed, and each message is synced by itself until that "
                         "works again",
                         s->policy->name);
}

void tmb_group_synced(tmb_plugin *p, unsigned stream)
{
    tmb_plugin_stream *s = &p->streams[stream];
    if (s->is_group_open)
        forget_numbers(p, stream, false);
    s->is_group_open = false;
    if (s->is_group_strict)
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "tombolo: stream %s: many share a sync again",
                             s->policy->name);
    s->is_group_strict = false;
}

/* sync_open syncs all that have something to sync. Gives the result of one. */
static tmb_err sync_open(tmb_plugin *p, unsigned stream)
{
    tmb_err result = TMB_OK;
    for (unsigned i = 0; i < p->streams_count; i++) {
        if (!p->streams[i].is_group_open)
            continue;
        tmb_err err = tmb_plugin_store_sync(p, i);
        if (i == stream)
            result = err;
        p->counts.group_syncs++;
    }
    return result;
}

tmb_err tmb_group_note_number(tmb_plugin *p, unsigned stream, const tmb_record *record,
                              uint64_t before)
{
    if (!p->streams[stream].is_group_open)
        return TMB_OK;
    if (!p->group.numbers)
        p->group.numbers = calloc(NUMBERS_MAX, sizeof *p->group.numbers);
    if (!p->group.numbers || p->group.numbers_count == NUMBERS_MAX)
        return sync_open(p, stream);
    p->group.numbers[p->group.numbers_count++] = (struct tmb_plugin_number){
        stream, before,
        tmb_seen_key_publisher(record->publisher, record->run,
                               tmb_bytes_str(p->streams[stream].policy->name))};
    return TMB_OK;
}

tmb_err tmb_group_take(tmb_plugin *p, unsigned stream, const struct mosquitto *client)
{
    if (!p->streams[stream].is_group_open)
        return TMB_OK;
    tmb_hold_answer answer = TMB_HOLD_UNFIT;
    if (p->hold && mosquitto_client_protocol(client) != mp_websockets)
        answer = tmb_hold_take(p->hold, client, mosquitto_client_address(client), mark_of(stream));
    if (answer == TMB_HOLD_TAKEN) {
        p->counts.group_held++;
        return TMB_OK;
    }
    if (answer == TMB_HOLD_UNFIT)
        p->counts.group_strict++;
    /* Full: the sync is for all that are held, and for this one too. They go at the end of the round, or now
     * if there is need. */
    tmb_err err = sync_open(p, stream);
    if (answer == TMB_HOLD_FULL)
        (void)tmb_hold_release_early_all(p->hold, ~TMB_HOLD_MARK_SUBSCRIBE);
    return err;
}

void tmb_group_make_room(tmb_plugin *p)
{
    (void)sync_open(p, 0);
    (void)tmb_hold_release_early_all(p->hold, ~TMB_HOLD_MARK_SUBSCRIBE);
}

void tmb_group_on_read(tmb_plugin *p, const struct mosquitto_evt_acl_check *event)
{
    if (!p->hold)
        return;
    bool has_room = event->access == MOSQ_ACL_READ
                        ? tmb_hold_note(p->hold, event->client,
                                        strlen(event->topic) + event->payloadlen + p->props_len)
                        : tmb_hold_note_more(p->hold, event->client, SUBACK_BYTES);
    if (has_room)
        return;
    (void)sync_open(p, 0);
    p->counts.subscribes_early +=
        tmb_hold_release_early(p->hold, event->client, TMB_HOLD_MARK_SUBSCRIBE);
}

void tmb_group_on_leave(tmb_plugin *p, const struct mosquitto *client)
{
    if (!p->hold)
        return;
    if (tmb_hold_is_held(p->hold, client))
        (void)sync_open(p, 0); /* those it failed for are cut, and no longer held */
    tmb_hold_leave(p->hold, client, true);
}

/* may_wait: publishers have sent more already, and one more round does not keep the others long. */
static bool may_wait(tmb_plugin *p, tmb_mono now)
{
    if (p->group.rounds == 0)
        p->group.since = now;
    bool may = p->group.rounds < ROUNDS_MAX && tmb_hold_count(p->hold) >= CLIENTS_MIN &&
               !tmb_mono_is_due(tmb_mono_after(p->group.since, tmb_dur_ms(WAIT_MS_MAX)), now) &&
               tmb_hold_linger(p->hold);
    p->group.rounds = may ? p->group.rounds + 1 : 0;
    return may;
}

void tmb_group_on_tick(tmb_plugin *p, tmb_mono now)
{
    if (!p->hold)
        return;
    if (!may_wait(p, now)) {
        (void)sync_open(p, 0);
        tmb_hold_release(p->hold, ~TMB_HOLD_MARK_SUBSCRIBE);
    }
    tmb_hold_tick(p->hold, now);
    const tmb_hold_counts *c = tmb_hold_counts_get(p->hold);
    if (c->breaches > p->counts.group_breaches && !p->group.is_broken) {
        p->group.is_broken = true;
        mosquitto_log_printf(
            MOSQ_LOG_ERR,
            "tombolo: an answer of the broker went past the hold of durability group; from "
            "here on each message is synced by itself; is this a Mosquitto other than 2.0 "
            "or 2.1? Set durability: strict, and tell us");
    }
    p->counts.group_breaches = c->breaches;
    p->counts.group_cut = c->cut + c->astray;
}
