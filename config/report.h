// SPDX-License-Identifier: Apache-2.0
/* config/report.h - the mistakes found in one file, told at the end in the order of their places.
 *
 * Threads: none. Cost: one allocation a mistake; when memory runs out the report says so by
 * is_out_of_memory and tells nothing.
 */
#ifndef TMB_CONFIG_REPORT_H
#define TMB_CONFIG_REPORT_H

#include <stdio.h>

#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Both count from 1, columns in characters. */
typedef struct tmb_place {
    unsigned line, column;
} tmb_place;

typedef struct tmb_mistake {
    struct tmb_mistake *next;
    tmb_place place;
    char text[512];
} tmb_mistake;

typedef struct tmb_report {
    tmb_mistake *first; /* sorted by place; those of one place in the order they were added */
    bool is_out_of_memory;
} tmb_report;

/* tmb_report_add adds one sentence, which ends with the cure. Control bytes in it become '?'. */
void tmb_report_add(tmb_report *report, tmb_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* tmb_report_write prints each mistake as "name:line:column: sentence". */
void tmb_report_write(const tmb_report *report, const char *name, FILE *out);
void tmb_report_clear(tmb_report *report);

/* A value cut to what fits into a sentence, at a whole character, with "..." when something is missing. */
typedef struct tmb_shown {
    char text[72];
} tmb_shown;

tmb_shown tmb_show(const char *text, size_t len);

#ifdef __cplusplus
}
#endif
#endif
