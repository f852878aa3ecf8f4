// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_value.h - the retained messages of a path, made out of its leaves.
 *
 * Threads: one at a time; make is blocking.
 */
#ifndef TMB_SYNCD_DAEMON_STATE_VALUE_H
#define TMB_SYNCD_DAEMON_STATE_VALUE_H

#include "config/config.h"
#include "syncd/state/scope.h"

struct tmb_state_twins;

/* One message. Its strings are its own. */
typedef struct tmb_said {
    char *topic;
    uint8_t *payload; /* empty: nothing is there any more, the retained message goes */
    size_t len;
    char *token;         /* NULL: none */
    bool is_json, is_pb; /* neither: a register's bytes */
    unsigned item;       /* the path's, among those of a flush */
    int id;              /* while its PUBACK is due */
} tmb_said;

typedef struct tmb_said_list {
    tmb_said *v;
    size_t count, cap;
    size_t bytes;
    bool is_draft; /* what would be said, for who compares: none of it is */
} tmb_said_list;

/* tmb_said_add copies; payload may be empty, token NULL. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_said_add(tmb_said_list *list, unsigned item, const char *topic,
                                  tmb_bytes payload, const char *token, bool is_json, bool is_pb);
void tmb_said_clear(tmb_said_list *list);

/* tmb_state_value_make adds the messages of path: its value, and what else is published about it. had: which
 * outputs (bits by tmb_state_output) are retained of it now, by our own account; those that are no more are
 * cleared; ret_has: as it is then. The delta of the twin that path is of is among them. Errors: of the kv;
 * TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_state_value_make(const tmb_config *config, struct tmb_state_twins *twins,
                                          tmb_scope *scope, tmb_bytes path, unsigned item,
                                          unsigned had, tmb_said_list *list, unsigned *ret_has);

#endif
