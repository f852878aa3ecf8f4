// SPDX-License-Identifier: Apache-2.0
/* policy/state_topic.h - topics of state, taken apart and put together.
 *
 *   state/line-7/press/3/parts/inc          an operation: scope line-7, path press/3/parts, verb inc
 *   state/line-7/press/3/parts              the value of that path, retained; this node alone publishes it
 *   state/line-7/press/3/parts/conflicts    and what else it publishes about the path
 *
 * The last level decides: a verb of crdt/type.h, a word of the outputs, or else the last level of a path. So
 * these words end no path, and nothing has to be looked up to know what a topic is.
 * Threads: any. Cost: one pass over the topic.
 */
#ifndef TMB_POLICY_STATE_TOPIC_H
#define TMB_POLICY_STATE_TOPIC_H

#include "base/bytes.h"
#include "base/limits.h"
#include "crdt/type.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels of a path, and bytes of it with the slashes between. More: refused, the sentence says which. */
#define TMB_STATE_PATH_LEVELS_MAX 12u
#define TMB_STATE_PATH_BYTES_MAX  512u
/* Elements of one operation. More: refused. */
#define TMB_STATE_ELEMENTS_MAX 1024u

typedef enum tmb_state_kind {
    TMB_STATE_ELSEWHERE = 0, /* not below the root */
    TMB_STATE_OP,
    TMB_STATE_VALUE,
    TMB_STATE_OUTPUT, /* its path may be empty: about the scope */
    TMB_STATE_BAD     /* below the root, and none of these: why says what is wrong and the cure */
} tmb_state_kind;

/* clang-format off */
#define TMB_STATE_OUTPUT_LIST(X)                                                                   \
    X(CONFLICTS, "conflicts") X(ERROR, "error") X(DELTA, "delta") X(PB, "pb")
/* clang-format on */

typedef enum tmb_state_output {
    TMB_STATE_OUTPUT_NONE = 0,
#define TMB_STATE_OUTPUT_ENUM(name, word) TMB_STATE_OUTPUT_##name,
    TMB_STATE_OUTPUT_LIST(TMB_STATE_OUTPUT_ENUM)
#undef TMB_STATE_OUTPUT_ENUM
} tmb_state_output;

/* Slices of the topic. */
typedef struct tmb_state_topic {
    tmb_state_kind kind;
    tmb_bytes scope, path;
    tmb_verb verb;
    tmb_state_output output;
    tmb_bytes last;  /* the last level */
    const char *why; /* static text, of TMB_STATE_BAD alone */
} tmb_state_topic;

/* tmb_state_topic_is_below says whether topic is root or below it. */
bool tmb_state_topic_is_below(const char *root, tmb_bytes topic);

/* tmb_state_topic_parse takes a topic apart; root is one level. */
tmb_state_topic tmb_state_topic_parse(const char *root, tmb_bytes topic);

/* tmb_state_path_check gives NULL, or the sentence that says what is wrong with path. */
const char *tmb_state_path_check(tmb_bytes path);

/* tmb_state_topic_write writes root/scope/path, or root/scope/path/output, and a NUL; path may be empty.
 * Gives the length without it. cap TMB_STATE_TOPIC_BYTES_MAX + 1 is enough for what parse gives; more is
 * cut. */
#define TMB_STATE_TOPIC_BYTES_MAX 1024u
size_t tmb_state_topic_write(const char *root, tmb_bytes scope, tmb_bytes path,
                             tmb_state_output output, char *out, size_t cap);

/* Static text; "" for none. */
const char *tmb_state_output_str(tmb_state_output output);

#ifdef __cplusplus
}
#endif
#endif
