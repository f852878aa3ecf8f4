// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/broker_conf.h - what the plugin must know of mosquitto.conf, and the check of it.
 *
 * A plugin cannot ask the broker for its settings, so the file is read again, by the broker's own rules:
 * one `key value` a line, `#` in the first column, include_dir from the main file only.
 * Threads: none. Cost: reads the files once.
 */
#ifndef TMB_BROKER_PLUGIN_BROKER_CONF_H
#define TMB_BROKER_PLUGIN_BROKER_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_MAX_QUEUED_MESSAGES_MIN 10000
#define TMB_MAX_QUEUED_MESSAGES_MAX 10000000
/* Room for a frame of a child (TMB_FRAME_BYTES_MAX) and for what is around it. */
#define TMB_MAX_PACKET_SIZE_MIN (32 * 1024 * 1024)

/* Of a bridge's name, with its end; a longer one is told cut. */
#define TMB_BRIDGE_NAME_BYTES 64

/* Bridges of one kind: how many, and the name of the first. */
typedef struct tmb_bridges {
    unsigned count;
    char first[TMB_BRIDGE_NAME_BYTES];
} tmb_bridges;

typedef struct tmb_broker_conf {
    char file[PATH_MAX];    /* the main file */
    char db_file[PATH_MAX]; /* the broker's snapshot */
    bool persistence;
    bool per_listener_settings;
    bool has_no_retain; /* retain_available false */
    bool has_acl_file;
    bool has_bridge;
    tmb_bridges bridges_v3;   /* that send QoS 1, none QoS 2, and do not speak MQTT 5 */
    tmb_bridges bridges_qos2; /* that send QoS 2 */
    bool has_other_plugins;
    bool has_plugin_before;      /* another plugin line comes before ours */
    int64_t max_queued_messages; /* 1000 when the file does not say */
    int64_t max_queued_bytes;
    int64_t max_inflight_messages;               /* 20 when the file does not say; 0: no limit */
    int64_t message_size_limit, max_packet_size; /* 0: none */
} tmb_broker_conf;

/* tmb_broker_conf_find gives the file that a process was told to use by `-c FILE`, from its command line as
 * /proc/<pid>/cmdline has it (cmdline names such a file). Errors: TMB_ENOENT (no -c), TMB_EIO, TMB_ELIMIT. */
TMB_MUST_USE tmb_err tmb_broker_conf_find(const char *cmdline, char ret_file[PATH_MAX]);

/* tmb_broker_conf_read reads file and what it includes.
 * Errors: TMB_EIO (a file cannot be read), TMB_ELIMIT (a path is too long). */
TMB_MUST_USE tmb_err tmb_broker_conf_read(const char *file, tmb_broker_conf *ret_conf);

/* tmb_broker_conf_check writes one line for each setting that would make the plugin's promises untrue, ending
 * with the line that cures it; has_children: frames of children come by this broker.
 * Errors: TMB_ECONFIG (at least one line written). */
TMB_MUST_USE tmb_err tmb_broker_conf_check(const tmb_broker_conf *conf, bool has_children,
                                           FILE *errors);

/* tmb_broker_conf_warn writes a line for settings with which the broker may do well, or not: see the head of
 * broker_conf.c. */
void tmb_broker_conf_warn(const tmb_broker_conf *conf, FILE *warnings);

/* Beside a value of state: its topic, token, and what else is around it. */
#define TMB_VALUE_PACKET_EXTRA 16384
/* tmb_broker_conf_check_state is the same for settings that values of state need; value_max is
 * state.value_max. */
TMB_MUST_USE tmb_err tmb_broker_conf_check_state(const tmb_broker_conf *conf, uint64_t value_max,
                                                 FILE *errors);

#ifdef __cplusplus
}
#endif
#endif
