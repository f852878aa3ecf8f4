// SPDX-License-Identifier: Apache-2.0
/* base/class.h - the classes of streams: which lanes of a link go first.
 *
 * The numbers travel in HELLO and are never given another meaning.
 * Threads: any. Cost: none.
 */
#ifndef TMB_BASE_CLASS_H
#define TMB_BASE_CLASS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tmb_class {
    TMB_CLASS_CONTROL = 0,
    TMB_CLASS_ALARM,
    TMB_CLASS_STATE,
    TMB_CLASS_TELEMETRY, /* when nothing is said */
    TMB_CLASS_BULK
} tmb_class;
#define TMB_CLASSES 5

/* tmb_class_str gives the name for configurations, logs and JSON; "unknown" for no class. Static text. */
const char *tmb_class_str(tmb_class class_);

#ifdef __cplusplus
}
#endif
#endif
