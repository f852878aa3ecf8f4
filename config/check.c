// SPDX-License-Identifier: Apache-2.0
/* config/check.c - values that are right one by one and wrong together.
 *
 * A check looks at the struct for values and at the tree for places. Values that are bad already are left
 * alone: a mistake is told once.
 */
#include "config/values.h"
#include "config/walk.h"

static bool is_good(const tmb_node *node)
{
    return node != NULL && !node->is_bad && node->kind != TMB_NODE_REFUSED;
}

/* The item of the list of streams that became stream index. */
static const tmb_node *stream_node(const tmb_node *root, unsigned index)
{
    const tmb_node *list = tmb_node_child(root, "streams");
    const tmb_node *item = list != NULL ? list->first : NULL;
    while (item != NULL && index-- > 0)
        item = item->next;
    return item;
}

/* The name of the second lane must be free, and must fit. */
static void check_live(const tmb_stream_policy *stream, const tmb_node *node, tmb_report *report)
{
    size_t len = strlen(stream->name), suffix = sizeof TMB_LIVE_SUFFIX - 1;
    if (tmb_policy_is_live_lane(tmb_bytes_str(stream->name)))
        tmb_report_add(report, node->place,
                       "streams[].name: \"%s\" ends in \"" TMB_LIVE_SUFFIX
                       "\", as only the lanes of live_first do; take another name",
                       stream->name);
    else if (stream->live_first && len + suffix > TMB_STREAM_NAME_BYTES_MAX)
        tmb_report_add(report, node->place,
                       "streams[].name: \"%s\" has %zu bytes; with live_first use at most %zu",
                       stream->name, len, TMB_STREAM_NAME_BYTES_MAX - suffix);
}

/* A stream with live_first has two lanes in the link; the ledger's is not among these. */
static void check_lanes(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    unsigned lanes = config->policy.streams_count;
    for (unsigned i = 0; i < config->policy.streams_count; i++)
        lanes += config->policy.streams[i].live_first;
    if (lanes > TMB_STREAMS_NAMED_MAX)
        tmb_report_add(report, tmb_node_child(root, "streams")->key_place,
                       "streams: one with live_first counts as two, which makes %u; use at most %u",
                       lanes, TMB_STREAMS_NAMED_MAX);
    else if (tmb_state_is_on(&config->state) &&
             config->policy.streams_count >= TMB_STREAMS_NAMED_MAX)
        tmb_report_add(report, tmb_node_child(root, "streams")->key_place,
                       "streams: with state.scopes at most %d; put topics together",
                       TMB_STREAMS_NAMED_MAX - 1);
}

static void check_name(const tmb_config *config, const tmb_node *root, unsigned index,
                       tmb_report *report)
{
    const tmb_stream_policy *stream = &config->policy.streams[index];
    const tmb_node *node = tmb_node_child(stream_node(root, index), "name");
    if (is_good(node) && strcmp(stream->name, TMB_LEDGER_STREAM) == 0)
        tmb_report_add(report, node->place,
                       "streams[].name: \"%s\" is the node's own loss ledger; take another name",
                       stream->name);
    else if (is_good(node) && strcmp(stream->name, TMB_STATE_STREAM) == 0)
        tmb_report_add(report, node->place,
                       "streams[].name: \"%s\" is the node's own stream of operations on state; "
                       "take another name",
                       stream->name);
    if (is_good(node))
        check_live(stream, node, report);
    for (unsigned i = 0; i < index && is_good(node); i++) {
        if (strcmp(config->policy.streams[i].name, stream->name) != 0)
            continue;
        const tmb_node *other = tmb_node_child(stream_node(root, i), "name");
        tmb_report_add(
            report, node->place,
            "streams[].name: \"%s\" is the name of the stream in line %u; give each its own",
            stream->name, other != NULL ? other->place.line : 0);
        return;
    }
}

/* The filter of a stream above index that takes all that filter would take; NULL: none. */
static const char *covering_filter(const tmb_policy *policy, unsigned index, const char *filter,
                                   const char **ret_stream)
{
    for (unsigned i = 0; i < index; i++) {
        const tmb_stream_policy *above = &policy->streams[i];
        for (unsigned k = 0; k < above->topics_count; k++) {
            if (tmb_topic_filter_covers(tmb_bytes_str(above->topics[k]), tmb_bytes_str(filter))) {
                *ret_stream = above->name;
                return above->topics[k];
            }
        }
    }
    return NULL;
}

