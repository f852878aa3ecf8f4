// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/state_rule.h - what a topic below state.root is to the plugin, and what is said when it is
 * nothing that a client may publish to.
 *
 * Threads: any. Cost: one pass over the topic; of a refusal, the distance of one word to each verb.
 */
#ifndef TMB_BROKER_PLUGIN_STATE_RULE_H
#define TMB_BROKER_PLUGIN_STATE_RULE_H

#include "base/bytes.h"
#include "policy/state_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_state_rule_covers says whether state is on and topic is its root or below it. */
bool tmb_state_rule_covers(const tmb_state_policy *state, tmb_bytes topic);

/* tmb_state_rule_is_op says whether topic is one for an operation, of whatever scope. */
bool tmb_state_rule_is_op(const tmb_state_policy *state, tmb_bytes topic);

/* tmb_state_rule_fault gives false when a client may publish to topic; else a sentence with the cure, without
 * quotes, so that it stands in JSON as it is. */
#define TMB_STATE_WHY_BYTES 192u
bool tmb_state_rule_fault(const tmb_state_policy *state, tmb_bytes topic,
                          char ret_why[TMB_STATE_WHY_BYTES]);

/* tmb_state_rule_error writes the topic on which a refusal is told; false when it would be too long. */
#define TMB_STATE_ERROR_BYTES 1025u
bool tmb_state_rule_error(const char *topic, char out[TMB_STATE_ERROR_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
