// SPDX-License-Identifier: Apache-2.0
/* config/values.h - numbers with units, as people write them, there and back.
 *
 *   size      64MiB, 250kB, 4096     B kB MB GB TB KiB MiB GiB TiB; none: bytes
 *   rate      64kbit/s, 16KiB/s        bit/s kbit/s Mbit/s Gbit/s B/s kB/s MB/s KiB/s MiB/s; in bits a second
 *   duration  60s, 500ms, 30d        ms s m h d; the unit must be there
 *
 * One space may stand before the unit. Units are exact: "Mb" might be bits and "M" either of two sizes.
 * Threads: any. Cost: one pass.
 */
#ifndef TMB_CONFIG_VALUES_H
#define TMB_CONFIG_VALUES_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each says whether text is well-formed. A value too large for 64 bits is given as the largest one, for
 * the range check to refuse. */
bool tmb_count_parse(tmb_bytes text, uint64_t *ret_count);
bool tmb_size_parse(tmb_bytes text, uint64_t *ret_bytes);
bool tmb_rate_parse(tmb_bytes text, uint64_t *ret_bits_per_s);
bool tmb_duration_parse(tmb_bytes text, uint64_t *ret_ms);

#define TMB_VALUE_TEXT_MAX 32

/* Each writes the shortest exact form, in the largest unit that leaves a whole number. */
void tmb_size_format(uint64_t bytes, char ret_text[TMB_VALUE_TEXT_MAX]);
void tmb_rate_format(uint64_t bits_per_s, char ret_text[TMB_VALUE_TEXT_MAX]);
void tmb_duration_format(uint64_t ms, char ret_text[TMB_VALUE_TEXT_MAX]);

#ifdef __cplusplus
}
#endif
#endif
