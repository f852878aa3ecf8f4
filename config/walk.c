// SPDX-License-Identifier: Apache-2.0
/* config/walk.c - the table of keys laid over the tree.
 *
 *   walk_section("")                every child of the root: is there a path for it in the table?
 *     key       -> tmb_config_set
 *     section   -> walk_section("parent")
 *     sections  -> walk_streams, one walk_section("streams[]") an item
 *     unknown   -> a sentence with the nearest word
 */
#include "config/walk.h"

#include <stdio.h>

#include "config/set.h"
#include "config/suggest.h"

typedef struct walk {
    tmb_config *config;
    const char *folder;
    tmb_report *report;
} walk;

static tmb_err walk_section(const walk *w, const char *section, void *base, tmb_node *mapping);

/* A default goes the same way as a text of the file, so that none can be out of its own range. */
static tmb_err set_default(const tmb_config_key *key, void *base)
{
    char text[64];
    tmb_report report = {0};
    if (key->default_text == NULL)
        return TMB_OK;
    snprintf(text, sizeof text, "%s", key->default_text);
    tmb_node node = {.kind = TMB_NODE_TEXT, .text = text, .text_len = strlen(text)};
    tmb_err err = tmb_config_set(key, base, &node, "/", &report);
    TMB_ASSERT(err == TMB_OK || err == TMB_ENOMEM);
    return err;
}

static tmb_err set_defaults_of(void *base, bool in_stream)
{
    tmb_err err = TMB_OK;
    for (size_t i = 0; i < TMB_CONFIG_KEYS && err == TMB_OK; i++) {
        if (tmb_config_in_stream(&tmb_config_keys[i]) == in_stream)
            err = set_default(&tmb_config_keys[i], base);
    }
    return err;
}

tmb_err tmb_config_set_defaults(tmb_config *config)
{
    return set_defaults_of(config, false);
}

