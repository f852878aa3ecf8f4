// SPDX-License-Identifier: Apache-2.0
/* config/print.h - what the two printers share: the keys that are in effect, and their values.
 *
 * Threads: any.
 */
#ifndef TMB_CONFIG_PRINT_H
#define TMB_CONFIG_PRINT_H

#include "config/schema.h"
#include "config/values.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_config_is_shown says whether key stands in a printed file: not when its section is not configured. */
bool tmb_config_is_shown(const tmb_config *config, const tmb_config_key *key);

/* tmb_config_text gives the text of a key whose field is a text or a word, NULL for the other types. */
const char *tmb_config_text(const tmb_config_key *key, const void *base);

/* tmb_config_number gives the number of a key whose field is one. */
uint64_t tmb_config_number(const tmb_config_key *key, const void *base);

#ifdef __cplusplus
}
#endif
#endif
