// SPDX-License-Identifier: Apache-2.0
/* config/walk.h - from the tree into the struct, key by key, and then what the values mean together.
 *
 * Threads: none.
 */
#ifndef TMB_CONFIG_WALK_H
#define TMB_CONFIG_WALK_H

#include "config/schema.h"
#include "config/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_config_set_defaults fills a zeroed config. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_config_set_defaults(tmb_config *config);

/* tmb_config_walk takes every value of the tree below root; mistakes go to report. folder: absolute,
 * borrowed. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_config_walk(tmb_config *config, tmb_node *root, const char *folder,
                                     tmb_report *report);

/* tmb_config_check tells what is wrong between values that are right one by one. */
void tmb_config_check(const tmb_config *config, const tmb_node *root, tmb_report *report);

#ifdef __cplusplus
}
#endif
#endif
