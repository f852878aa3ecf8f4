// SPDX-License-Identifier: Apache-2.0
/* config/schedule.c - a list of { days: mon-fri, from: "08:00", to: "18:00", rate: 64kbit/s }.
 */
#include "config/schedule.h"

#include "config/set.h"

#define DAY_MIN 1440u

static const char item_form[] = "{ days: mon-fri, from: \"08:00\", to: \"18:00\", rate: 64kbit/s }";
static const char *const item_keys[] = {"days", "from", "to", "rate"};
static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static const tmb_config_key rate_key = {"parent.schedule[].rate",
                                        TMB_CONFIG_RATE,
                                        .offset = offsetof(tmb_schedule_entry, rate),
                                        .may_be_none = true,
                                        .min = TMB_CONFIG_RATE_MIN,
                                        .max = TMB_CONFIG_RATE_MAX};

uint64_t tmb_schedule_rate(const tmb_schedule *schedule, uint64_t otherwise, unsigned day,
                           unsigned minute)
{
    unsigned before = (day + 6) % 7;
    for (unsigned i = 0; i < schedule->count; i++) {
        const tmb_schedule_entry *entry = &schedule->v[i];
        bool is_over_midnight = entry->to_min <= entry->from_min;
        bool is_today = (entry->days >> day & 1u) != 0 && minute >= entry->from_min &&
                        (is_over_midnight || minute < entry->to_min);
        bool is_since_yesterday =
            is_over_midnight && (entry->days >> before & 1u) != 0 && minute < entry->to_min;
        if (is_today || is_since_yesterday)
            return entry->rate;
    }
    return otherwise;
}

static int find_day(const char *text)
{
    for (int i = 0; i < 7; i++)
        if (strncmp(text, day_names[i], 3) == 0)
            return i;
    return -1;
}

/* "daily", "sat", "mon-fri", "sat-mon": around the end of the week too. */
static bool parse_days(const char *text, uint8_t *ret_days)
{
    if (strcmp(text, "daily") == 0) {
        *ret_days = 0x7f;
        return true;
    }
    size_t len = strlen(text);
    int first = len == 3 || len == 7 ? find_day(text) : -1;
    int last = len == 7 && text[3] == '-' ? find_day(text + 4) : len == 3 ? first : -1;
    if (first < 0 || last < 0)
        return false;
    *ret_days = 0;
    for (int day = first;; day = (day + 1) % 7) {
        *ret_days = (uint8_t)(*ret_days | 1u << day);
        if (day == last)
            return true;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_minute(const char *t, unsigned *ret_minute)
{
    if (strlen(t) != 5 || !is_digit(t[0]) || !is_digit(t[1]) || t[2] != ':' || !is_digit(t[3]) ||
        !is_digit(t[4]))
        return false;
    unsigned hour = (unsigned)(t[0] - '0') * 10 + (unsigned)(t[1] - '0');
    unsigned minute = (unsigned)(t[3] - '0') * 10 + (unsigned)(t[4] - '0');
    *ret_minute = hour * 60 + minute;
    return minute < 60 && *ret_minute <= DAY_MIN;
}

static tmb_err set_value(tmb_schedule_entry *entry, tmb_node *node, const char *folder,
                         tmb_report *report)
{
    if (strcmp(node->key, "rate") == 0)
        return tmb_config_set(&rate_key, entry, node, folder, report);
    bool is_days = strcmp(node->key, "days") == 0;
    const char *wanted =
        is_days ? "mon-fri, sat or daily" : "hours and minutes in quotes, as in \"08:00\"";
    char path[32];
    bool right;
    (void)snprintf(path, sizeof path, "parent.schedule[].%s", node->key);
    if (node->kind != TMB_NODE_TEXT) {
        tmb_config_tell_kind(path, wanted, node, report);
        return TMB_OK;
    }
    if (is_days)
        right = parse_days(node->text, &entry->days);
    else
        right = parse_minute(node->text,
                             strcmp(node->key, "to") == 0 ? &entry->to_min : &entry->from_min);
    if (!right)
        tmb_report_add(report, node->place, "%s: \"%s\" is not %s; write %s", path,
                       tmb_show(node->text, node->text_len).text,
                       is_days ? "days of the week" : "a time of the day", wanted);
    return TMB_OK;
}

static bool is_known(const char *key)
{
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(key, item_keys[i]) == 0)
            return true;
    return false;
}

static tmb_err set_item(tmb_schedule_entry *entry, tmb_node *item, const char *folder,
                        tmb_report *report)
{
    tmb_err err = TMB_OK;
    for (tmb_node *node = item->first; node != NULL && err != TMB_ENOMEM; node = node->next) {
        if (node->key == NULL)
            continue;
        if (!is_known(node->key))
            tmb_report_add(
                report, node->key_place,
                "parent.schedule: unknown key \"%s\"; the keys here are days, from, to, rate",
                tmb_show(node->key, strlen(node->key)).text);
        else if (tmb_node_child(item, node->key) != node)
            tmb_report_add(report, node->key_place, "parent.schedule: duplicate key \"%s\"",
                           node->key);
        else
            err = set_value(entry, node, folder, report);
    }
    for (unsigned i = 0; i < 4 && err != TMB_ENOMEM; i++) {
        if (tmb_node_child(item, item_keys[i]) == NULL)
            tmb_report_add(report, item->place, "parent.schedule: missing %s; write %s",
                           item_keys[i], item_form);
    }
    return err == TMB_ENOMEM ? err : TMB_OK;
}

tmb_err tmb_config_set_schedule(tmb_schedule *schedule, tmb_node *node, const char *folder,
                                tmb_report *report)
{
    schedule->count = 0;
    if (node->kind == TMB_NODE_TEXT && strcmp(node->text, "[]") == 0)
        return TMB_OK; /* the default, as it stands in the table */
    if (node->kind != TMB_NODE_LIST) {
        tmb_config_tell_kind("parent.schedule", tmb_config_type_str(TMB_CONFIG_SCHEDULE), node,
                             report);
        return TMB_ECONFIG;
    }
    for (tmb_node *item = node->first; item != NULL; item = item->next) {
        if (item->kind != TMB_NODE_MAPPING) {
            tmb_config_tell_kind("parent.schedule", item_form, item, report);
            continue;
        }
        if (schedule->count == TMB_SCHEDULE_MAX) {
            tmb_report_add(report, item->place, "parent.schedule: more than %d; put days together",
                           TMB_SCHEDULE_MAX);
            return TMB_ECONFIG;
        }
        tmb_schedule_entry *entry = &schedule->v[schedule->count++];
        memset(entry, 0, sizeof *entry);
        if (set_item(entry, item, folder, report) == TMB_ENOMEM)
            return TMB_ENOMEM;
    }
    return TMB_OK;
}

void tmb_config_days_format(uint8_t days, char ret_text[TMB_CONFIG_DAYS_TEXT])
{
    unsigned first = 0, count = 0;
    if (days == 0x7f) {
        memcpy(ret_text, "daily", 6);
        return;
    }
    while (first < 7 && ((days >> first & 1u) == 0 || (days >> (first + 6) % 7 & 1u) != 0))
        first++;
    first %= 7;
    while (count < 7 && (days >> (first + count) % 7 & 1u) != 0)
        count++;
    memcpy(ret_text, day_names[first], 4);
    if (count < 2)
        return;
    ret_text[3] = '-';
    memcpy(ret_text + 4, day_names[(first + count - 1) % 7], 4);
}
