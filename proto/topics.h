// SPDX-License-Identifier: Apache-2.0
/* proto/topics.h - the topics under which a broker carries the sync session, version 1.
 *
 *   $tombolo/v1/up/<child>     child to parent: frames, QoS 0       (only that child may publish)
 *   $tombolo/v1/down/<child>   parent to child: frames, QoS 0       (only that child may subscribe)
 *   $tombolo/v1/commit         a node's own syncd to its plugin, QoS 1: records to append, sync, publish
 *   $tombolo/v1/void           where a repeat of a numbered message ends; nobody may read it
 *   $tombolo/v1/stats/plugin   retained JSON of the plugin's counters; any local client may read it
 *   $tombolo/v1/stats/syncd    the same of tombolo-syncd, of a node that has children
 *   $tombolo/v1/state/mark     retained, for a node's own syncd: how far the retained values of state are
 *                              what it has published; in the broker's snapshot it vouches for the others
 *   $tombolo/v1/state/probe    what a node's own syncd sends itself, to know what came before
 *   $tombolo/v1/state/ask      an operator's ask about the neighbours of scopes, QoS 1, with the node's own
 *                              certificate (syncd/daemon/state_members.h)
 *   $tombolo/v1/state/told/<id>  what is answered to it
 *
 * A subscriber of "#" sees none of them (MQTT 5, 4.7.2). docs/protocol.md says what is in them.
 */
#ifndef TMB_PROTO_TOPICS_H
#define TMB_PROTO_TOPICS_H

#define TMB_TOPIC_ROOT        "$tombolo/"
#define TMB_TOPIC_UP          "$tombolo/v1/up/"
#define TMB_TOPIC_DOWN        "$tombolo/v1/down/"
#define TMB_TOPIC_COMMIT      "$tombolo/v1/commit"
#define TMB_TOPIC_VOID        "$tombolo/v1/void"
#define TMB_TOPIC_STATS       "$tombolo/v1/stats/plugin"
#define TMB_TOPIC_STATS_SYNCD "$tombolo/v1/stats/syncd"
#define TMB_TOPIC_STATE       "$tombolo/v1/state/"
#define TMB_TOPIC_STATE_MARK  "$tombolo/v1/state/mark"
#define TMB_TOPIC_STATE_PROBE "$tombolo/v1/state/probe"
#define TMB_TOPIC_STATE_ASK   "$tombolo/v1/state/ask"
#define TMB_TOPIC_STATE_TOLD  "$tombolo/v1/state/told/"

/* A commit's payload: this byte, then encoded records (proto/record.h), all of one child's one stream, in
 * order; seq and stamp in them are zero, source (via or origin) and the topic to publish under are set. */
#define TMB_COMMIT_VERSION 1

#endif
