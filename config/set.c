// SPDX-License-Identifier: Apache-2.0
/* config/set.c - texts, names, numbers, paths.
 *
 * Every sentence names the key, shows the value and says what would be right; nobody should have to open
 * the manual to get past a mistake.
 */
#include "config/set.h"

#include <inttypes.h>
#include <stdlib.h>

#include "config/suggest.h"
#include "config/values.h"
#include "policy/policy.h"
#include "policy/weights.h"

#define HOST_BYTES_MAX    253
#define PATH_BYTES_MAX    2048
#define WEIGHTS_BYTES_MAX 4096

/* A value on its way: what it is for, and where mistakes go. */
typedef struct setting {
    const tmb_config_key *key;
    void *field;
    tmb_node *node;
    const char *folder;
    tmb_report *report;
} setting;

static tmb_err refuse(const setting *s)
{
    s->node->is_bad = true;
    return TMB_ECONFIG;
}

char *tmb_config_copy(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static tmb_err keep_text(const setting *s, char *text)
{
    char **field = s->field;
    if (text == NULL)
        return TMB_ENOMEM;
    free(*field);
    *field = text;
    return TMB_OK;
}

static bool is_name_byte(char c, bool is_first)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return true;
    return !is_first && (c == '.' || c == '_' || c == '-');
}

/* A name that would do instead of text, or "" when too little of it is left. */
static tmb_shown nearest_name(const char *text, size_t len)
{
    tmb_shown near;
    size_t n = 0;
    for (size_t i = 0; i < len && n < TMB_STREAM_NAME_BYTES_MAX; i++) {
        char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (is_name_byte(c, n == 0))
            near.text[n++] = c;
        else if (n > 0 && near.text[n - 1] != '-')
            near.text[n++] = '-';
    }
    while (n > 0 && near.text[n - 1] == '-')
        n--;
    near.text[n] = '\0';
    return near;
}

/* is_stream: a stream's, which may not be proposed one that is taken. */
static bool name_is_right(const setting *s, size_t len_max, bool is_stream)
{
    const char *text = s->node->text;
    size_t len = s->node->text_len;
    if (len > len_max) {
        tmb_report_add(s->report, s->node->place, "%s: \"%s\" has %zu bytes; use at most %zu",
                       s->key->path, tmb_show(text, len).text, len, len_max);
        return false;
    }
    bool right = len > 0;
    for (size_t i = 0; i < len; i++)
        right = right && is_name_byte(text[i], i == 0);
    if (right)
        return true;
    tmb_shown near = nearest_name(text, len);
    if (is_stream &&
        (strcmp(near.text, TMB_LEDGER_STREAM) == 0 || strcmp(near.text, TMB_STATE_STREAM) == 0))
        near.text[0] = '\0';
    tmb_report_add(
        s->report, s->node->place,
        "%s: \"%s\" is not a name; use a-z, 0-9, \".\", \"_\" and \"-\", and begin with a "
        "letter or a digit%s%s%s",
        s->key->path, tmb_show(text, len).text, near.text[0] != '\0' ? ", as in \"" : "", near.text,
        near.text[0] != '\0' ? "\"" : "");
    return false;
}

static tmb_err set_name(const setting *s)
{
    if (!name_is_right(s, TMB_NAME_BYTES_MAX, false))
        return refuse(s);
    return keep_text(s, tmb_config_copy(s->node->text, s->node->text_len));
}

static tmb_err set_stream_name(const setting *s)
{
    if (!name_is_right(s, TMB_STREAM_NAME_BYTES_MAX, true))
        return refuse(s);
    memcpy(s->field, s->node->text, s->node->text_len + 1);
    return TMB_OK;
}

static const char *host_mistake(const char *text, size_t len)
{
    if (strstr(text, "://") != NULL)
        return "write the host alone, without a scheme";
    const char *colon = strchr(text, ':');
    if (colon != NULL && strchr(colon + 1, ':') == NULL)
        return "write the port in the key \"port\"";
    if (text[0] == '[')
        return "write an IPv6 address without brackets";
    if (len == 0 || len > HOST_BYTES_MAX)
        return "use 1 to 253 letters";
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && strchr(".-_:%", c) == NULL)
            return "use letters, digits, \".\" and \"-\"";
    }
    return NULL;
}

