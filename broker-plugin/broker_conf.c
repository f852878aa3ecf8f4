// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/broker_conf.c - reads mosquitto.conf for the few settings that the promises hang on.
 *
 * per_listener_settings true: the broker never calls the tick event. max_queued_messages too small, which
 * its default is: messages to an offline session are dropped in silence; without a limit: one forgotten
 * session takes all memory, and a refused message closes the connection. persistence false: sessions do not
 * survive the broker at all. message_size_limit: what is larger is dropped before the plugin sees it, and yet
 * acked to clients of MQTT 3.1.1; a child's frame that is dropped would be sent again for ever.
 *
 * Two settings of a bridge are only told, because the far broker may know nothing better:
 * - MQTT 3.1.1. Mosquitto 2.0.11 counts what it queues for a bridge without a connection as in flight, and
 *   begins to count anew when it begins to connect, a second or so before it is connected. When
 *   max_inflight_messages come in between, and a replay does, nothing is sent, so nothing is acked, so
 *   nothing is ever sent. The CONNACK of MQTT 5 begins the count anew.
 * - QoS 2. Behind a backlog the bridge has twice as many in flight as a far Mosquitto takes, which then
 *   throws some away (MQTT 5) or lets the bridge stand still (3.1.1). Plain brokers at both ends do so too.
 */
#include "broker-plugin/broker_conf.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PLUGIN_FILE "tombolo-mosquitto.so"

typedef struct scan {
    tmb_broker_conf *conf;
    char location[PATH_MAX];
    char db_name[NAME_MAX + 1];
    bool has_seen_us;
    struct {
        char name[TMB_BRIDGE_NAME_BYTES];
        int qos; /* the highest it sends with */
        bool is_v5;
    } bridge; /* whose lines are being read */
} scan;

tmb_err tmb_broker_conf_find(const char *cmdline, char ret_file[PATH_MAX])
{
    FILE *in = fopen(cmdline, "r");
    if (!in)
        return TMB_EIO;
    tmb_err err = TMB_ENOENT;
    char *arg = NULL;
    size_t cap = 0;
    bool is_next = false;
    while (getdelim(&arg, &cap, '\0', in) > 0) {
        if (is_next) {
            err = strlen(arg) < PATH_MAX ? TMB_OK : TMB_ELIMIT;
            break;
        }
        is_next = strcmp(arg, "-c") == 0 || strcmp(arg, "--config-file") == 0;
    }
    if (err == TMB_OK)
        memcpy(ret_file, arg, strlen(arg) + 1);
    free(arg);
    fclose(in);
    return err;
}

