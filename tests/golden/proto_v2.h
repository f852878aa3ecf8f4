// SPDX-License-Identifier: Apache-2.0
/* tests/golden/proto_v2.h - what the golden files of version 2 hold, by name: what it added to version 1,
 * whose files stay as they are. Never edited, only added to. */
#ifndef TMB_TESTS_GOLDEN_PROTO_V2_H
#define TMB_TESTS_GOLDEN_PROTO_V2_H

#include "proto/frame.h"

/* Names of the files; the list ends with NULL. */
extern const char *const golden_v2_frames[];

/* golden_v2_frame gives the frame with its data, which lives until the next call. */
tmb_frame golden_v2_frame(const char *file);

#endif
