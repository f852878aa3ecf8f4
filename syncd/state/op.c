// SPDX-License-Identifier: Apache-2.0
/* syncd/state/op.c - words for what became of an operation. */
#include "syncd/state/op.h"

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
