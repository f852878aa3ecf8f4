// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/inflight.h - QoS 2 messages that are in the journal but perhaps not yet with subscribers.
 *
 * The broker hands a QoS 2 message to its subscribers when PUBREL comes, and a snapshot in between lacks
 * it. A checkpoint must therefore stop before it. No event tells of PUBREL; what shows is the read check
 * when the message is queued for a subscriber, which names the same topic, at the same address. One that
 * nobody subscribes to is taken as done when its topic's memory is used again, or after TMB_INFLIGHT_MS.
 * One that has a number stays until then: dropped by the broker with its publisher's session, it is sent
 * again. The broker's last snapshot has those of lasting publishers, with their sessions: at the end only
 * others hold.
 * Threads: none. Cost: a scan of at most TMB_INFLIGHT_MAX entries, for QoS 2 alone.
 */
#ifndef TMB_BROKER_PLUGIN_INFLIGHT_H
#define TMB_BROKER_PLUGIN_INFLIGHT_H

#include <stdbool.h>

#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* More at once, when none of them is over: those beyond hold the checkpoint back together, for
 * TMB_INFLIGHT_MS. */
#define TMB_INFLIGHT_MAX 256
#define TMB_INFLIGHT_MS  30000

typedef struct tmb_inflight {
    struct tmb_inflight_entry {
        uint64_t seq;
        const void *topic, *topic_before; /* of the last sending, and of the one before */
        uint64_t tag;
        tmb_mono until;
        bool is_lasting;
    } entries[TMB_INFLIGHT_MAX]; /* seq rises */
    unsigned count;
    uint64_t beyond_seq; /* the first that found no room; 0: none */
    tmb_mono beyond_until;
} tmb_inflight;

/* tmb_inflight_add: record seq, whose topic is at that address (compared, never read; NULL: unknown).
 * tag: what a repeat of it is known by; 0: nothing.
 * is_lasting: its publisher's session, and with it the message, comes back after a stop in good order. */
void tmb_inflight_add(tmb_inflight *inflight, uint64_t seq, const void *topic, uint64_t tag,
                      bool is_lasting, tmb_mono now);

/* tmb_inflight_again: what has tag (not 0) was sent again, with its topic at that address now; which of the
 * two the broker keeps cannot be told, so either counts. Says whether it is in flight, and gives its
 * record. */
bool tmb_inflight_again(tmb_inflight *inflight, uint64_t tag, const void *topic, tmb_mono now,
                        uint64_t *ret_seq);

/* tmb_inflight_take: what has tag (not 0) is delivered in another way, and in flight no longer. Says whether
 * it was, and gives its record. */
bool tmb_inflight_take(tmb_inflight *inflight, uint64_t tag, uint64_t *ret_seq);

/* tmb_inflight_done: the message with that topic is being queued for a subscriber. */
void tmb_inflight_done(tmb_inflight *inflight, const void *topic);

/* tmb_inflight_hold gives the position that a checkpoint may take: seq, or less. tmb_inflight_hold_last, that
 * of the last one, for the broker's last snapshot. */
uint64_t tmb_inflight_hold(tmb_inflight *inflight, uint64_t seq, tmb_mono now);
uint64_t tmb_inflight_hold_last(tmb_inflight *inflight, uint64_t seq, tmb_mono now);

#ifdef __cplusplus
}
#endif
#endif
