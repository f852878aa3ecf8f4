// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/log.h - one line an event, as logfmt: `level event key=value key="two words"`.
 *
 * Under systemd (JOURNAL_STREAM is set) a line begins with the syslog priority `<N>`, else with the time
 * (ISO 8601, UTC). Each line is one write(2) to standard error. Threads: any.
 */
#ifndef TMB_SYNCD_DAEMON_LOG_H
#define TMB_SYNCD_DAEMON_LOG_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"

typedef enum tmb_log_level {
    TMB_LOG_ERROR = 3,
    TMB_LOG_WARNING = 4,
    TMB_LOG_NOTICE = 5,
    TMB_LOG_INFO = 6
} tmb_log_level;

typedef struct tmb_field {
    const char *key; /* NULL ends a list */
    tmb_bytes text;
    uint64_t number;
    bool is_number;
} tmb_field;

static inline tmb_field tmb_str(const char *key, const char *text)
{
    tmb_field f = {key, tmb_bytes_str(text), 0, false};
    return f;
}

static inline tmb_field tmb_text(const char *key, tmb_bytes text)
{
    tmb_field f = {key, text, 0, false};
    return f;
}

static inline tmb_field tmb_num(const char *key, uint64_t number)
{
    tmb_field f = {key, {NULL, 0}, number, true};
    return f;
}

static inline tmb_field tmb_why(tmb_err err)
{
    return tmb_str("error", tmb_err_str(err));
}

/* tmb_log_begin looks at the environment, once. */
void tmb_log_begin(void);

void tmb_log(tmb_log_level level, const char *event, const tmb_field *fields);

/* tmb_log_format writes the line (with its end) to out; gives its length, cut to cap. */
size_t tmb_log_format(tmb_log_level level, const char *event, const tmb_field *fields, char *out,
                      size_t cap);

/* LOG(TMB_LOG_INFO, "link.up", tmb_str("host", host), tmb_num("port", port)); at least one field. */
#define LOG(level, event, ...) tmb_log(level, event, (const tmb_field[]){__VA_ARGS__, {0}})

#endif
