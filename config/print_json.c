// SPDX-License-Identifier: Apache-2.0
/* config/print_json.c - the struct as JSON, for programs.
 *
 * The keys are those of the file, in the same sections. Sizes are bytes; durations are milliseconds and say
 * so ("interval_ms"); a limit that is none is null.
 */
#include <jansson.h>
#include <stdlib.h>

#include "config/print.h"
#include "config/set.h"

static json_t *topics_json(const tmb_stream_policy *stream)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < stream->topics_count; i++) {
        if (json_array_append_new(list, json_string(stream->topics[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *schedule_json(const tmb_schedule *schedule)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < schedule->count; i++) {
        const tmb_schedule_entry *entry = &schedule->v[i];
        char days[TMB_CONFIG_DAYS_TEXT];
        tmb_config_days_format(entry->days, days);
        json_t *item =
            json_pack("{s:s, s:i, s:i, s:I}", "days", days, "from_min", (int)entry->from_min,
                      "to_min", (int)entry->to_min, "bits_per_s", (json_int_t)entry->rate);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *endpoints_json(const tmb_config_endpoints *endpoints)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < endpoints->count; i++) {
        json_t *item = json_pack("{s:s, s:i}", "host", endpoints->v[i].host, "port",
                                 (int)endpoints->v[i].port);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *scopes_json(const tmb_state_scopes *scopes)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < scopes->count; i++) {
        if (json_array_append_new(list, json_string(scopes->v[i].text)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *shares_json(const tmb_state_shares *shares)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < shares->count; i++) {
        const tmb_state_share *share = &shares->v[i];
        json_t *item = json_pack("{s:s, s:s, s:b}", "scope", share->scope.text, "children",
                                 share->children.text, "write", (int)share->write);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *value_json(const tmb_config_key *key, const void *base)
{
    const char *text = tmb_config_text(key, base);
    if (key->type == TMB_CONFIG_FILTERS)
        return topics_json(base);
    if (key->type == TMB_CONFIG_ENDPOINTS)
        return endpoints_json((const void *)((const char *)base + key->offset));
    if (key->type == TMB_CONFIG_SCHEDULE)
        return schedule_json((const void *)((const char *)base + key->offset));
    if (key->type == TMB_CONFIG_SCOPES)
        return scopes_json((const void *)((const char *)base + key->offset));
    if (key->type == TMB_CONFIG_SHARES)
        return shares_json((const void *)((const char *)base + key->offset));
    if (key->type == TMB_CONFIG_BOOL)
        return json_boolean(strcmp(text, "true") == 0);
    if (text != NULL)
        return json_string(text);
    uint64_t value = tmb_config_number(key, base);
    if ((key->may_be_none || key->may_be_auto) && value == 0)
        return json_null();
    return json_integer((json_int_t)value);
}

/* The object called name (len bytes) in parent, made when it is not there; borrowed, NULL: out of memory. */
static json_t *section_json(json_t *parent, const char *name, size_t len)
{
    char step[32];
    TMB_ASSERT(len < sizeof step);
    memcpy(step, name, len);
    step[len] = '\0';
    json_t *section = json_object_get(parent, step);
    if (section != NULL)
        return section;
    section = json_object();
    return json_object_set_new(parent, step, section) == 0 ? section : NULL;
}

static bool put_key(json_t *object, const char *path, const tmb_config_key *key, const void *base)
{
    char name[40];
    for (const char *dot = strchr(path, '.'); dot != NULL && object != NULL;
         dot = strchr(path, '.')) {
        object = section_json(object, path, (size_t)(dot - path));
        path = dot + 1;
    }
    snprintf(name, sizeof name, "%s%s", path, key->type == TMB_CONFIG_DURATION ? "_ms" : "");
    return object != NULL && json_object_set_new(object, name, value_json(key, base)) == 0;
}

static bool put_stream(json_t *list, const tmb_stream_policy *stream)
{
    json_t *object = json_object();
    bool right = json_array_append_new(list, object) == 0;
    for (size_t i = 0; i < TMB_CONFIG_KEYS && right; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        if (tmb_config_in_stream(key))
            right = put_key(object, key->path + strlen("streams[]."), key, stream);
    }
    return right;
}

static bool put_streams(json_t *root, const tmb_policy *policy)
{
    json_t *list = json_array();
    bool right = json_object_set_new(root, "streams", list) == 0;
    for (unsigned i = 0; i < policy->streams_count && right; i++) {
        if (tmb_policy_is_named(&policy->streams[i]))
            right = put_stream(list, &policy->streams[i]);
    }
    return right;
}

tmb_err tmb_config_print_json(const tmb_config *config, FILE *out)
{
    json_t *root = json_object();
    bool right = root != NULL;
    bool streams_are_in = false;
    for (size_t i = 0; i < TMB_CONFIG_KEYS && right; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        if (!tmb_config_is_shown(config, key))
            continue;
        if (!tmb_config_in_stream(key)) {
            right = put_key(root, key->path, key, config);
        } else if (!streams_are_in) {
            right = put_streams(root, &config->policy);
            streams_are_in = true;
        }
    }
    char *text = right ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL)
        return TMB_ENOMEM;
    fprintf(out, "%s\n", text);
    free(text);
    return fflush(out) != 0 || ferror(out) != 0 ? TMB_EIO : TMB_OK;
}
