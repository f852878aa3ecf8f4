// SPDX-License-Identifier: Apache-2.0
/* tests/sim/sanitized.h - built with a sanitizer? Then a world is many times slower and larger, and fewer of
 * them are enough. */
#ifndef TMB_TESTS_SIM_SANITIZED_H
#define TMB_TESTS_SIM_SANITIZED_H

#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SIM_IS_SANITIZED 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#undef SIM_IS_SANITIZED
#define SIM_IS_SANITIZED 1
#endif
#ifndef SIM_IS_SANITIZED
#define SIM_IS_SANITIZED 0
#endif

#endif
