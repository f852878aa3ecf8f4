// SPDX-License-Identifier: Apache-2.0
/* proto/frame_check.h - the rules of frame.h, for both ends of the codec; private to proto/. */
#ifndef TMB_PROTO_FRAME_CHECK_H
#define TMB_PROTO_FRAME_CHECK_H

#include "proto/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_frame_check says whether frame keeps the rules on top of proto/frame.h.
 * Errors: TMB_ELIMIT (above a limit of base/limits.h), TMB_ECORRUPT (another rule is broken). */
TMB_MUST_USE tmb_err tmb_frame_check(const tmb_frame *frame);

#ifdef __cplusplus
}
#endif
#endif
