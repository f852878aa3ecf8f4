// SPDX-License-Identifier: Apache-2.0
/* syncd/state/op.h - one operation on a scope's state, as it was asked for, and what became of it.
 *
 *   message in the journal --syncd/bus: topic, payload, properties--> tmb_op --tmb_scope_apply--> verdict
 *
 * Threads: none, values.
 */
#ifndef TMB_SYNCD_STATE_OP_H
#define TMB_SYNCD_STATE_OP_H

#include "base/limits.h"
#include "crdt/type.h"

/* Levels of a scope's name are those of a node's name (proto/frame.h); of a path: 1 to this many, together at
 * most so many bytes, UTF-8, none empty. More: refused, the error says which. */
#define TMB_PATH_LEVELS_MAX 12u
#define TMB_PATH_BYTES_MAX  512u
/* An element of a set. Longer: refused. */
#define TMB_ELEMENT_BYTES_MAX 1024u
/* A register's bytes. More: refused. */
#define TMB_REGISTER_BYTES_MAX 65536u
/* Elements of one operation. More: refused. */
#define TMB_OP_VALUES_MAX 1024u
/* Leaves that one operation changes (del of a large map). More: refused; del its parts first. */
#define TMB_OP_LEAVES_MAX 65536u
/* Callers of one scope whose last number is remembered. At the limit the one that was heard longest ago is
 * forgotten: a retry of his would count again. */
#define TMB_CALLERS_MAX 65536u

typedef struct tmb_op {
    tmb_verb verb;
    tmb_bytes scope, path;
    /* Elements of a set; 1: a register's bytes, or the ordered bytes of raise and lower. */
    unsigned values_count;
    const tmb_bytes *values;
    uint64_t amount; /* of inc, dec, count */
    tmb_hlc stamp;   /* from the record, folded by the clock of the scope's node */
    tmb_bytes run;   /* idempotency: numbers of one run rise; empty: none */
    uint64_t number;
    tmb_bytes token; /* what the client had read (tmb_token in scope.h); empty: all that is here */
    bool is_unchanged; /* only if what the token was read of is still so */
} tmb_op;

typedef enum tmb_verdict {
    TMB_VERDICT_DONE = 0,
    TMB_VERDICT_SAME,   /* nothing to change: it was so */
    TMB_VERDICT_REPEAT, /* a number that was applied before */
    TMB_VERDICT_STALE,  /* refused: changed since the token was read; read again */
    TMB_VERDICT_AHEAD, /* refused: the token knows more than this node; try again when it has come */
    TMB_VERDICT_TOKEN,    /* refused: not a token of this scope */
    TMB_VERDICT_SIBLINGS, /* refused: too many concurrent values; read, and write with the token */
    TMB_VERDICT_LIMIT,    /* refused: another limit above or in scope.h; text says which */
    TMB_VERDICT_OWNER, /* refused: only the scope's own node writes here (reported values of a twin) */
    TMB_VERDICT_SCOPE, /* refused: this node does not hold the scope, or may only read it */
    TMB_VERDICT_MALFORMED, /* refused: topic, payload or property; text says where and what would be right */
    TMB_VERDICT_SATURATED /* done as far as it goes: the counter stands at its end */
} tmb_verdict;

/* Words for error topics, logs and JSON ("done", "stale" ...); static text. */
const char *tmb_verdict_str(tmb_verdict verdict);

#endif
