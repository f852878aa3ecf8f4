// SPDX-License-Identifier: Apache-2.0
/* policy/weights.h - which part of a hub's time each child gets when all have a backlog: "press-*=4
 * test-2=1".
 *
 * Words PATTERN=WEIGHT, between them spaces. A pattern is a child's name, or the beginning of names and a
 * "*". The first that matches counts; a child that none matches has weight 1. Threads: any, read only.
 * Cost: a walk over the text.
 */
#ifndef TMB_POLICY_WEIGHTS_H
#define TMB_POLICY_WEIGHTS_H

#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_WEIGHT_MAX 100u

/* tmb_weights_check gives TMB_OK; TMB_EINVAL and in ret_bad the word that is none of these; or TMB_ECONFIG
 * and the word whose every child one before it takes. Cost: the square of the words. */
TMB_MUST_USE tmb_err tmb_weights_check(const char *weights, tmb_bytes *ret_bad);

/* tmb_weight_of gives the weight of the child called name; weights has been checked. */
unsigned tmb_weight_of(const char *weights, tmb_bytes name);

#ifdef __cplusplus
}
#endif
#endif
