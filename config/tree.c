// SPDX-License-Identifier: Apache-2.0
/* config/tree.c - libyaml's events into a tree.
 *
 * Events and not libyaml's documents, because a document has forgotten the anchors and follows the aliases.
 *
 *   text -> tmb_text_check -> one document -> build_node, which calls itself a level deeper
 *
 * Mistakes that leave the structure readable (an anchor, a tag) are told and passed; syntax stops the
 * reading, for everything behind it would be guesswork.
 */
#include "config/tree.h"

#include <stdlib.h>
#include <yaml.h>

#include "config/text.h"

typedef struct builder {
    yaml_parser_t parser;
    tmb_bytes text; /* what the parser reads */
    tmb_report *report;
    tmb_tree *tree;
    tmb_err err; /* TMB_ECONFIG: told, stop */
} builder;

static tmb_node *build_node(builder *b, const yaml_event_t *event, unsigned depth);

static tmb_place place_of(yaml_mark_t mark)
{
    tmb_place place = {(unsigned)mark.line + 1, (unsigned)mark.column + 1};
    return place;
}

static void stop(builder *b, tmb_err err)
{
    if (b->err == TMB_OK)
        b->err = err;
}

/* Tells why the parser stopped. */
static void tell_syntax(builder *b)
{
    const yaml_parser_t *parser = &b->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        stop(b, TMB_ENOMEM);
        return;
    }
    tmb_place place = place_of(parser->problem_mark);
    if (parser->error == YAML_READER_ERROR)
        place = tmb_text_place(b->text, parser->problem_offset);
    const char *problem = parser->problem != NULL ? parser->problem : "unreadable";
    static const char cure[] = "indent with spaces, and put values with { } [ ] # : in quotes";
    if (parser->context != NULL && parser->context_mark.line != parser->problem_mark.line)
        tmb_report_add(b->report, place, "not YAML: %s, %s that began in line %u; %s", problem,
                       parser->context, place_of(parser->context_mark).line, cure);
    else
        tmb_report_add(b->report, place, "not YAML: %s; %s", problem, cure);
    stop(b, TMB_ECONFIG);
}

/* Gives the next event, to be deleted by the caller; false when the reading has stopped. */
static bool next_event(builder *b, yaml_event_t *ret_event)
{
    if (b->err != TMB_OK)
        return false;
    if (!yaml_parser_parse(&b->parser, ret_event)) {
        tell_syntax(b);
        return false;
    }
    return true;
}

static tmb_node *new_node(builder *b, tmb_node_kind kind, yaml_mark_t mark)
{
    if (b->tree->nodes_count == TMB_TREE_NODES_MAX) {
        tmb_report_add(b->report, place_of(mark), "more than %d values; this is no configuration",
                       TMB_TREE_NODES_MAX);
        stop(b, TMB_ECONFIG);
        return NULL;
    }
    tmb_node *node = calloc(1, sizeof *node);
    if (node == NULL) {
        stop(b, TMB_ENOMEM);
        return NULL;
    }
    node->kind = kind;
    node->place = place_of(mark);
    node->older = b->tree->newest;
    b->tree->newest = node;
    b->tree->nodes_count++;
    return node;
}

/* Copies a text; NULL when it is refused or memory ran out. */
static char *take_text(builder *b, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(text, '\0', len) != NULL) {
        tmb_report_add(b->report, place_of(event->start_mark),
                       "a NUL character in a text; remove the \"\\0\"");
        return NULL;
    }
    char *copy = malloc(len + 1);
    if (copy == NULL) {
        stop(b, TMB_ENOMEM);
        return NULL;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static bool is_nothing(const yaml_event_t *event)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
            return true;
    }
    return false;
}

static tmb_node *build_text(builder *b, const yaml_event_t *event)
{
    bool nothing = is_nothing(event);
    tmb_node *node = new_node(b, nothing ? TMB_NODE_NOTHING : TMB_NODE_TEXT, event->start_mark);
    if (node == NULL || nothing)
        return node;
    node->text = take_text(b, event);
    node->text_len = event->data.scalar.length;
    if (node->text == NULL)
        node->kind = TMB_NODE_REFUSED;
    return node;
}

static void tell_anchor_and_tag(builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
                                const yaml_char_t *tag)
{
    if (anchor != NULL) {
        const char *text = (const char *)anchor;
        tmb_report_add(b->report, place_of(event->start_mark),
                       "anchor \"&%s\": anchors are not read; write the value where it is used",
                       tmb_show(text, strlen(text)).text);
    }
    if (tag != NULL) {
        const char *text = (const char *)tag;
        tmb_report_add(b->report, place_of(event->start_mark),
                       "tag \"%s\": tags are not read; remove it",
                       tmb_show(text, strlen(text)).text);
    }
}

/* Reads one key into ret_key (NULL: refused and told); false when the reading has stopped. */
static bool build_key(builder *b, const yaml_event_t *event, unsigned depth, char **ret_key)
{
    *ret_key = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        tell_anchor_and_tag(b, event, event->data.scalar.anchor, event->data.scalar.tag);
        *ret_key = take_text(b, event);
        return b->err == TMB_OK;
    }
    if (event->type != YAML_ALIAS_EVENT)
        tmb_report_add(b->report, place_of(event->start_mark),
                       "a key that is a mapping or a list; write a plain word, and put values with "
                       "{ } in quotes");
    return build_node(b, event, depth) != NULL;
}

static void append(tmb_node *parent, tmb_node **last, tmb_node *child)
{
    if (*last == NULL)
        parent->first = child;
    else
        (*last)->next = child;
    *last = child;
}

