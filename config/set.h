// SPDX-License-Identifier: Apache-2.0
/* config/set.h - one value of the tree into its field, checked as the table of keys says.
 *
 * What is wrong with it is told to the report, the node is marked bad and the field stays as it was.
 * Threads: none. Cost: at most one allocation, and one a topic filter.
 */
#ifndef TMB_CONFIG_SET_H
#define TMB_CONFIG_SET_H

#include "config/schema.h"
#include "config/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_config_set puts node's value into the field of key in base (a tmb_config or a tmb_stream_policy).
 * folder (absolute, borrowed) is where relative paths begin. Errors: TMB_ECONFIG (told), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_config_set(const tmb_config_key *key, void *base, tmb_node *node,
                                    const char *folder, tmb_report *report);

/* tmb_config_set_topics is tmb_config_set for the list of filters of a stream. */
TMB_MUST_USE tmb_err tmb_config_set_topics(tmb_stream_policy *stream, tmb_node *node,
                                           tmb_report *report);

/* tmb_config_set_schedule is tmb_config_set for parent.schedule. */
TMB_MUST_USE tmb_err tmb_config_set_schedule(tmb_schedule *schedule, tmb_node *node,
                                             const char *folder, tmb_report *report);

/* tmb_config_set for a list of scopes, and for state.share. */
TMB_MUST_USE tmb_err tmb_config_set_scopes(const char *path, tmb_state_scopes *scopes,
                                           tmb_node *node, tmb_report *report);
TMB_MUST_USE tmb_err tmb_config_set_shares(tmb_state_shares *shares, tmb_node *node,
                                           const char *folder, tmb_report *report);

#define TMB_CONFIG_DAYS_TEXT 8

/* tmb_config_days_format writes the days of an entry as they would stand in a file. */
void tmb_config_days_format(uint8_t days, char ret_text[TMB_CONFIG_DAYS_TEXT]);

/* tmb_config_template_is_right says whether node's text may be children.topic, and tells when not. */
bool tmb_config_template_is_right(const char *path, tmb_node *node, tmb_report *report);

/* tmb_config_tell_kind tells that node is not what path wants. */
void tmb_config_tell_kind(const char *path, const char *wanted, tmb_node *node, tmb_report *report);

void tmb_config_free_topics(tmb_stream_policy *stream);

/* tmb_config_set_endpoints is tmb_config_set for a list of brokers; what it replaces is freed. */
TMB_MUST_USE tmb_err tmb_config_set_endpoints(tmb_config_endpoints *endpoints, tmb_node *node,
                                              const char *folder, tmb_report *report);
void tmb_config_free_endpoints(tmb_config_endpoints *endpoints);

/* tmb_config_copy gives a copy of len bytes with a NUL behind them, to be freed; NULL: out of memory. */
char *tmb_config_copy(const char *text, size_t len);

#ifdef __cplusplus
}
#endif
#endif
