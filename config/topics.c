// SPDX-License-Identifier: Apache-2.0
/* config/topics.c - the topic filters of a stream, and the template of a child's topics. */
#include <stdlib.h>

#include "config/set.h"
#include "config/suggest.h"

#define TEMPLATE_BYTES_MAX 1024

static const char topics_path[] = "streams[].topics";

static bool filter_is_right(tmb_node *node, tmb_report *report)
{
    if (node->kind == TMB_NODE_NOTHING) {
        tmb_report_add(
            report, node->place,
            "%s: an empty topic filter; put \"#\" in quotes, or YAML takes it for a comment",
            topics_path);
        return false;
    }
    if (node->kind != TMB_NODE_TEXT) {
        tmb_config_tell_kind(topics_path, "a topic filter in quotes such as \"alarm/#\"", node,
                             report);
        return false;
    }
    tmb_shown shown = tmb_show(node->text, node->text_len);
    if (!tmb_topic_filter_is_valid(tmb_bytes_of(node->text, node->text_len))) {
        tmb_report_add(
            report, node->place,
            "%s: \"%s\" is not a topic filter; \"+\" and \"#\" stand alone in their level, "
            "\"#\" in the last, and the whole has 1 to %d bytes",
            topics_path, shown.text, TMB_TOPIC_BYTES_MAX);
        return false;
    }
    if (node->text[0] == '$') {
        tmb_report_add(report, node->place,
                       "%s: \"%s\" takes nothing; topics that begin with \"$\" are never captured, "
                       "remove it",
                       topics_path, shown.text);
        return false;
    }
    return true;
}

static unsigned count_items(const tmb_node *list)
{
    unsigned count = 0;
    for (const tmb_node *item = list->first; item != NULL; item = item->next)
        count++;
    return count;
}

void tmb_config_free_topics(tmb_stream_policy *stream)
{
    for (unsigned i = 0; i < stream->topics_count; i++)
        free(stream->topics[i]);
    free(stream->topics);
    stream->topics = NULL;
    stream->topics_count = 0;
}

tmb_err tmb_config_set_topics(tmb_stream_policy *stream, tmb_node *node, tmb_report *report)
{
    if (node->kind != TMB_NODE_LIST) {
        tmb_config_tell_kind(topics_path, tmb_config_type_str(TMB_CONFIG_FILTERS), node, report);
        return TMB_ECONFIG;
    }
    unsigned count = count_items(node);
    if (count > TMB_STREAM_TOPICS_MAX) {
        tmb_report_add(report, node->place,
                       "%s: %u topic filters; one stream has at most %d, make two streams of it",
                       topics_path, count, TMB_STREAM_TOPICS_MAX);
        node->is_bad = true;
    }
    for (tmb_node *item = node->first; item != NULL; item = item->next) {
        item->is_bad = !filter_is_right(item, report);
        node->is_bad = node->is_bad || item->is_bad;
    }
    if (node->is_bad)
        return TMB_ECONFIG;
    if (count == 0)
        return TMB_OK;

    stream->topics = calloc(count, sizeof *stream->topics);
    if (stream->topics == NULL)
        return TMB_ENOMEM;
    for (const tmb_node *item = node->first; item != NULL; item = item->next) {
        char *copy = tmb_config_copy(item->text, item->text_len);
        if (copy == NULL)
            return TMB_ENOMEM;
        stream->topics[stream->topics_count++] = copy;
    }
    return TMB_OK;
}

static void tell_placeholder(const char *path, const tmb_node *node, const char *name, size_t len,
                             tmb_report *report)
{
    static const char *const names[] = {"site", "topic", "stream"};
    tmb_shown shown = tmb_show(name, len);
    const char *near = tmb_suggest(shown.text, names, 3);
    tmb_report_add(report, node->place, "%s: unknown placeholder \"{%s}\"%s%s%s", path, shown.text,
                   near != NULL ? ", did you mean \"{" : "; use {site}, {topic} or {stream}",
                   near != NULL ? near : "", near != NULL ? "}\"?" : "");
}

/* Walks the placeholders; says whether all are known and {topic} is among them. */
static bool placeholders_are_right(const char *path, const tmb_node *node, tmb_report *report)
{
    bool has_topic = false;
    bool right = true;
    for (const char *at = strpbrk(node->text, "{}"); at != NULL; at = strpbrk(at, "{}")) {
        size_t len = strcspn(at + 1, "{}");
        if (*at == '}' || at[1 + len] != '}') {
            tmb_report_add(report, node->place,
                           "%s: a \"%c\" without its partner in \"%s\"; write {site}, {topic} or "
                           "{stream}",
                           path, *at, tmb_show(node->text, node->text_len).text);
            return false;
        }
        bool is_topic = len == 5 && strncmp(at + 1, "topic", 5) == 0;
        if (!is_topic && !(len == 4 && strncmp(at + 1, "site", 4) == 0) &&
            !(len == 6 && strncmp(at + 1, "stream", 6) == 0)) {
            tell_placeholder(path, node, at + 1, len, report);
            right = false;
        }
        has_topic = has_topic || is_topic;
        at += len + 2;
    }
    if (right && !has_topic) {
        tmb_report_add(
            report, node->place,
            "%s: \"%s\" lacks {topic}, so all topics of a child would become one; add it, "
            "as in \"{site}/{topic}\"",
            path, tmb_show(node->text, node->text_len).text);
        return false;
    }
    return right;
}

bool tmb_config_template_is_right(const char *path, tmb_node *node, tmb_report *report)
{
    const char *text = node->text;
    tmb_shown shown = tmb_show(text, node->text_len);
    if (node->text_len > TEMPLATE_BYTES_MAX) {
        tmb_report_add(report, node->place, "%s: %zu bytes are too many; use at most %d", path,
                       node->text_len, TEMPLATE_BYTES_MAX);
        return false;
    }
    if (node->text_len > 0 && (text[0] == '$' || strpbrk(text, "+#") != NULL)) {
        tmb_report_add(report, node->place,
                       "%s: \"%s\" gives no topic that can be published; remove \"%c\"", path,
                       shown.text, text[0] == '$' ? '$' : *strpbrk(text, "+#"));
        return false;
    }
    return placeholders_are_right(path, node, report);
}
