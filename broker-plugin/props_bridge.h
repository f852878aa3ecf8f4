// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/props_bridge.h - MQTT 5 properties: the broker's list to bytes, and back.
 *
 * Through the broker's public functions alone, so that its struct may change. Threads: the broker's.
 * Cost: the broker hands out copies, one allocation a string.
 */
#ifndef TMB_BROKER_PLUGIN_PROPS_BRIDGE_H
#define TMB_BROKER_PLUGIN_PROPS_BRIDGE_H

#include <mosquitto_broker.h>

#include "base/bytes.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* tmb_props_from_broker appends the properties of list that a record keeps to writer, in their order, and
 * says how many marks of a node (tmb_props_is_mark) it left out. Errors: TMB_ELIMIT (do not fit),
 * TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_props_from_broker(const mosquitto_property *list, tmb_writer *writer,
                                           unsigned *ret_marks);

/* tmb_props_to_broker makes a list, without marks: mosquitto_property_free_all(ret_list), or hand it to the
 * broker.
 * Errors: TMB_ECORRUPT (props cannot be read), TMB_ENOMEM. */
TMB_MUST_USE tmb_err tmb_props_to_broker(tmb_bytes props, mosquitto_property **ret_list);

#ifdef __cplusplus
}
#endif
#endif
