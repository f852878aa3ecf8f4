// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/log.c - lines for people and for journald.
 *
 * Bytes that came from a peer (names, reasons) go into the log too, so everything that is not plain text is
 * escaped: no line break, no terminal control, can be forged.
 */
#include "syncd/daemon/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 2048

static bool has_priority; /* set before any thread is started */

void tmb_log_begin(void)
{
    has_priority = getenv("JOURNAL_STREAM") != NULL;
}

static const char *level_name(tmb_log_level level)
{
    switch (level) {
    case TMB_LOG_ERROR:
        return "error";
    case TMB_LOG_WARNING:
        return "warning";
    case TMB_LOG_NOTICE:
        return "notice";
    case TMB_LOG_INFO:
        break;
    }
    return "info";
}

static void put_text(tmb_writer *w, const char *text)
{
    tmb_put_bytes(w, tmb_bytes_str(text));
}

static bool is_plain(tmb_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return false;
    }
    return text.len > 0;
}

static void put_value(tmb_writer *w, tmb_bytes text)
{
    if (is_plain(text)) {
        tmb_put_bytes(w, text);
        return;
    }
    put_text(w, "\"");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            (void)snprintf(escaped, sizeof escaped, "\\%c", c);
            put_text(w, escaped);
        } else if (c < ' ' || c == 0x7f) {
            (void)snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned)c);
            put_text(w, escaped);
        } else {
            tmb_put_u8(w, c);
        }
    }
    put_text(w, "\"");
}

size_t tmb_log_format(tmb_log_level level, const char *event, const tmb_field *fields, char *out,
                      size_t cap)
{
    TMB_ASSERT(cap > 1);
    tmb_writer w = tmb_writer_of(out, cap - 1);
    put_text(&w, level_name(level));
    put_text(&w, " ");
    put_text(&w, event);
    for (; fields && fields->key && !w.bad; fields++) {
        put_text(&w, " ");
        put_text(&w, fields->key);
        put_text(&w, "=");
        if (fields->is_number) {
            char number[24];
            (void)snprintf(number, sizeof number, "%llu", (unsigned long long)fields->number);
            put_text(&w, number);
        } else {
            put_value(&w, fields->text);
        }
    }
    *w.at++ = '\n';
    return (size_t)((char *)w.at - out);
}

void tmb_log(tmb_log_level level, const char *event, const tmb_field *fields)
{
    char line[LINE_BYTES_MAX];
    int at = 0;
    if (has_priority) {
        at = snprintf(line, sizeof line, "<%d>", (int)level);
    } else {
        struct timespec now;
        struct tm date;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)gmtime_r(&now.tv_sec, &date);
        size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &date);
        at = (int)len + snprintf(line + len, sizeof line - len, ".%03ldZ ", now.tv_nsec / 1000000);
    }
    size_t len =
        (size_t)at + tmb_log_format(level, event, fields, line + at, sizeof line - (size_t)at);
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nowhere to complain */
}
