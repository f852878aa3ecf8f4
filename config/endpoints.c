// SPDX-License-Identifier: Apache-2.0
/* config/endpoints.c - a list of { host: ..., port: ... }: the fall-back parents. */
#include <stdlib.h>

#include "config/set.h"

static const tmb_config_key host_key = {"parent.fallbacks[].host", TMB_CONFIG_HOST,
                                        .offset = offsetof(tmb_config_endpoint, host)};
static const tmb_config_key port_key = {"parent.fallbacks[].port", TMB_CONFIG_PORT,
                                        .offset = offsetof(tmb_config_endpoint, port), .min = 1,
                                        .max = 65535};

static const char item_form[] = "{ host: hub-b.example.com } or { host: ..., port: ... }";

static tmb_err set_item(tmb_config_endpoint *endpoint, tmb_node *item, const char *folder,
                        tmb_report *report)
{
    endpoint->port = 8883;
    tmb_err err = TMB_OK;
    for (tmb_node *node = item->first; node != NULL && err != TMB_ENOMEM; node = node->next) {
        bool is_host = node->key != NULL && strcmp(node->key, "host") == 0;
        bool is_port = node->key != NULL && strcmp(node->key, "port") == 0;
        if (node->key != NULL && !is_host && !is_port)
            tmb_report_add(report, node->key_place,
                           "parent.fallbacks: unknown key \"%s\"; the keys here are host, port",
                           tmb_show(node->key, strlen(node->key)).text);
        else if (node->key != NULL && tmb_node_child(item, node->key) != node)
            tmb_report_add(report, node->key_place, "parent.fallbacks: duplicate key \"%s\"",
                           node->key);
        else if (node->key != NULL)
            err = tmb_config_set(is_host ? &host_key : &port_key, endpoint, node, folder, report);
    }
    if (err != TMB_ENOMEM && tmb_node_child(item, "host") == NULL)
        tmb_report_add(report, item->place, "parent.fallbacks: missing host; write %s", item_form);
    return err == TMB_ENOMEM ? err : TMB_OK;
}

void tmb_config_free_endpoints(tmb_config_endpoints *endpoints)
{
    for (unsigned i = 0; i < endpoints->count; i++)
        free(endpoints->v[i].host);
    endpoints->count = 0;
}

tmb_err tmb_config_set_endpoints(tmb_config_endpoints *endpoints, tmb_node *node,
                                 const char *folder, tmb_report *report)
{
    tmb_config_free_endpoints(endpoints);
    if (node->kind == TMB_NODE_TEXT && strcmp(node->text, "[]") == 0)
        return TMB_OK; /* the default, as it stands in the table */
    if (node->kind != TMB_NODE_LIST) {
        tmb_config_tell_kind("parent.fallbacks", tmb_config_type_str(TMB_CONFIG_ENDPOINTS), node,
                             report);
        return TMB_ECONFIG;
    }
    for (tmb_node *item = node->first; item != NULL; item = item->next) {
        if (item->kind != TMB_NODE_MAPPING) {
            tmb_config_tell_kind("parent.fallbacks", item_form, item, report);
            continue;
        }
        if (endpoints->count == TMB_FALLBACKS_MAX) {
            tmb_report_add(report, item->place, "parent.fallbacks: more than %d; remove one",
                           TMB_FALLBACKS_MAX);
            return TMB_ECONFIG;
        }
        /* Counted first: what it holds when memory runs out is freed with the others. */
        tmb_config_endpoint *endpoint = &endpoints->v[endpoints->count++];
        memset(endpoint, 0, sizeof *endpoint);
        if (set_item(endpoint, item, folder, report) == TMB_ENOMEM)
            return TMB_ENOMEM;
    }
    return TMB_OK;
}
