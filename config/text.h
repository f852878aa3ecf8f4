// SPDX-License-Identifier: Apache-2.0
/* config/text.h - bytes of a file before anybody reads them as YAML.
 *
 * Threads: any. Cost: one pass.
 */
#ifndef TMB_CONFIG_TEXT_H
#define TMB_CONFIG_TEXT_H

#include "config/report.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_text_check says whether text is UTF-8 without control characters, and tells the first that is not. */
bool tmb_text_check(tmb_bytes text, tmb_report *report);

/* tmb_text_place gives line and column of a byte; at the end for offsets behind it. */
tmb_place tmb_text_place(tmb_bytes text, size_t offset);

#ifdef __cplusplus
}
#endif
#endif
