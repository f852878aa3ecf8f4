// SPDX-License-Identifier: Apache-2.0
/* tests/golden/proto_v3.h - what the golden files of version 3 hold, by name: what it added to version 2,
 * whose files stay as they are. Never edited, only added to. */
#ifndef TMB_TESTS_GOLDEN_PROTO_V3_H
#define TMB_TESTS_GOLDEN_PROTO_V3_H

#include "proto/frame.h"

/* Names of the files; the list ends with NULL. */
extern const char *const golden_v3_frames[];

/* golden_v3_frame gives the frame with its data, which lives until the next call. */
tmb_frame golden_v3_frame(const char *file);

#endif