static void check_topics(const tmb_config *config, const tmb_node *root, unsigned index,
                         tmb_report *report)
{
    const tmb_stream_policy *stream = &config->policy.streams[index];
    const tmb_node *node = tmb_node_child(stream_node(root, index), "topics");
    if (!is_good(node))
        return;
    /* A stream without topics may still keep the records of children's streams of its name. */
    if (stream->topics_count == 0 && !config->children_accept)
        tmb_report_add(
            report, node->place,
            "streams[].topics: an empty list takes nothing; name a topic filter, or remove "
            "the stream");
    const tmb_node *item = node->first;
    for (unsigned i = 0; i < stream->topics_count; i++, item = item->next) {
        const char *above = "";
        const char *filter = covering_filter(&config->policy, index, stream->topics[i], &above);
        if (filter == NULL)
            continue;
        tmb_report_add(
            report, item->place,
            "streams[].topics: \"%s\" never gets a message, because \"%s\" of stream \"%s\" "
            "above takes them all; put the narrower stream first",
            tmb_show(item->text, item->text_len).text, tmb_show(filter, strlen(filter)).text,
            above);
    }
}

static void check_tls(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    const tmb_node *parent = tmb_node_child(root, "parent");
    const tmb_node *accept = tmb_node_find(root, "children.accept");
    const tmb_node *scopes = tmb_node_find(root, "state.scopes");
    const char *who = NULL;
    tmb_place place = {1, 1};
    if (tmb_node_child(root, "tls") != NULL)
        return;
    if (parent != NULL) {
        who = "parent";
        place = parent->key_place;
    } else if (is_good(accept) && config->children_accept) {
        who = "children";
        place = accept->key_place;
    } else if (is_good(scopes) && tmb_state_is_on(&config->state)) {
        who = "state";
        place = scopes->key_place;
    }
    if (who != NULL)
        tmb_report_add(report, place,
                       "%s: needs certificates; add tls: { ca_file: ..., cert_file: ..., "
                       "key_file: ... }",
                       who);
}

static void check_children(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    const tmb_node *accept = tmb_node_find(root, "children.accept");
    if (!is_good(accept) || !config->children_accept || tmb_node_child(root, "broker") != NULL)
        return;
    tmb_report_add(
        report, accept->place,
        "children.accept: needs this node's own broker; add broker: { host: 127.0.0.1 }");
}

static bool is_held(const tmb_state_policy *state, const tmb_name_pattern *pattern)
{
    for (unsigned i = 0; i < state->scopes.count; i++)
        if (tmb_name_pattern_covers(&state->scopes.v[i], pattern) ||
            tmb_name_pattern_covers(pattern, &state->scopes.v[i]))
            return true;
    return false;
}

/* What is said about scopes that are not held would never count. */
static void check_patterns(const tmb_state_policy *state, const tmb_node *read_only,
                           const tmb_node *share, tmb_report *report)
{
    static const char cure[] = "is none of state.scopes; add it there, or remove it here";
    const tmb_node *item = is_good(read_only) ? read_only->first : NULL;
    for (unsigned i = 0; i < state->read_only.count && item; i++, item = item->next)
        if (!is_held(state, &state->read_only.v[i]))
            tmb_report_add(report, item->place, "state.read_only: \"%s\" %s",
                           state->read_only.v[i].text, cure);
    for (unsigned i = 0; i < state->shares.count && is_good(share); i++)
        if (!is_held(state, &state->shares.v[i].scope))
            tmb_report_add(report, share->place, "state.share: \"%s\" %s",
                           state->shares.v[i].scope.text, cure);
}

