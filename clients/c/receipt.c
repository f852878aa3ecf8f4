// SPDX-License-Identifier: Apache-2.0
/* clients/c/receipt.c - see clients/c/receipt.h. */
#include "clients/c/receipt.h"

#include <jansson.h>

#include "proto/props.h"

static const struct {
    tmb_receipt_level level;
    const char *name;
} levels[TMB_RECEIPT_LEVELS] = {{TMB_RECEIPT_SYNCED, "synced"},
                                {TMB_RECEIPT_COMMITTED, "committed"},
                                {TMB_RECEIPT_ENGINE, "engine"}};

const char *tmb_receipt_level_name(tmb_receipt_level level)
{
    for (size_t i = 0; i < TMB_RECEIPT_LEVELS; i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "";
}

/* number_of reads "<run>:<number>". */
static tmb_err number_of(tmb_bytes correlation, const char *run, uint64_t *ret_number)
{
    tmb_bytes its_run;
    uint64_t number;
    if (tmb_props_number(correlation, &its_run, &number) != TMB_OK ||
        !tmb_bytes_eq(its_run, tmb_bytes_str(run)))
        return TMB_ENOENT;
    *ret_number = number;
    return TMB_OK;
}

/* copy_text gives whether json is a string that fits. */
static bool copy_text(const json_t *json, char *ret_text, size_t size)
{
    const char *text = json_string_value(json);
    if (!text || strlen(text) >= size)
        return false;
    memcpy(ret_text, text, strlen(text) + 1);
    return true;
}

static bool level_of(const json_t *json, tmb_receipt_level *ret_level)
{
    const char *name = json_string_value(json);
    for (size_t i = 0; name && i < TMB_RECEIPT_LEVELS; i++)
        if (strcmp(name, levels[i].name) == 0) {
            *ret_level = levels[i].level;
            return true;
        }
    return false;
}

static bool fill_refused(const json_t *root, tmb_receipt_answer *a)
{
    /* A reason that is too long is cut, not lost. */
    const char *why = json_string_value(json_object_get(root, "why"));
    size_t len = why ? strlen(why) : 0;
    if (len > TMB_RECEIPT_WHY_BYTES_MAX)
        len = TMB_RECEIPT_WHY_BYTES_MAX;
    if (len > 0)
        memcpy(a->why, why, len);
    return level_of(json_object_get(root, "asked"), &a->level);
}

static bool fill_given(const json_t *root, tmb_receipt_answer *a)
{
    const json_t *seq = json_object_get(root, "seq");
    if (!json_is_integer(seq) || json_integer_value(seq) < 0)
        return false;
    a->is_given = true;
    a->seq = (uint64_t)json_integer_value(seq);
    a->is_repeat = json_is_true(json_object_get(root, "repeat"));
    return level_of(json_object_get(root, "receipt"), &a->level) &&
           copy_text(json_object_get(root, "node"), a->node, sizeof a->node) &&
           copy_text(json_object_get(root, "stream"), a->stream, sizeof a->stream) &&
           copy_text(json_object_get(root, "incarnation"), a->incarnation, sizeof a->incarnation);
}

tmb_err tmb_receipt_parse(tmb_bytes correlation, tmb_bytes payload, const char *run,
                          tmb_receipt_answer *ret_answer)
{
    tmb_receipt_answer a = {.is_given = false};
    tmb_err err = number_of(correlation, run, &a.number);
    if (err != TMB_OK)
        return err;
    if (payload.len == 0 || payload.len > TMB_RECEIPT_BYTES_MAX)
        return TMB_EINVAL;
    json_t *root = json_loadb((const char *)payload.ptr, payload.len, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return TMB_EINVAL;
    }
    const char *what = json_string_value(json_object_get(root, "receipt"));
    bool is_refused = what && strcmp(what, "refused") == 0;
    bool is_good = is_refused ? fill_refused(root, &a) : fill_given(root, &a);
    json_decref(root);
    if (!is_good)
        return TMB_EINVAL;
    *ret_answer = a;
    return TMB_OK;
}
