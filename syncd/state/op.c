// SPDX-License-Identifier: Apache-2.0
/* syncd/state/op.c - words for what became of an operation. */
#include "syncd/state/op.h"

#include <assert.h>

#include "proto/leaves.h"

static_assert(TMB_PATH_LEVELS_MAX == TMB_LEAF_PATH_LEVELS_MAX &&
                  TMB_PATH_BYTES_MAX == TMB_LEAF_PATH_BYTES_MAX &&
                  TMB_ELEMENT_BYTES_MAX == TMB_LEAF_ELEM_BYTES_MAX,
              "what an operation may name travels, and nothing else does");

const char *tmb_verdict_str(tmb_verdict verdict)
{
    switch (verdict) {
    case TMB_VERDICT_DONE:
        return "done";
    case TMB_VERDICT_SAME:
        return "same";
    case TMB_VERDICT_REPEAT:
        return "repeat";
    case TMB_VERDICT_STALE:
        return "stale";
    case TMB_VERDICT_AHEAD:
        return "ahead";
    case TMB_VERDICT_TOKEN:
        return "token";
    case TMB_VERDICT_SIBLINGS:
        return "siblings";
    case TMB_VERDICT_LIMIT:
        return "limit";
    case TMB_VERDICT_OWNER:
        return "owner";
    case TMB_VERDICT_SCOPE:
        return "scope";
    case TMB_VERDICT_MALFORMED:
        return "malformed";
    case TMB_VERDICT_SATURATED:
        return "saturated";
    }
    return "unknown";
}
