// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/mark.h - the mark by which a subscriber knows a repeat: where a message stands in our log.
 *
 * The user property tombolo-id (proto/props.h) names node, stream, number and life of the log; nothing else
 * in the domain has the same, and a message that is replayed has the same as when it came first.
 * Threads: none. Cost: one formatted string and one or two properties a message, on marked streams alone.
 */
#ifndef TMB_BROKER_PLUGIN_MARK_H
#define TMB_BROKER_PLUGIN_MARK_H

#include <mosquitto_broker.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "proto/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* node/stream/number (at most 19 digits)/8 hex digits */
#define TMB_MARK_BYTES_MAX (TMB_NAME_BYTES_MAX + 1 + TMB_STREAM_NAME_BYTES_MAX + 1 + 19 + 1 + 8)

typedef struct tmb_mark_id {
    const char *node, *stream;
    uint64_t seq; /* up to TMB_SEQ_MAX */
    const tmb_incarnation *incarnation;
} tmb_mark_id;

/* tmb_mark_text writes the value of tombolo-id. */
void tmb_mark_text(const tmb_mark_id *mark, char ret_text[TMB_MARK_BYTES_MAX + 1]);

/* tmb_mark_add appends the mark to a list of the broker's; is_replay: and tombolo-replay.
 * Errors: TMB_ENOMEM (the list may have the first of the two; a message without is delivered as well). */
TMB_MUST_USE tmb_err tmb_mark_add(const tmb_mark_id *mark, bool is_replay,
                                  mosquitto_property **list);

#ifdef __cplusplus
}
#endif
#endif
