// SPDX-License-Identifier: Apache-2.0
/* base/limits.h - every maximum that is not a setting, in one place.
 *
 * What happens at each limit is said beside it. Settings with a default are in config/config.h.
 */
#ifndef TMB_BASE_LIMITS_H
#define TMB_BASE_LIMITS_H

#include <stdint.h>

/* A node or domain name: [a-z0-9][a-z0-9._-]*. Longer: refused by the configuration and by HELLO. */
#define TMB_NAME_BYTES_MAX 63
/* A stream name, same alphabet. Longer: refused by the configuration. */
#define TMB_STREAM_NAME_BYTES_MAX 31
/* What the live lane of a live_first stream is called behind the stream's name; no stream's own name ends so.
 * A name that leaves no room for it, with live_first: refused by the configuration. */
#define TMB_LIVE_SUFFIX ".live"
/* Streams of one node. More: refused by the configuration, in which one less can be named: one is the loss
 * ledger's; with state two less. One with live_first counts twice. */
#define TMB_STREAMS_MAX       32
#define TMB_STREAMS_NAMED_MAX (TMB_STREAMS_MAX - 1)
/* What is kept of the loss ledger, beyond the segment that is written: the oldest entries go, and if the
 * parent has them not, that is an entry too. */
#define TMB_LEDGER_RETENTION_BYTES (16 * 1024 * 1024)
/* What is kept of the operations on state, beyond the segment that is written: applied ones are of no more
 * use, so it is how long syncd may be away. One that goes before it was applied is missed, and syncd says
 * so. */
#define TMB_STATE_RETENTION_BYTES (1024 * 1024 * 1024)
/* A sequence number, 2^63 - 1, so that adding one never wraps. Larger ones in a frame: malformed. */
#define TMB_SEQ_MAX UINT64_C(0x7fffffffffffffff)
/* Topic filters of one stream. More: refused by the configuration. */
#define TMB_STREAM_TOPICS_MAX 64
/* Topic of one record (MQTT's own limit is 65,535). */
#define TMB_TOPIC_BYTES_MAX 65535
/* Client id kept with a record. Longer: the record keeps the first bytes up to this limit. */
#define TMB_PUBLISHER_BYTES_MAX 255
/* Name of a publisher's run in its number (user property tombolo-seq). Longer: not taken as a number. */
#define TMB_RUN_BYTES_MAX 64
/* MQTT 5 properties of one record, encoded. More: the message is refused like a full disk. */
#define TMB_PROPS_BYTES_MAX (256 * 1024)
/* One record, encoded. A larger one is malformed. */
#define TMB_RECORD_BYTES_MAX (17 * 1024 * 1024)
/* Record and topic of a message that a client publishes at this node: less, since a record grows on its way
 * up, by its origin and by what the parents put before its topic. Larger: refused like a full disk, by reason
 * code for MQTT 5, by disconnect for 3.1.1. */
#define TMB_BIRTH_RECORD_BYTES_MAX (16 * 1024 * 1024)
#define TMB_BIRTH_TOPIC_BYTES_MAX  60000
/* Records of one batch. More: the rest goes into the next batch. */
#define TMB_BATCH_RECORDS_MAX 4096
/* Raw bytes of a batch, unless its one record is larger. */
#define TMB_BATCH_BYTES_DEFAULT (256 * 1024)
/* Raw bytes that a batch may unpack to. More: the frame is malformed. */
#define TMB_BATCH_BYTES_MAX (TMB_RECORD_BYTES_MAX + TMB_BATCH_BYTES_DEFAULT)
/* Raw bytes of a batch that is folded. Larger ones are not; a frame that says it is: malformed. */
#define TMB_FOLD_BYTES_MAX (2 * 1024 * 1024)
/* One frame on the link. Larger: malformed. */
#define TMB_FRAME_BYTES_MAX (TMB_BATCH_BYTES_MAX + 4096)
/* A dictionary that batches of a stream are compressed with. Larger: malformed. */
#define TMB_DICTIONARY_BYTES_MAX (64 * 1024)
/* Leaves of one frame, unpacked: room for the largest single leaf (64 concurrent values of 64 KiB). Larger:
 * malformed. */
#define TMB_LEAVES_BYTES_MAX (4 * 1024 * 1024 + 128 * 1024)
/* What the leaves of a frame are, unless there is only one, and what a RANGES carries. More goes into the
 * next one; a longer RANGES is malformed. */
#define TMB_LEAVES_BYTES_DEFAULT (64 * 1024)
#define TMB_RANGES_BYTES_MAX     (64 * 1024)
/* Text of a BYE. Longer: malformed. */
#define TMB_BYE_TEXT_BYTES_MAX 255
/* Batches sent and not yet acknowledged, all streams of a session together. At the limit nothing more
 * is loaded. */
#define TMB_INFLIGHT_BATCHES_MAX 8
/* Fall-back parents of one node. More: refused by the configuration. */
#define TMB_FALLBACKS_MAX 4
/* Children of one node. More: a HELLO is refused with TMB_BYE_LIMIT. */
#define TMB_CHILDREN_MAX 4096
/* In how long a parent's children should come back, as it says: one that says less or more is taken for
 * this. */
#define TMB_WINDOW_MS_MIN 100
#define TMB_WINDOW_MS_MAX 3600000
/* How long one that is refused is told to wait; the same. */
#define TMB_SLOT_MS_MIN 100
#define TMB_SLOT_MS_MAX 3600000
/* Frames a second of one child, over two seconds. A healthy session stays far below: above, the parent's
 * broker closes the connection and counts it, so that one site cannot keep the others waiting. */
#define TMB_SITE_FRAMES_PER_S_MAX 2000
/* Numbers that the plugin remembers: of each run of a numbered publisher, in each stream; of each stream and
 * life (incarnation) of a child. At the limit whoever has the most loses his oldest, counted. */
#define TMB_SEEN_PUBLISHERS_MAX 65536
#define TMB_SEEN_CHILDREN_MAX   (TMB_CHILDREN_MAX * TMB_STREAMS_MAX)
/* Streams of nodes anywhere below whose records are here, whatever road they came. As above; those of one
 * that was forgotten, should another parent bring them again, are here twice. */
#define TMB_SEEN_ORIGINS_MAX TMB_SEEN_CHILDREN_MAX
/* Those of one client id, or one child: two for each stream. One more: its own oldest is forgotten and
 * counted. */
#define TMB_SEEN_RUNS_MAX (2 * TMB_STREAMS_MAX)

#endif
