// SPDX-License-Identifier: Apache-2.0
/* policy/policy.h - which stream a topic belongs to, and what that stream promises.
 *
 * Streams are tried in the order of the configuration; the first with a filter that matches takes the
 * message. Topics that begin with `$` match no wildcard at their first level (MQTT 5, section 4.7.2).
 * Threads: any, read only. Cost: a walk over the filters; no allocation.
 */
#ifndef TMB_POLICY_POLICY_H
#define TMB_POLICY_POLICY_H

#include "base/bytes.h"
#include "base/class.h"
#include "base/err.h"
#include "base/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tmb_durability {
    TMB_DURABILITY_STRICT = 0, /* on the disk before the ack: survives power loss */
    TMB_DURABILITY_GROUP,      /* likewise; many acks wait for one sync */
    TMB_DURABILITY_PROCESS,    /* outlives the broker before the ack: survives kill -9 */
    TMB_DURABILITY_NONE        /* in the log within a tenth of a second; no promise */
} tmb_durability;

/* What becomes of a message when the disk has no room for it. */
typedef enum tmb_full {
    TMB_FULL_REJECT = 0,  /* it is refused: no ack */
    TMB_FULL_DROP_OLDEST, /* the oldest closed segments of its stream make room */
    TMB_FULL_DROP_NEWEST  /* it is delivered and acked here, and not stored */
} tmb_full;

/* The stream that every node has besides those of its configuration: what was shed, damaged or is missing,
 * an entry a range. It travels up like any other. */
#define TMB_LEDGER_STREAM "loss"
#define TMB_LEDGER_TOPIC  "tombolo/loss"

/* And the one of a node with state: the operations that its clients asked for. It stays here. */
#define TMB_STATE_STREAM "state"

typedef struct tmb_stream_policy {
    char name[TMB_STREAM_NAME_BYTES_MAX + 1];
    char **topics; /* MQTT topic filters, topics_count of them */
    unsigned topics_count;
    tmb_durability durability; /* for QoS 1 and 2; QoS 0 is always TMB_DURABILITY_NONE */
    uint64_t retention_bytes;  /* 0: no limit */
    int64_t retention_ms;      /* 0: no limit */
    tmb_full full;
    tmb_class class_;  /* which lanes of the link go before it, and which after */
    int64_t linger_ms; /* what comes within it goes up together; 0: as tmb_policy_linger_ms says */
    bool live_first;   /* after an outage what is new goes up before what waited */
    bool mark;         /* each stored message is delivered with its number, in a user property */
    bool is_ledger;    /* the loss ledger: in no configuration, written by the plugin alone */
    bool is_state;     /* operations on state: in no configuration, and in no session */
} tmb_stream_policy;

typedef struct tmb_policy {
    tmb_stream_policy streams[TMB_STREAMS_MAX];
    unsigned streams_count;
} tmb_policy;

/* tmb_policy_stream_for_topic gives the index of the stream that takes topic, or -1: not captured. */
int tmb_policy_stream_for_topic(const tmb_policy *policy, tmb_bytes topic);

/* tmb_policy_is_live_lane: by its name. */
bool tmb_policy_is_live_lane(tmb_bytes name);

/* tmb_policy_stream_of_lane gives the stream's name of a lane in the link: without the suffix of a live
 * one. */
tmb_bytes tmb_policy_stream_of_lane(tmb_bytes name);

/* tmb_policy_stream_for_child gives the stream in which records of a child's stream called name are kept:
 * the one of the same name (a live lane's without its suffix), else the last of the configuration. -1 when
 * there are none. Never that of state, whose operations are a node's own. */
int tmb_policy_stream_for_child(const tmb_policy *policy, tmb_bytes name);

/* tmb_policy_linger_ms gives how long a record may wait for those behind it before they go up together:
 * linger_ms, or what suits the class. 0: not at all. */
int64_t tmb_policy_linger_ms(const tmb_stream_policy *stream);

/* tmb_policy_add_ledger puts the ledger behind the other streams, of which there are at most
 * TMB_STREAMS_NAMED_MAX. */
void tmb_policy_add_ledger(tmb_policy *policy);

/* tmb_policy_add_state puts the stream of operations behind the others, before the ledger comes. */
void tmb_policy_add_state(tmb_policy *policy);

/* tmb_policy_state_stream gives its index, or -1: this node has no state. */
int tmb_policy_state_stream(const tmb_policy *policy);

/* tmb_policy_is_named says whether a stream is one of the configuration. */
static inline bool tmb_policy_is_named(const tmb_stream_policy *stream)
{
    return !stream->is_ledger && !stream->is_state;
}

/* tmb_policy_is_ledger_topic says whether topic could be taken for a ledger's, here or of a node below. */
bool tmb_policy_is_ledger_topic(const char *topic);

/* tmb_topic_matches says whether topic matches the MQTT filter; the filter must be valid. */
bool tmb_topic_matches(tmb_bytes filter, tmb_bytes topic);

/* tmb_topic_filter_covers says whether outer matches every topic that inner matches; both must be valid. */
bool tmb_topic_filter_covers(tmb_bytes outer, tmb_bytes inner);

/* tmb_topic_filter_is_valid, tmb_topic_is_valid: after MQTT 5, section 4.7 (UTF-8, no NUL, wildcards only
 * where allowed, 1 to TMB_TOPIC_BYTES_MAX bytes). */
bool tmb_topic_filter_is_valid(tmb_bytes filter);
bool tmb_topic_is_valid(tmb_bytes topic);

const char *tmb_durability_str(tmb_durability durability);
const char *tmb_full_str(tmb_full full);

#ifdef __cplusplus
}
#endif
#endif