/* The next value of parent, behind its key in a mapping. False at the end, and when the reading stopped. */
static bool build_child(builder *b, tmb_node *parent, tmb_node **last, unsigned depth)
{
    yaml_event_t event;
    if (!next_event(b, &event))
        return false;
    bool is_end = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
    char *key = NULL;
    tmb_place key_place = place_of(event.start_mark);
    bool go_on = !is_end;
    if (go_on && parent->kind == TMB_NODE_MAPPING) {
        go_on = build_key(b, &event, depth, &key);
        yaml_event_delete(&event);
        if (!go_on || !next_event(b, &event)) {
            free(key);
            return false;
        }
    }
    tmb_node *child = go_on ? build_node(b, &event, depth) : NULL;
    yaml_event_delete(&event);
    if (child == NULL) {
        free(key);
        return false;
    }
    child->key = key;
    child->key_place = key_place;
    append(parent, last, child);
    return true;
}

static tmb_node *build_children(builder *b, tmb_node_kind kind, const yaml_event_t *event,
                                unsigned depth)
{
    if (depth == TMB_TREE_DEPTH_MAX) {
        tmb_report_add(b->report, place_of(event->start_mark),
                       "more than %d levels deep; no key of a configuration is",
                       TMB_TREE_DEPTH_MAX);
        stop(b, TMB_ECONFIG);
        return NULL;
    }
    tmb_node *node = new_node(b, kind, event->start_mark);
    tmb_node *last = NULL;
    while (node != NULL && build_child(b, node, &last, depth + 1))
        continue;
    return b->err == TMB_OK ? node : NULL;
}

/* The value that begins with event; NULL when the reading has stopped. */
static tmb_node *build_node(builder *b, const yaml_event_t *event, unsigned depth)
{
    if (event->type == YAML_SCALAR_EVENT) {
        tell_anchor_and_tag(b, event, event->data.scalar.anchor, event->data.scalar.tag);
        return build_text(b, event);
    }
    if (event->type == YAML_MAPPING_START_EVENT) {
        tell_anchor_and_tag(b, event, event->data.mapping_start.anchor,
                            event->data.mapping_start.tag);
        return build_children(b, TMB_NODE_MAPPING, event, depth);
    }
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        tell_anchor_and_tag(b, event, event->data.sequence_start.anchor,
                            event->data.sequence_start.tag);
        return build_children(b, TMB_NODE_LIST, event, depth);
    }
    TMB_ASSERT(event->type == YAML_ALIAS_EVENT);
    const char *name = (const char *)event->data.alias.anchor;
    tmb_report_add(b->report, place_of(event->start_mark),
                   "alias \"*%s\": aliases are not read; write the value itself, or quote it if it "
                   "begins with \"*\"",
                   tmb_show(name, strlen(name)).text);
    return new_node(b, TMB_NODE_REFUSED, event->start_mark);
}

/* The stream of events around the document: its start, the root, its end, and nothing more. */
static void build_document(builder *b)
{
    unsigned documents = 0;
    bool is_end = false;
    while (!is_end) {
        yaml_event_t event;
        if (!next_event(b, &event))
            return;
        is_end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && ++documents == 2) {
            tmb_report_add(b->report, place_of(event.start_mark),
                           "a second document begins; one file holds one node: remove the \"---\"");
            is_end = true;
        }
        if (event.type == YAML_SCALAR_EVENT || event.type == YAML_MAPPING_START_EVENT ||
            event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_ALIAS_EVENT)
            b->tree->root = build_node(b, &event, 0);
        yaml_event_delete(&event);
    }
}

tmb_err tmb_tree_parse(const char *text, size_t len, tmb_report *report, tmb_tree *ret_tree)
{
    *ret_tree = (tmb_tree){0};
    if (len > TMB_TREE_BYTES_MAX) {
        tmb_report_add(report, (tmb_place){1, 1}, "larger than %d bytes; this is no configuration",
                       TMB_TREE_BYTES_MAX);
        return TMB_OK;
    }
    /* A byte order mark says nothing here. */
    size_t skip = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    builder b = {.report = report, .tree = ret_tree};
    b.text = len > skip ? tmb_bytes_of(text + skip, len - skip) : tmb_bytes_of("", 0);
    if (!tmb_text_check(b.text, report))
        return TMB_OK;
    if (!yaml_parser_initialize(&b.parser))
        return TMB_ENOMEM;
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, b.text.ptr, b.text.len);
    build_document(&b);
    yaml_parser_delete(&b.parser);
    if (b.err != TMB_OK)
        ret_tree->root = NULL;
    return b.err == TMB_ENOMEM ? TMB_ENOMEM : TMB_OK;
}

void tmb_tree_clear(tmb_tree *tree)
{
    while (tree->newest != NULL) {
        tmb_node *node = tree->newest;
        tree->newest = node->older;
        free(node->text);
        free(node->key);
        free(node);
    }
    *tree = (tmb_tree){0};
}

tmb_node *tmb_node_child(const tmb_node *mapping, const char *key)
{
    tmb_node *child = mapping != NULL ? mapping->first : NULL;
    while (child != NULL && (child->key == NULL || strcmp(child->key, key) != 0))
        child = child->next;
    return child;
}

tmb_node *tmb_node_find(const tmb_node *mapping, const char *path)
{
    char step[32];
    for (;;) {
        size_t len = strcspn(path, ".");
        TMB_ASSERT(len < sizeof step);
        memcpy(step, path, len);
        step[len] = '\0';
        tmb_node *child = tmb_node_child(mapping, step);
        if (child == NULL || path[len] == '\0')
            return child;
        mapping = child;
        path += len + 1;
    }
}