static bool is_true(const char *value)
{
    return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static void note_plugin(scan *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (strcmp(slash ? slash + 1 : path, PLUGIN_FILE) == 0) {
        s->has_seen_us = true;
        return;
    }
    s->conf->has_other_plugins = true;
    if (!s->has_seen_us)
        s->conf->has_plugin_before = true;
}

static void count_bridge(tmb_bridges *bridges, const char *name)
{
    if (bridges->count++ == 0)
        memcpy(bridges->first, name, sizeof bridges->first);
}

/* end_bridge judges the bridge whose lines have been read, if there was one. */
static void end_bridge(scan *s)
{
    if (s->bridge.qos == 1 && !s->bridge.is_v5)
        count_bridge(&s->conf->bridges_v3, s->bridge.name);
    if (s->bridge.qos == 2)
        count_bridge(&s->conf->bridges_qos2, s->bridge.name);
    memset(&s->bridge, 0, sizeof s->bridge);
}

/* `topic PATTERN [out|in|both [QOS ...]]`: out and 0 where it does not say. 0 for what only comes in. */
static int qos_out(const char *value)
{
    char direction[8];
    int qos;
    if (sscanf(value, "%*s %7s %d", direction, &qos) != 2 || strcasecmp(direction, "in") == 0)
        return 0;
    return qos;
}

/* note_bridge takes in a line that says something of a bridge; false: it says nothing of any. */
static bool note_bridge(scan *s, const char *key, const char *value)
{
    if (strcmp(key, "connection") == 0) {
        end_bridge(s);
        s->conf->has_bridge = true;
        snprintf(s->bridge.name, sizeof s->bridge.name, "%.*s", (int)sizeof s->bridge.name - 1,
                 value);
    } else if (strcmp(key, "topic") == 0) {
        int qos = qos_out(value);
        s->bridge.qos = qos > s->bridge.qos ? qos : s->bridge.qos;
    } else if (strcmp(key, "bridge_protocol_version") == 0) {
        s->bridge.is_v5 = strcmp(value, "mqttv50") == 0;
    } else {
        return false;
    }
    return true;
}

/* note takes in one line; gives the folder of an include_dir line, else NULL. */
static const char *note(scan *s, char *line)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '#')
        return NULL;
    char *key = line + strspn(line, " ");
    char *value = key + strcspn(key, " ");
    if (*value != '\0')
        *value++ = '\0';
    value += strspn(value, " ");
    for (size_t len = strlen(value); len > 0 && value[len - 1] == ' '; len--)
        value[len - 1] = '\0';
    tmb_broker_conf *conf = s->conf;
    if (note_bridge(s, key, value))
        return NULL;
    if (strcmp(key, "persistence") == 0 || strcmp(key, "retained_persistence") == 0)
        conf->persistence = is_true(value);
    else if (strcmp(key, "per_listener_settings") == 0)
        conf->per_listener_settings = is_true(value);
    else if (strcmp(key, "max_queued_messages") == 0)
        conf->max_queued_messages = strtoll(value, NULL, 10);
    else if (strcmp(key, "max_queued_bytes") == 0)
        conf->max_queued_bytes = strtoll(value, NULL, 10);
    else if (strcmp(key, "message_size_limit") == 0)
        conf->message_size_limit = strtoll(value, NULL, 10);
    else if (strcmp(key, "max_packet_size") == 0)
        conf->max_packet_size = strtoll(value, NULL, 10);
    else if (strcmp(key, "retain_available") == 0)
        conf->has_no_retain = !is_true(value);
    else if (strcmp(key, "acl_file") == 0)
        conf->has_acl_file = true;
    else if (strcmp(key, "max_inflight_messages") == 0)
        conf->max_inflight_messages = strtoll(value, NULL, 10);
    else if (strcmp(key, "plugin") == 0 || strcmp(key, "auth_plugin") == 0)
        note_plugin(s, value);
    else if (strcmp(key, "persistence_location") == 0 && strlen(value) < sizeof s->location)
        memcpy(s->location, value, strlen(value) + 1);
    else if (strcmp(key, "persistence_file") == 0 && strlen(value) < sizeof s->db_name)
        memcpy(s->db_name, value, strlen(value) + 1);
    else if (strcmp(key, "include_dir") == 0)
        return value;
    return NULL;
}

static int is_conf_name(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static tmb_err read_file(scan *s, const char *file, bool is_main);

static tmb_err read_folder(scan *s, const char *folder)
{
    struct dirent **names;
    int count = scandir(folder, &names, is_conf_name, alphasort);
    if (count < 0)
        return TMB_EIO;
    tmb_err err = TMB_OK;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int len = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (err == TMB_OK)
            err = len < (int)sizeof path ? read_file(s, path, false) : TMB_ELIMIT;
        free(names[i]);
    }
    free(names);
    return err;
}

static tmb_err read_file(scan *s, const char *file, bool is_main)
{
    FILE *in = fopen(file, "r");
    if (!in)
        return TMB_EIO;
    tmb_err err = TMB_OK;
    char *line = NULL;
    size_t cap = 0;
    while (err == TMB_OK && getline(&line, &cap, in) > 0) {
        const char *folder = note(s, line);
        if (folder && is_main)
            err = read_folder(s, folder);
    }
    free(line);
    fclose(in);
    return err;
}

tmb_err tmb_broker_conf_read(const char *file, tmb_broker_conf *ret_conf)
{
    tmb_broker_conf conf = {.max_queued_messages = 1000, .max_inflight_messages = 20};
    scan s = {.conf = &conf, .db_name = "mosquitto.db"};
    if (strlen(file) >= sizeof conf.file)
        return TMB_ELIMIT;
    memcpy(conf.file, file, strlen(file) + 1);
    tmb_err err = read_file(&s, file, true);
    if (err != TMB_OK)
        return err;
    end_bridge(&s);
    int len = s.location[0]
                  ? snprintf(conf.db_file, sizeof conf.db_file, "%s/%s", s.location, s.db_name)
                  : snprintf(conf.db_file, sizeof conf.db_file, "%s", s.db_name);
    if (len < 0 || (size_t)len >= sizeof conf.db_file)
        return TMB_ELIMIT;
    *ret_conf = conf;
    return TMB_OK;
}

