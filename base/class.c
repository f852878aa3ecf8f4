// SPDX-License-Identifier: Apache-2.0
/* base/class.c - names. */
#include "base/class.h"

const char *tmb_class_str(tmb_class class_)
{
    switch (class_) {
    case TMB_CLASS_CONTROL:
        return "control";
    case TMB_CLASS_ALARM:
        return "alarm";
    case TMB_CLASS_STATE:
        return "state";
    case TMB_CLASS_TELEMETRY:
        return "telemetry";
    case TMB_CLASS_BULK:
        return "bulk";
    }
    return "unknown";
}
