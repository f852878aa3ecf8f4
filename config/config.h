// SPDX-License-Identifier: Apache-2.0
/* config/config.h - one YAML file a node, read into a checked struct.
 *
 * All mistakes are told at once, each with its place and its cure:
 *   site.yaml:12:5: unknown key "retension", did you mean "retention"?
 * Every key, its default and its unit: the files in config/samples and `tombolo-syncd --check --config FILE`.
 * Threads: none. Cost: one pass at start.
 */
#ifndef TMB_CONFIG_CONFIG_H
#define TMB_CONFIG_CONFIG_H

#include <stdio.h>

#include "base/err.h"
#include "base/limits.h"
#include "config/schedule.h"
#include "policy/policy.h"
#include "policy/state_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A broker to connect to. host NULL: not configured. */
typedef struct tmb_config_endpoint {
    char *host;
    unsigned port; /* 8883 */
} tmb_config_endpoint;

typedef struct tmb_config_endpoints {
    unsigned count;
    tmb_config_endpoint v[TMB_FALLBACKS_MAX];
} tmb_config_endpoints;

typedef struct tmb_config {
    char *node; /* name; the certificate's URI SAN must be spiffe://<domain>/site/<node> */
    char *domain;
    char *data_dir; /* journal in <data_dir>/journal, syncd's store in <data_dir>/syncd */

    /* One called "default" taking "#" when none is named; with scopes of state the stream of their
     * operations behind these; the ledger is always there, the last. */
    tmb_policy policy;

    uint64_t journal_segment_bytes; /* 64 MiB */
    char *journal_ring;             /* "auto", "off", or an absolute folder in memory (tmpfs) */

    uint64_t disk_reserve; /* 16 MiB: kept free for what must be written on a full disk; 0: none */

    /* The broker is asked for a snapshot at least this often while there is traffic. */
    int64_t checkpoint_interval_ms; /* 60 s */
    uint64_t checkpoint_records;    /* 50,000: or after so many records */
    uint64_t checkpoint_bytes;      /* 64 MiB: or after so many bytes */

    tmb_config_endpoint broker;     /* this node's own broker, for a node with children */
    tmb_config_endpoint parent;     /* the parent's broker; none at the top */
    tmb_config_endpoints fallbacks; /* behind it, by preference */
    int64_t move_after_ms;          /* 60 s without a session: to the next of them */
    int64_t return_after_ms;        /* 10 min of answered probes: back to a more preferred one */
    int64_t backoff_base_ms;        /* 500 ms */
    int64_t backoff_cap_ms;         /* 30 s */
    int64_t ack_timeout_ms;         /* 5 s */
    int64_t keepalive_ms;           /* 10 s */
    uint64_t batch_bytes;           /* 256 KiB */
    uint64_t rate;                  /* bits a second of the link to the parent; 0: no limit */
    tmb_schedule schedule;          /* and when another one */

    bool children_accept;               /* false */
    char *children_topic;               /* "{site}/{topic}"; also {stream} */
    uint64_t children_memory;           /* 64 MiB: for what children send, until it is stored */
    char *children_weights;             /* as policy/weights.h has them; "*=1": all alike */
    uint64_t children_handshakes_per_s; /* 0: as measured */
    int64_t children_window_min_ms;     /* 1 s */

    tmb_state_policy state; /* off unless it has scopes */

    char *tls_ca_file, *tls_cert_file, *tls_key_file; /* needed with a parent, children or state */
} tmb_config;

/* tmb_config_load reads file into a new struct; paths in it that are not absolute are taken from the
 * file's folder. Each mistake is one line to errors (borrowed; NULL: nowhere), all of them before it
 * returns. gives ret_config: free with tmb_config_free.
 * Errors: TMB_ECONFIG (told), TMB_ENOENT or TMB_EIO (cannot be read; told), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_config_load(const char *file, FILE *errors, tmb_config **ret_config);

/* tmb_config_load_text is the same for text in memory; name stands for the file in messages. */
TMB_MUST_USE tmb_err tmb_config_load_text(const char *name, const char *text, size_t len,
                                          FILE *errors, tmb_config **ret_config);
void tmb_config_free(tmb_config *config);

/* tmb_config_print writes the effective configuration, defaults included, as YAML that loads to the same
 * struct; tmb_config_print_json as JSON with bytes and milliseconds as numbers.
 * Errors: TMB_EIO, TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_config_print(const tmb_config *config, FILE *out);
TMB_MUST_USE tmb_err tmb_config_print_json(const tmb_config *config, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
