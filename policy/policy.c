// SPDX-License-Identifier: Apache-2.0
/* policy/policy.c - the first stream with a matching filter takes the message. */
#include "policy/policy.h"

static bool takes(const tmb_stream_policy *stream, tmb_bytes topic)
{
    for (unsigned i = 0; i < stream->topics_count; i++) {
        if (tmb_topic_matches(tmb_bytes_str(stream->topics[i]), topic))
            return true;
    }
    return false;
}

int tmb_policy_stream_for_topic(const tmb_policy *policy, tmb_bytes topic)
{
    for (unsigned i = 0; i < policy->streams_count; i++) {
        if (takes(&policy->streams[i], topic))
            return (int)i;
    }
    return -1;
}

bool tmb_policy_is_live_lane(tmb_bytes name)
{
    size_t suffix = sizeof TMB_LIVE_SUFFIX - 1;
    return name.len > suffix && memcmp(name.ptr + name.len - suffix, TMB_LIVE_SUFFIX, suffix) == 0;
}

tmb_bytes tmb_policy_stream_of_lane(tmb_bytes name)
{
    if (tmb_policy_is_live_lane(name))
        name.len -= sizeof TMB_LIVE_SUFFIX - 1;
    return name;
}

int tmb_policy_stream_for_child(const tmb_policy *policy, tmb_bytes name)
{
    name = tmb_policy_stream_of_lane(name);
    for (unsigned i = 0; i < policy->streams_count; i++) {
        const tmb_stream_policy *stream = &policy->streams[i];
        if (!stream->is_state && tmb_bytes_eq(tmb_bytes_str(stream->name), name))
            return (int)i;
    }
    for (unsigned i = policy->streams_count; i > 0; i--) {
        if (tmb_policy_is_named(&policy->streams[i - 1]))
            return (int)i - 1;
    }
    return -1;
}

/* A frame costs some 250 bytes both ways, and a batch of one message folds to twice what one of ten does. */
int64_t tmb_policy_linger_ms(const tmb_stream_policy *stream)
{
    static const int64_t of_class[TMB_CLASSES] = {
        [TMB_CLASS_STATE] = 20, [TMB_CLASS_TELEMETRY] = 200, [TMB_CLASS_BULK] = 500};
    return stream->linger_ms > 0 ? stream->linger_ms : of_class[stream->class_];
}

void tmb_policy_add_ledger(tmb_policy *policy)
{
    TMB_ASSERT(policy->streams_count < TMB_STREAMS_MAX);
    policy->streams[policy->streams_count++] =
        (tmb_stream_policy){.name = TMB_LEDGER_STREAM,
                            .durability = TMB_DURABILITY_STRICT,
                            .class_ = TMB_CLASS_STATE,
                            .retention_bytes = TMB_LEDGER_RETENTION_BYTES,
                            .is_ledger = true};
}

void tmb_policy_add_state(tmb_policy *policy)
{
    TMB_ASSERT(policy->streams_count < TMB_STREAMS_MAX);
    policy->streams[policy->streams_count++] =
        (tmb_stream_policy){.name = TMB_STATE_STREAM,
                            .durability = TMB_DURABILITY_STRICT,
                            .class_ = TMB_CLASS_STATE,
                            .retention_bytes = TMB_STATE_RETENTION_BYTES,
                            .is_state = true};
}

int tmb_policy_state_stream(const tmb_policy *policy)
{
    for (unsigned i = 0; i < policy->streams_count; i++) {
        if (policy->streams[i].is_state)
            return (int)i;
    }
    return -1;
}

bool tmb_policy_is_ledger_topic(const char *topic)
{
    static const char ledger[] = TMB_LEDGER_TOPIC;
    for (const char *at = strstr(topic, ledger); at != NULL; at = strstr(at + 1, ledger)) {
        char after = at[sizeof ledger - 1];
        if ((at == topic || at[-1] == '/') && (after == '\0' || after == '/'))
            return true;
    }
    return false;
}

const char *tmb_durability_str(tmb_durability durability)
{
    switch (durability) {
    case TMB_DURABILITY_STRICT:
        return "strict";
    case TMB_DURABILITY_GROUP:
        return "group";
    case TMB_DURABILITY_PROCESS:
        return "process";
    case TMB_DURABILITY_NONE:
        return "none";
    }
    return "unknown";
}

const char *tmb_full_str(tmb_full full)
{
    switch (full) {
    case TMB_FULL_REJECT:
        return "reject";
    case TMB_FULL_DROP_OLDEST:
        return "drop-oldest";
    case TMB_FULL_DROP_NEWEST:
        return "drop-newest";
    }
    return "unknown";
}
