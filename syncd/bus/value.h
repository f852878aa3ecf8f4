// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/value.h - the leaves of one path, as the payload of its retained value.
 *
 *   register      the bytes as they were set
 *   counters      17
 *   sets          ["wo-17","wo-18"], by bytes
 *   flags         true
 *   max, min      21.5
 *   map           {}
 *   two types     {"clash":{"register":"on","pn_counter":3}}: made on two sides at once; del, and set anew
 *   too large     {"too_large":{"type":"aw_set","count":70000,"bytes":1183022,"max":262144}}
 *   nothing       no bytes: the retained message goes
 *
 * A map that is at a path besides another type is no clash: it says only that the path is there. Bytes of a
 * register in JSON: a text, or {"base64":"..."} where they are no UTF-8.
 *
 * Threads: none. Cost: a leaf: its element is copied, up to the size of a value; afterwards it is only
 * counted, up to TMB_VALUE_COUNT_MAX.
 */
#ifndef TMB_SYNCD_BUS_VALUE_H
#define TMB_SYNCD_BUS_VALUE_H

#include "base/err.h"
#include "proto/leaves.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements of a set that is too large that are counted. More: the stand-in has "count" and "more": true. */
#define TMB_VALUE_COUNT_MAX 100000u

typedef struct tmb_value tmb_value;

/* Bytes that are the value's, until it is reset or freed. */

/* tmb_value_new: bytes_max is state.value_max. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_value_new(uint64_t bytes_max, tmb_value **ret);
void tmb_value_free(tmb_value *value);
void tmb_value_reset(tmb_value *value);

/* tmb_value_add takes in a leaf of the path, in the order of keys (syncd/state/scope.h); leaves of other
 * paths are not to be added. Errors: TMB_ELIMIT (enough: leaves of the path behind this one change nothing
 * any more), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_value_add(tmb_value *value, const tmb_leaf_key *key, const tmb_leaf *leaf);

/* tmb_value_is_there says whether the path has a value. */
bool tmb_value_is_there(const tmb_value *value);

/* tmb_value_payload gives the payload; ret_is_json: it is JSON (a register's bytes may be anything).
 * Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_value_payload(tmb_value *value, tmb_bytes *ret, bool *ret_is_json);

/* tmb_value_name tells who an incarnation is: name_of gives the name of its node, which lives until the next
 * call, or NULL for one that is not known. Until reset. */
typedef const char *tmb_value_name_of(void *arg, const tmb_incarnation *by);
void tmb_value_name(tmb_value *value, tmb_value_name_of *name_of, void *arg);

/* tmb_value_conflicts gives all values of a register that has more than one, the one that is read first:
 *   [{"value":"on","at":"2026-11-22T02:00:00.123Z","stamp":"...","by":"<incarnation>",
 *     "node":"line-7","read":true}, ...]
 * No bytes when it has one. Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_value_conflicts(tmb_value *value, tmb_bytes *ret);

/* tmb_value_protobuf gives a StateValue (proto/state.proto) with token; no bytes for nothing.
 * Errors: TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_value_protobuf(tmb_value *value, tmb_bytes token, tmb_bytes *ret);

#ifdef __cplusplus
}
#endif
#endif