/* Below the root of state nothing may be published but state, whatever a child brings. */
static void check_state(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    const tmb_node *scopes = tmb_node_find(root, "state.scopes");
    const tmb_node *topic = tmb_node_find(root, "children.topic");
    const tmb_state_policy *state = &config->state;
    if (!scopes || is_good(scopes))
        check_patterns(state, tmb_node_find(root, "state.read_only"),
                       tmb_node_find(root, "state.share"), report);
    if (!tmb_state_is_on(state))
        return;
    if (is_good(scopes) && tmb_node_child(root, "broker") == NULL)
        tmb_report_add(report, scopes->place,
                       "state.scopes: values are published at this node's own broker; add "
                       "broker: { host: 127.0.0.1 }");
    size_t len = strlen(state->root);
    if (is_good(topic) && strncmp(config->children_topic, state->root, len) == 0 &&
        config->children_topic[len] == '/')
        tmb_report_add(
            report, topic->place,
            "children.topic: \"%s\" is below the topics of state (state.root: %s), where "
            "nothing of children is published; begin it otherwise",
            tmb_show(config->children_topic, strlen(config->children_topic)).text, state->root);
}

static bool is_same(const tmb_config_endpoint *a, const tmb_config_endpoint *b)
{
    return a->host != NULL && b->host != NULL && strcmp(a->host, b->host) == 0 &&
           a->port == b->port;
}

/* A node that is its own parent would carry its records in a circle. */
static void check_parent(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    const tmb_node *parent = tmb_node_find(root, "parent.host");
    if (!is_good(parent) || config->broker.host == NULL || config->parent.host == NULL)
        return;
    if (strcmp(config->broker.host, config->parent.host) == 0 &&
        config->broker.port == config->parent.port)
        tmb_report_add(report, parent->place,
                       "parent.host: %s and its port are those of this node's own broker; name the "
                       "broker of the node above",
                       config->parent.host);
}

/* The same broker twice in the list would be a turn for nothing; our own one a circle. */
static void check_fallbacks(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    const tmb_node *list = tmb_node_find(root, "parent.fallbacks");
    const tmb_config_endpoints *f = &config->fallbacks;
    if (!is_good(list) || config->parent.host == NULL)
        return;
    const tmb_node *item = list->first;
    for (unsigned i = 0; i < f->count && item != NULL; i++, item = item->next) {
        const char *what = NULL;
        if (f->v[i].host == NULL)
            continue;
        if (is_same(&f->v[i], &config->broker))
            what = "this node's own broker; name the broker of another node";
        else if (is_same(&f->v[i], &config->parent))
            what = "the preferred parent itself; remove it";
        for (unsigned k = 0; k < i && what == NULL; k++) {
            if (is_same(&f->v[i], &f->v[k]))
                what = "in the list already; remove it";
        }
        if (what != NULL)
            tmb_report_add(report, item->place, "parent.fallbacks: %s and its port are %s",
                           f->v[i].host, what);
    }
}

static void check_times(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    const tmb_node *base = tmb_node_find(root, "parent.backoff.base");
    const tmb_node *cap = tmb_node_find(root, "parent.backoff.cap");
    const tmb_node *keepalive = tmb_node_find(root, "parent.keepalive");
    char text[TMB_VALUE_TEXT_MAX];
    const tmb_node *either = base != NULL ? base : cap;
    bool is_known = (base == NULL || is_good(base)) && (cap == NULL || is_good(cap));
    if (either != NULL && is_known && config->backoff_base_ms > config->backoff_cap_ms) {
        tmb_duration_format((uint64_t)config->backoff_cap_ms, text);
        tmb_report_add(report, either->place,
                       "parent.backoff: base is above cap (%s); make base the smaller", text);
    }
    if (is_good(keepalive) && config->keepalive_ms % 1000 != 0)
        tmb_report_add(report, keepalive->place,
                       "parent.keepalive: MQTT counts it in seconds; write whole ones, as in 10s");
}

void tmb_config_check(const tmb_config *config, const tmb_node *root, tmb_report *report)
{
    const tmb_node *streams = tmb_node_child(root, "streams");
    if (streams != NULL && streams->kind == TMB_NODE_LIST) {
        for (unsigned i = 0; i < config->policy.streams_count; i++) {
            check_name(config, root, i, report);
            check_topics(config, root, i, report);
        }
        check_lanes(config, root, report);
    }
    check_tls(config, root, report);
    check_children(config, root, report);
    check_state(config, root, report);
    check_parent(config, root, report);
    check_fallbacks(config, root, report);
    check_times(config, root, report);
}
