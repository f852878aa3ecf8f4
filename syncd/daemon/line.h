// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/line.h - what the uplink knows about its line: what it carries, for which class, and how much
 * it may carry now.
 *
 * Inner header of the uplink and line.c.
 * Threads: the loop's.
 */
#ifndef TMB_SYNCD_DAEMON_LINE_H
#define TMB_SYNCD_DAEMON_LINE_H

#include <jansson.h>

#include "config/config.h"
#include "syncd/session/session.h"

typedef struct tmb_line {
    uint64_t class_bytes[TMB_CLASSES]; /* of data, packed, sent for the streams of each class */
} tmb_line;

/* tmb_line_count notes data that leaves for a stream of this class. */
void tmb_line_count(tmb_line *line, tmb_class class_, size_t bytes);

/* tmb_line_cap gives what the configuration allows at this moment, by the local clock: bytes a second, 0 for
 * no limit. */
uint64_t tmb_line_cap(const tmb_config *config);

/* tmb_line_stats adds its keys to object. */
void tmb_line_stats(const tmb_line *line, const tmb_pace *pace, json_t *object);

#endif
