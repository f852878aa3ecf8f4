// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/pace.h - how many frames a site may send: a bucket each, by the name in its certificate.
 *
 * The frames of all sites wait in one queue of the broker, towards its syncd; without a pace one site could
 * make all others wait, and fill the broker's memory. At most TMB_SITE_FRAMES_PER_S_MAX a second, with two
 * seconds' worth at once. At TMB_CHILDREN_MAX sites the one that came first is forgotten,
 * which gives it a full bucket when it comes again.
 * Source: the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371, annex A.
 * Threads: none. Cost: one look-up.
 */
#ifndef TMB_BROKER_PLUGIN_PACE_H
#define TMB_BROKER_PLUGIN_PACE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/time.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmb_pace tmb_pace;

/* gives ret_pace. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_pace_new(tmb_pace **ret_pace);
void tmb_pace_free(tmb_pace *pace);

/* tmb_pace_take says whether site may send one more frame now; true also when there is no memory to count. */
TMB_MUST_USE bool tmb_pace_take(tmb_pace *pace, tmb_bytes site, tmb_mono now);

#ifdef __cplusplus
}
#endif
#endif
