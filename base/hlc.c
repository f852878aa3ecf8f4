// SPDX-License-Identifier: Apache-2.0
/* base/hlc.c - see base/hlc.h. */
#include "base/hlc.h"

tmb_hlc tmb_hlc_next(tmb_hlc last, tmb_wall now)
{
    /* A box that boots in 1970, or before it, still counts up from what it wrote last. */
    uint64_t ms = now.ms < 0 ? 0 : (uint64_t)now.ms;
    tmb_hlc stamp = {(ms & 0xffffffffffffu) << 16};
    if (stamp.u64 <= last.u64)
        stamp.u64 = last.u64 + 1;
    return stamp;
}