/* check_sizes gives how many lines it wrote. */
static unsigned check_sizes(const tmb_broker_conf *conf, bool has_children, FILE *errors)
{
    unsigned wrong = 0;
    if (conf->message_size_limit != 0 && ++wrong)
        fprintf(errors,
                "%s: message_size_limit %lld drops larger messages and acks them to MQTT 3.1.1; "
                "set: message_size_limit 0\n",
                conf->file, (long long)conf->message_size_limit);
    if (has_children && conf->max_packet_size != 0 &&
        conf->max_packet_size < TMB_MAX_PACKET_SIZE_MIN && ++wrong)
        fprintf(errors,
                "%s: max_packet_size %lld keeps children's large frames out, which they would send "
                "for ever; set: max_packet_size %d\n",
                conf->file, (long long)conf->max_packet_size, TMB_MAX_PACKET_SIZE_MIN);
    return wrong;
}

tmb_err tmb_broker_conf_check(const tmb_broker_conf *conf, bool has_children, FILE *errors)
{
    unsigned wrong = check_sizes(conf, has_children, errors);
    if (conf->per_listener_settings && ++wrong)
        fprintf(errors,
                "%s: with per_listener_settings true the broker never calls the plugin's tick; "
                "set: per_listener_settings false\n",
                conf->file);
    if (!conf->persistence && ++wrong)
        fprintf(errors, "%s: sessions would not survive the broker; add: persistence true\n",
                conf->file);
    if ((conf->max_queued_messages < TMB_MAX_QUEUED_MESSAGES_MIN ||
         conf->max_queued_messages > TMB_MAX_QUEUED_MESSAGES_MAX) &&
        ++wrong)
        fprintf(errors,
                "%s: max_queued_messages is %lld%s, it must be from %d to %d; "
                "set: max_queued_messages 1000000\n",
                conf->file, (long long)conf->max_queued_messages,
                conf->max_queued_messages == 1000
                    ? " (the broker's default), which drops messages to offline sessions in silence"
                    : "",
                TMB_MAX_QUEUED_MESSAGES_MIN, TMB_MAX_QUEUED_MESSAGES_MAX);
    if (conf->max_queued_bytes != 0 && ++wrong)
        fprintf(errors,
                "%s: max_queued_bytes %lld drops messages to offline sessions in silence; "
                "set: max_queued_bytes 0\n",
                conf->file, (long long)conf->max_queued_bytes);
    if (conf->has_plugin_before && ++wrong)
        fprintf(errors,
                "%s: another plugin comes first and could open $tombolo/ to everybody; move above "
                "it: plugin .../" PLUGIN_FILE "\n",
                conf->file);
    return wrong ? TMB_ECONFIG : TMB_OK;
}

static void tell_bridges(const char *file, const tmb_bridges *bridges, const char *rest,
                         FILE *warnings)
{
    if (bridges->count == 0)
        return;
    fprintf(warnings, "%s: the bridge \"%s\"", file, bridges->first);
    if (bridges->count > 1)
        fprintf(warnings, " (the first of %u)", bridges->count);
    fprintf(warnings, " %s\n", rest);
}

void tmb_broker_conf_warn(const tmb_broker_conf *conf, FILE *warnings)
{
    if (conf->max_inflight_messages != 0)
        tell_bridges(
            conf->file, &conf->bridges_v3,
            "speaks MQTT 3.1.1, with which this broker can leave it standing: connected, and "
            "nothing is sent; add below its connection line: bridge_protocol_version mqttv50",
            warnings);
    tell_bridges(conf->file, &conf->bridges_qos2,
                 "sends with QoS 2, which behind a backlog loses messages or stands still; "
                 "give its topic lines QoS 1, and add: bridge_protocol_version mqttv50",
                 warnings);
}

tmb_err tmb_broker_conf_check_state(const tmb_broker_conf *conf, uint64_t value_max, FILE *errors)
{
    uint64_t packet = value_max + TMB_VALUE_PACKET_EXTRA;
    unsigned wrong = 0;
    if (conf->has_no_retain && ++wrong)
        fprintf(errors,
                "%s: values of state are retained messages; remove retain_available false\n",
                conf->file);
    if (conf->max_packet_size != 0 && (uint64_t)conf->max_packet_size < packet && ++wrong)
        fprintf(errors,
                "%s: max_packet_size %lld is less than a value of state may need; set: "
                "max_packet_size %llu, or a smaller state.value_max\n",
                conf->file, (long long)conf->max_packet_size, (unsigned long long)packet);
    return wrong > 0 ? TMB_ECONFIG : TMB_OK;
}