static void tell_unknown(const walk *w, const char *section, const tmb_node *node)
{
    char names[TMB_CONFIG_CHILDREN_MAX][32];
    const char *candidates[TMB_CONFIG_CHILDREN_MAX];
    char home[TMB_CONFIG_PATH_MAX];
    char list[256] = "";
    size_t count = tmb_config_children(section, names);
    for (size_t i = 0; i < count; i++) {
        candidates[i] = names[i];
        size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    tmb_shown shown = tmb_show(node->key, strlen(node->key));
    const char *near = tmb_suggest(node->key, candidates, count);
    if (near != NULL)
        tmb_report_add(w->report, node->key_place, "unknown key \"%s\", did you mean \"%s\"?",
                       shown.text, near);
    else if (tmb_config_home(node->key, home) != NULL)
        tmb_report_add(w->report, node->key_place, "unknown key \"%s\" here; move it to \"%s\"",
                       shown.text, home);
    else
        tmb_report_add(w->report, node->key_place, "unknown key \"%s\"; the keys here are %s",
                       shown.text, list);
}

/* Whether an earlier child of mapping has the key of node, which is told. */
static bool is_repeated(const walk *w, const tmb_node *mapping, const tmb_node *node)
{
    const tmb_node *first = tmb_node_child(mapping, node->key);
    if (first == node)
        return false;
    tmb_report_add(w->report, node->key_place, "duplicate key \"%s\", first in line %u; keep one",
                   tmb_show(node->key, strlen(node->key)).text, first->key_place.line);
    return true;
}

static tmb_err walk_stream(const walk *w, tmb_node *item)
{
    tmb_policy *policy = &w->config->policy;
    if (policy->streams_count == TMB_STREAMS_NAMED_MAX) {
        tmb_report_add(w->report, item->place, "streams: more than %d; put topics together",
                       TMB_STREAMS_NAMED_MAX);
        return TMB_ECONFIG;
    }
    /* Counted first: what a stream holds when memory runs out is freed with the others. */
    tmb_stream_policy *stream = &policy->streams[policy->streams_count++];
    tmb_err err = set_defaults_of(stream, true);
    return err == TMB_OK ? walk_section(w, "streams[]", stream, item) : err;
}

static tmb_err walk_streams(const walk *w, tmb_node *list)
{
    static const char wanted[] =
        "a list of streams such as [ { name: alarms, topics: [ \"alarm/#\" ] } ]";
    if (list->kind != TMB_NODE_LIST) {
        tmb_config_tell_kind("streams", wanted, list, w->report);
        return TMB_OK;
    }
    if (list->first == NULL)
        tmb_report_add(
            w->report, list->place,
            "streams: an empty list; name a stream, or remove the key for one that takes "
            "every topic");
    tmb_err err = TMB_OK;
    for (tmb_node *item = list->first; item != NULL && err == TMB_OK; item = item->next)
        err = walk_stream(w, item);
    return err == TMB_ENOMEM ? err : TMB_OK;
}

static tmb_err walk_child(const walk *w, const char *section, void *base, tmb_node *node)
{
    char path[TMB_CONFIG_PATH_MAX];
    const tmb_config_key *key = NULL;
    tmb_config_place place = TMB_CONFIG_UNKNOWN;
    if (tmb_config_path_join(section, node->key, path))
        place = tmb_config_look_up(path, &key);
    switch (place) {
    case TMB_CONFIG_KEY: {
        tmb_err err = tmb_config_set(key, base, node, w->folder, w->report);
        return err == TMB_ENOMEM ? err : TMB_OK;
    }
    case TMB_CONFIG_SECTION:
        return walk_section(w, path, base, node);
    case TMB_CONFIG_SECTIONS:
        return walk_streams(w, node);
    case TMB_CONFIG_UNKNOWN:
        tell_unknown(w, section, node);
        break;
    }
    return TMB_OK;
}

/* The required keys that stand directly in section and are not in mapping. */
static void tell_missing(const walk *w, const char *section, const tmb_node *mapping)
{
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        const char *last = tmb_config_last(key->path);
        size_t section_len = last > key->path ? (size_t)(last - key->path - 1) : 0;
        if (!key->is_required || section_len != strlen(section) ||
            strncmp(key->path, section, section_len) != 0 || tmb_node_child(mapping, last) != NULL)
            continue;
        tmb_report_add(w->report, mapping->place, "missing key \"%s\"; add it, as in %s", key->path,
                       key->example);
    }
}

/* base: the struct that the keys of this section have their fields in. */
static tmb_err walk_section(const walk *w, const char *section, void *base, tmb_node *mapping)
{
    if (mapping->kind != TMB_NODE_MAPPING) {
        char names[TMB_CONFIG_CHILDREN_MAX][32];
        char wanted[80];
        tmb_config_children(section, names);
        snprintf(wanted, sizeof wanted, "keys with values such as { %s: ... }", names[0]);
        tmb_config_tell_kind(section[0] != '\0' ? section : "the file", wanted, mapping, w->report);
        return TMB_OK;
    }
    tmb_err err = TMB_OK;
    for (tmb_node *node = mapping->first; node != NULL && err == TMB_OK; node = node->next) {
        if (node->key != NULL && !is_repeated(w, mapping, node))
            err = walk_child(w, section, base, node);
    }
    if (err == TMB_OK)
        tell_missing(w, section, mapping);
    return err;
}

tmb_err tmb_config_walk(tmb_config *config, tmb_node *root, const char *folder, tmb_report *report)
{
    walk w = {config, folder, report};
    tmb_err err = walk_section(&w, "", config, root);
    if (err != TMB_OK || config->policy.streams_count > 0)
        return err;
    /* Nobody named a stream: one takes everything. */
    tmb_stream_policy *stream = &config->policy.streams[config->policy.streams_count++];
    char hash[] = "#";
    tmb_node filter = {.kind = TMB_NODE_TEXT, .text = hash, .text_len = 1};
    tmb_node list = {.kind = TMB_NODE_LIST, .first = &filter};
    memcpy(stream->name, "default", sizeof "default");
    err = set_defaults_of(stream, true);
    return err == TMB_OK ? tmb_config_set_topics(stream, &list, report) : err;
}
