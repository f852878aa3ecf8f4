// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/pace.c - for each site the time at which its bucket will be full again.
 *
 *   ----- now ------------ full_at --->     frames sent: (full_at - now) / interval; too many: above burst
 *
 * uthash keeps the order in which sites came: the head of the table is the one to forget.
 */
#define HASH_NONFATAL_OOM 1
#include "broker-plugin/pace.h"

#include <stdlib.h>
#include <uthash.h>

#define INTERVAL_NS (INT64_C(1000000000) / TMB_SITE_FRAMES_PER_S_MAX)
#define BURST_NS    INT64_C(2000000000)

typedef struct site {
    UT_hash_handle hh;
    int64_t full_at_ns;
    char name[TMB_NAME_BYTES_MAX];
} site;

struct tmb_pace {
    site *sites;
};

tmb_err tmb_pace_new(tmb_pace **ret_pace)
{
    tmb_pace *pace = calloc(1, sizeof *pace);
    if (!pace)
        return TMB_ENOMEM;
    *ret_pace = pace;
    return TMB_OK;
}

static void forget(tmb_pace *pace, site *s)
{
    /* The analyzer loses track of the links that uthash keeps. */
    HASH_DEL(pace->sites, s); /* NOLINT(clang-analyzer-*) */
    free(s);
}

void tmb_pace_free(tmb_pace *pace)
{
    if (!pace)
        return;
    site *s, *next;
    HASH_ITER(hh, pace->sites, s, next)
    {
        forget(pace, s);
    }
    free(pace);
}

static site *add(tmb_pace *pace, tmb_bytes name)
{
    if (HASH_COUNT(pace->sites) >= TMB_CHILDREN_MAX)
        forget(pace, pace->sites);
    site *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    memcpy(s->name, name.ptr, name.len);
    HASH_ADD_KEYPTR(hh, pace->sites, s->name, name.len, s); /* NOLINT(clang-analyzer-*): as above */
    if (s->hh.tbl)
        return s;
    free(s);
    return NULL;
}

bool tmb_pace_take(tmb_pace *pace, tmb_bytes name, tmb_mono now)
{
    site *s = NULL;
    TMB_ASSERT(name.len > 0 && name.len <= TMB_NAME_BYTES_MAX);
    HASH_FIND(hh, pace->sites, name.ptr, name.len, s);
    if (!s && !(s = add(pace, name)))
        return true;
    int64_t full_at_ns = s->full_at_ns > now.ns ? s->full_at_ns : now.ns;
    if (full_at_ns - now.ns > BURST_NS - INTERVAL_NS)
        return false;
    s->full_at_ns = full_at_ns + INTERVAL_NS;
    return true;
}
