// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/fuzz.h - the one function of a fuzz target, as libFuzzer calls it. */
#ifndef TMB_TESTS_FUZZ_FUZZ_H
#define TMB_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes any bytes; must return 0, leak nothing and keep nothing. */
__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
