// SPDX-License-Identifier: Apache-2.0
/* config/state.c - the scopes of state that a node holds, and with which children it shares them. */
#include "config/set.h"

static const char share_path[] = "state.share";
static const char item_form[] = "{ scope: fleet, children: \"*\", write: false }";

static const tmb_config_key write_key = {"state.share[].write", TMB_CONFIG_BOOL,
                                         .offset = offsetof(tmb_state_share, write)};

static bool pattern_is_right(const char *path, tmb_node *node, tmb_name_pattern *ret,
                             tmb_report *report)
{
    if (node->kind != TMB_NODE_TEXT) {
        tmb_config_tell_kind(path, "a name such as line-7, or \"line-*\"", node, report);
        return false;
    }
    if (!tmb_name_pattern_is_valid(tmb_bytes_of(node->text, node->text_len))) {
        tmb_report_add(report, node->place,
                       "%s: \"%s\" is no name; use a-z, 0-9, \".\", \"_\" and \"-\", at most %d "
                       "bytes, or the beginning of names and a *, as in \"line-*\"",
                       path, tmb_show(node->text, node->text_len).text, TMB_NAME_BYTES_MAX);
        node->is_bad = true;
        return false;
    }
    memcpy(ret->text, node->text, node->text_len + 1);
    return true;
}

static bool is_empty_default(const tmb_node *node)
{
    return node->kind == TMB_NODE_TEXT && strcmp(node->text, "[]") == 0;
}

tmb_err tmb_config_set_scopes(const char *path, tmb_state_scopes *scopes, tmb_node *node,
                              tmb_report *report)
{
    scopes->count = 0;
    if (is_empty_default(node))
        return TMB_OK;
    if (node->kind != TMB_NODE_LIST) {
        tmb_config_tell_kind(path, tmb_config_type_str(TMB_CONFIG_SCOPES), node, report);
        return TMB_ECONFIG;
    }
    for (tmb_node *item = node->first; item != NULL; item = item->next) {
        tmb_name_pattern pattern;
        if (!pattern_is_right(path, item, &pattern, report)) {
            node->is_bad = true;
            continue;
        }
        if (scopes->count == TMB_STATE_SCOPES_MAX) {
            tmb_report_add(report, item->place,
                           "%s: more than %d; put them together by \"*\", as in \"line-*\"", path,
                           TMB_STATE_SCOPES_MAX);
            node->is_bad = true;
            return TMB_ECONFIG;
        }
        for (unsigned i = 0; i < scopes->count; i++) {
            if (!tmb_name_pattern_covers(&scopes->v[i], &pattern))
                continue;
            tmb_report_add(report, item->place, "%s: \"%s\" is in \"%s\" before it; remove it",
                           path, pattern.text, scopes->v[i].text);
            break;
        }
        scopes->v[scopes->count++] = pattern;
    }
    return node->is_bad ? TMB_ECONFIG : TMB_OK;
}

static void set_share_key(tmb_state_share *share, tmb_node *item, tmb_node *node,
                          const char *folder, tmb_report *report)
{
    if (node->key == NULL)
        return;
    if (tmb_node_child(item, node->key) != node)
        tmb_report_add(report, node->key_place, "%s: duplicate key \"%s\"", share_path, node->key);
    else if (strcmp(node->key, "scope") == 0)
        (void)pattern_is_right("state.share[].scope", node, &share->scope, report);
    else if (strcmp(node->key, "children") == 0)
        (void)pattern_is_right("state.share[].children", node, &share->children, report);
    else if (strcmp(node->key, "write") == 0)
        (void)!tmb_config_set(&write_key, share, node, folder, report); /* told */
    else
        tmb_report_add(report, node->key_place,
                       "%s: unknown key \"%s\"; the keys here are scope, children, write",
                       share_path, tmb_show(node->key, strlen(node->key)).text);
}

/* Says so when an entry above takes all that this one would. */
static void check_share(const tmb_state_shares *shares, const tmb_state_share *share,
                        const tmb_node *item, tmb_report *report)
{
    for (unsigned i = 0; i < shares->count; i++) {
        const tmb_state_share *above = &shares->v[i];
        if (tmb_name_pattern_covers(&above->scope, &share->scope) &&
            tmb_name_pattern_covers(&above->children, &share->children)) {
            tmb_report_add(report, item->place,
                           "%s: never counts, entry %u takes the same; put the narrower one first",
                           share_path, i + 1);
            return;
        }
    }
}

tmb_err tmb_config_set_shares(tmb_state_shares *shares, tmb_node *node, const char *folder,
                              tmb_report *report)
{
    shares->count = 0;
    if (is_empty_default(node))
        return TMB_OK;
    if (node->kind != TMB_NODE_LIST) {
        tmb_config_tell_kind(share_path, tmb_config_type_str(TMB_CONFIG_SHARES), node, report);
        return TMB_ECONFIG;
    }
    for (tmb_node *item = node->first; item != NULL; item = item->next) {
        tmb_state_share share = {0};
        if (item->kind != TMB_NODE_MAPPING) {
            tmb_config_tell_kind(share_path, item_form, item, report);
            continue;
        }
        for (tmb_node *key = item->first; key != NULL; key = key->next)
            set_share_key(&share, item, key, folder, report);
        if (tmb_node_child(item, "scope") == NULL || tmb_node_child(item, "children") == NULL) {
            tmb_report_add(report, item->place, "%s: missing %s; write %s", share_path,
                           tmb_node_child(item, "scope") == NULL ? "scope" : "children", item_form);
            continue;
        }
        if (share.scope.text[0] == '\0' || share.children.text[0] == '\0')
            continue; /* told */
        if (shares->count == TMB_STATE_SHARES_MAX) {
            tmb_report_add(report, item->place, "%s: more than %d; put them together by \"*\"",
                           share_path, TMB_STATE_SHARES_MAX);
            return TMB_ECONFIG;
        }
        check_share(shares, &share, item, report);
        shares->v[shares->count++] = share;
    }
    return TMB_OK;
}