static tmb_err set_host(const setting *s)
{
    const char *text = s->node->text;
    const char *mistake = host_mistake(text, s->node->text_len);
    if (mistake == NULL)
        return keep_text(s, tmb_config_copy(text, s->node->text_len));
    tmb_report_add(s->report, s->node->place, "%s: \"%s\" is not a host name or address; %s",
                   s->key->path, tmb_show(text, s->node->text_len).text, mistake);
    return refuse(s);
}

/* folder/path, with "./" at the front of path taken away; path itself when it is absolute. */
static char *absolute_path(const char *folder, const char *path)
{
    if (path[0] == '/')
        return tmb_config_copy(path, strlen(path));
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    size_t folder_len = strlen(folder);
    while (folder_len > 0 && folder[folder_len - 1] == '/')
        folder_len--;
    size_t path_len = strlen(path);
    char *joined = malloc(folder_len + 1 + path_len + 1);
    if (joined == NULL)
        return NULL;
    memcpy(joined, folder, folder_len);
    joined[folder_len] = '/';
    memcpy(joined + folder_len + 1, path, path_len + 1);
    return joined;
}

static tmb_err set_path(const setting *s)
{
    const char *text = s->node->text;
    size_t len = s->node->text_len;
    bool right = len > 0 && len <= PATH_BYTES_MAX;
    for (size_t i = 0; i < len; i++)
        right = right && (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
    if (right)
        return keep_text(s, absolute_path(s->folder, text));
    tmb_report_add(s->report, s->node->place,
                   "%s: \"%s\" is not a file name; use 1 to %d bytes without control characters",
                   s->key->path, tmb_show(text, len).text, PATH_BYTES_MAX);
    return refuse(s);
}

static tmb_err set_template(const setting *s)
{
    if (!tmb_config_template_is_right(s->key->path, s->node, s->report))
        return refuse(s);
    return keep_text(s, tmb_config_copy(s->node->text, s->node->text_len));
}

static tmb_err set_weights(const setting *s)
{
    tmb_bytes bad = tmb_bytes_of(NULL, 0);
    if (s->node->text_len <= WEIGHTS_BYTES_MAX && strlen(s->node->text) == s->node->text_len) {
        tmb_err err = tmb_weights_check(s->node->text, &bad);
        if (err == TMB_OK)
            return keep_text(s, tmb_config_copy(s->node->text, s->node->text_len));
        if (err == TMB_ECONFIG)
            tmb_report_add(
                s->report, s->node->place,
                "%s: \"%s\" never counts, a word before it takes all its children; put it "
                "first, or remove it",
                s->key->path, tmb_show((const char *)bad.ptr, bad.len).text);
        else
            tmb_report_add(
                s->report, s->node->place,
                "%s: \"%s\" is no weight; write a child's name, or the beginning of names and a "
                "*, then = and 1 to %u, as in press-*=4",
                s->key->path, tmb_show((const char *)bad.ptr, bad.len).text, TMB_WEIGHT_MAX);
        return refuse(s);
    }
    tmb_report_add(s->report, s->node->place, "%s: too long; use at most %d bytes", s->key->path,
                   WEIGHTS_BYTES_MAX);
    return refuse(s);
}

/* The place of node's text in words, or -1, which is told. */
static int choose(const setting *s, const char *const *words, size_t count)
{
    const char *text = s->node->text;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0)
            return (int)i;
    }
    const char *near = tmb_suggest(text, words, count);
    tmb_report_add(s->report, s->node->place, "%s: \"%s\" is not %s%s%s%s", s->key->path,
                   tmb_show(text, s->node->text_len).text, tmb_config_type_str(s->key->type),
                   near != NULL ? ", did you mean \"" : "; write one of them",
                   near != NULL ? near : "", near != NULL ? "\"?" : "");
    return -1;
}

