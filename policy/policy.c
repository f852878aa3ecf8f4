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

int tmb_policy_stream_for_child(const tmb_policy *policy, tmb_bytes name)
{
    for (unsigned i = 0; i < policy->streams_count; i++) {
        if (tmb_bytes_eq(tmb_bytes_str(policy->streams[i].name), name))
            return (int)i;
    }
    return (int)policy->streams_count - 1;
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
