// SPDX-License-Identifier: Apache-2.0
/* tests/golden/proto_v1.h - what the golden files of version 1 hold, by name. Never edited, only added to. */
#ifndef TMB_TESTS_GOLDEN_PROTO_V1_H
#define TMB_TESTS_GOLDEN_PROTO_V1_H

#include "proto/frame.h"

#define GOLDEN_BATCH_RECORDS 20u
#define GOLDEN_BATCH_FIRST   UINT64_C(1000)

/* Names of the files; each list ends with NULL. */
extern const char *const golden_records[];
extern const char *const golden_frames[];

tmb_record golden_record(const char *file);

/* BATCH frames come without data: golden_batch_raw gives the records of all of them. */
tmb_frame golden_frame(const char *file);

/* The i-th record of the batches, and of commit.bin (there two, numbers and stamps zero). */
tmb_record golden_batch_record(unsigned i);
tmb_record golden_commit_record(unsigned i);

#endif