static tmb_err set_bool(const setting *s)
{
    static const char *const words[] = {"false", "true"};
    int choice = choose(s, words, 2);
    if (choice < 0)
        return refuse(s);
    *(bool *)s->field = choice == 1;
    return TMB_OK;
}

static tmb_err set_durability(const setting *s)
{
    static const char *const words[] = {"strict", "group", "process", "none"};
    int choice = choose(s, words, 4);
    if (choice < 0)
        return refuse(s);
    *(tmb_durability *)s->field = (tmb_durability)choice;
    return TMB_OK;
}

static tmb_err set_full(const setting *s)
{
    static const char *const words[] = {"reject", "drop-oldest", "drop-newest"};
    int choice = choose(s, words, 3);
    if (choice < 0)
        return refuse(s);
    *(tmb_full *)s->field = (tmb_full)choice;
    return TMB_OK;
}

static tmb_err set_class(const setting *s)
{
    static const char *const words[] = {"control", "alarm", "state", "telemetry", "bulk"};
    int choice = choose(s, words, TMB_CLASSES);
    if (choice < 0)
        return refuse(s);
    *(tmb_class *)s->field = (tmb_class)choice;
    return TMB_OK;
}

/* A folder must begin with a slash: a word that does not is a word misspelt. */
static tmb_err set_ring(const setting *s)
{
    static const char *const words[] = {"auto", "off"};
    if (s->node->text[0] == '/')
        return set_path(s);
    int choice = choose(s, words, 2);
    if (choice < 0)
        return refuse(s);
    return keep_text(s, tmb_config_copy(words[choice], strlen(words[choice])));
}

static void format_number(tmb_config_type type, uint64_t value, char ret_text[TMB_VALUE_TEXT_MAX])
{
    if (type == TMB_CONFIG_SIZE)
        tmb_size_format(value, ret_text);
    else if (type == TMB_CONFIG_RATE)
        tmb_rate_format(value, ret_text);
    else if (type == TMB_CONFIG_DURATION)
        tmb_duration_format(value, ret_text);
    else
        snprintf(ret_text, TMB_VALUE_TEXT_MAX, "%" PRIu64, value);
}

/* What may stand there instead of a number. */
static const char *other_word(const tmb_config_key *key)
{
    return key->may_be_none ? ", or none for no limit" : key->may_be_auto ? ", or auto" : "";
}

static bool parse_number(const setting *s, uint64_t *ret_value)
{
    tmb_bytes text = tmb_bytes_of(s->node->text, s->node->text_len);
    const char *cure = "write digits only";
    bool right = false;
    if (s->key->type == TMB_CONFIG_SIZE) {
        right = tmb_size_parse(text, ret_value);
        cure = "write a whole number of bytes, or one with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB";
    } else if (s->key->type == TMB_CONFIG_RATE) {
        right = tmb_rate_parse(text, ret_value);
        cure = "write a whole number with bit/s, kbit/s, Mbit/s, B/s, kB/s, KiB/s or MiB/s";
    } else if (s->key->type == TMB_CONFIG_DURATION) {
        right = tmb_duration_parse(text, ret_value);
        cure = "write a whole number with ms, s, m, h or d";
    } else {
        right = tmb_count_parse(text, ret_value);
    }
    if (!right)
        tmb_report_add(s->report, s->node->place, "%s: \"%s\" is not %s; %s%s", s->key->path,
                       tmb_show(s->node->text, s->node->text_len).text,
                       tmb_config_type_str(s->key->type), cure, other_word(s->key));
    return right;
}

