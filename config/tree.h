// SPDX-License-Identifier: Apache-2.0
/* config/tree.h - YAML text as a small tree in which every key and value knows its place.
 *
 * The part of YAML that a configuration needs: one document of mappings, lists and texts. Anchors, aliases,
 * tags, further documents and keys that are not text are told as mistakes: each of them makes a file that
 * reads one way and means another. Threads: none. Cost: one allocation a value.
 */
#ifndef TMB_CONFIG_TREE_H
#define TMB_CONFIG_TREE_H

#include "config/report.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_TREE_DEPTH_MAX 8       /* deeper: a mistake that ends the reading */
#define TMB_TREE_NODES_MAX 8192    /* more: likewise */
#define TMB_TREE_BYTES_MAX 1048576 /* of text: likewise */

typedef enum tmb_node_kind {
    TMB_NODE_TEXT = 0,
    TMB_NODE_NOTHING, /* a key without a value, "~" or "null" */
    TMB_NODE_MAPPING,
    TMB_NODE_LIST,
    TMB_NODE_REFUSED /* already told: an alias */
} tmb_node_kind;

typedef struct tmb_node {
    tmb_node_kind kind;
    tmb_place place;
    char *text; /* of TMB_NODE_TEXT, text_len bytes and a NUL that ends it; none inside */
    size_t text_len;
    char *key; /* in a mapping; NULL: told as a mistake */
    tmb_place key_place;
    struct tmb_node *first, *next; /* children; the next child of the same parent */
    struct tmb_node *older;        /* all nodes of a tree, for freeing */
    bool is_bad;                   /* told: later checks leave it alone */
} tmb_node;

typedef struct tmb_tree {
    tmb_node *root; /* NULL: nothing to walk, the report says why */
    tmb_node *newest;
    unsigned nodes_count;
} tmb_tree;

/* tmb_tree_parse reads text; what is wrong with it as YAML goes to the report. Free ret_tree with
 * tmb_tree_clear in any case. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_tree_parse(const char *text, size_t len, tmb_report *report,
                                    tmb_tree *ret_tree);
void tmb_tree_clear(tmb_tree *tree);

/* tmb_node_child gives the value of key in mapping (which may be NULL), the first when there are two. */
tmb_node *tmb_node_child(const tmb_node *mapping, const char *key);

/* tmb_node_find follows a dotted path ("parent.backoff.cap") from mapping; NULL when a step is missing. */
tmb_node *tmb_node_find(const tmb_node *mapping, const char *path);

#ifdef __cplusplus
}
#endif
#endif
