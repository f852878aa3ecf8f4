// SPDX-License-Identifier: Apache-2.0
/* base/crc32c.h - CRC-32C (Castagnoli), as of RFC 3720 appendix B.4.
 *
 * Finds every single-bit flip and every burst of up to 32 bits. Threads: any. Cost: an
 * instruction each eight bytes on x86-64, else a table look-up a byte.
 */
#ifndef TMB_BASE_CRC32C_H
#define TMB_BASE_CRC32C_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_crc32c gives the checksum of b that continues crc; start with 0. */
uint32_t tmb_crc32c(uint32_t crc, tmb_bytes b);

/* tmb_crc32c_by_table is the same without the processor's instruction: what other machines run, and what
 * the test compares with. */
uint32_t tmb_crc32c_by_table(uint32_t crc, tmb_bytes b);

#ifdef __cplusplus
}
#endif
#endif