static tmb_err set_number(const setting *s)
{
    uint64_t value = 0;
    bool is_none = (s->key->may_be_none && strcmp(s->node->text, "none") == 0) ||
                   (s->key->may_be_auto && strcmp(s->node->text, "auto") == 0);
    if (!is_none) {
        if (!parse_number(s, &value))
            return refuse(s);
        if (value < s->key->min || value > s->key->max) {
            char min[TMB_VALUE_TEXT_MAX];
            char max[TMB_VALUE_TEXT_MAX];
            format_number(s->key->type, s->key->min, min);
            format_number(s->key->type, s->key->max, max);
            tmb_report_add(s->report, s->node->place, "%s: %s is out of range; use %s to %s%s",
                           s->key->path, tmb_show(s->node->text, s->node->text_len).text, min, max,
                           other_word(s->key));
            return refuse(s);
        }
    }
    if (s->key->type == TMB_CONFIG_PORT)
        *(unsigned *)s->field = (unsigned)value;
    else if (s->key->type == TMB_CONFIG_DURATION)
        *(int64_t *)s->field = (int64_t)value;
    else
        *(uint64_t *)s->field = value;
    return TMB_OK;
}

void tmb_config_tell_kind(const char *path, const char *wanted, tmb_node *node, tmb_report *report)
{
    node->is_bad = true;
    switch (node->kind) {
    case TMB_NODE_NOTHING:
        tmb_report_add(report, node->place, "%s: no value; write %s", path, wanted);
        break;
    case TMB_NODE_TEXT:
        tmb_report_add(report, node->place, "%s: expected %s, found \"%s\"", path, wanted,
                       tmb_show(node->text, node->text_len).text);
        break;
    case TMB_NODE_MAPPING:
        tmb_report_add(report, node->place, "%s: expected %s, found keys with values", path,
                       wanted);
        break;
    case TMB_NODE_LIST:
        tmb_report_add(report, node->place, "%s: expected %s, found a list", path, wanted);
        break;
    case TMB_NODE_REFUSED:
        break;
    }
}

tmb_err tmb_config_set(const tmb_config_key *key, void *base, tmb_node *node, const char *folder,
                       tmb_report *report)
{
    if (key->type == TMB_CONFIG_FILTERS)
        return tmb_config_set_topics(base, node, report);
    if (key->type == TMB_CONFIG_ENDPOINTS)
        return tmb_config_set_endpoints((void *)((char *)base + key->offset), node, folder, report);
    if (key->type == TMB_CONFIG_SCHEDULE)
        return tmb_config_set_schedule((void *)((char *)base + key->offset), node, folder, report);
    if (key->type == TMB_CONFIG_SCOPES)
        return tmb_config_set_scopes(key->path, (void *)((char *)base + key->offset), node, report);
    if (key->type == TMB_CONFIG_SHARES)
        return tmb_config_set_shares((void *)((char *)base + key->offset), node, folder, report);
    if (node->kind != TMB_NODE_TEXT) {
        tmb_config_tell_kind(key->path, tmb_config_type_str(key->type), node, report);
        return TMB_ECONFIG;
    }
    setting s = {key, (char *)base + key->offset, node, folder, report};
    switch (key->type) {
    case TMB_CONFIG_NAME:
        return set_name(&s);
    case TMB_CONFIG_STREAM_NAME:
        return set_stream_name(&s);
    case TMB_CONFIG_HOST:
        return set_host(&s);
    case TMB_CONFIG_PATH:
        return set_path(&s);
    case TMB_CONFIG_RING:
        return set_ring(&s);
    case TMB_CONFIG_TEMPLATE:
        return set_template(&s);
    case TMB_CONFIG_WEIGHTS:
        return set_weights(&s);
    case TMB_CONFIG_DURABILITY:
        return set_durability(&s);
    case TMB_CONFIG_FULL:
        return set_full(&s);
    case TMB_CONFIG_CLASS:
        return set_class(&s);
    case TMB_CONFIG_BOOL:
        return set_bool(&s);
    case TMB_CONFIG_PORT:
    case TMB_CONFIG_COUNT:
    case TMB_CONFIG_SIZE:
    case TMB_CONFIG_RATE:
    case TMB_CONFIG_DURATION:
        return set_number(&s);
    case TMB_CONFIG_FILTERS:
    case TMB_CONFIG_ENDPOINTS:
    case TMB_CONFIG_SCHEDULE:
    case TMB_CONFIG_SCOPES:
    case TMB_CONFIG_SHARES:
        break;
    }
    return TMB_EINVAL;
}
