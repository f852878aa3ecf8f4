// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/props_bridge.c - the only file that knows how the broker hands out a property. */
#include "broker-plugin/props_bridge.h"

#include <mosquitto.h>
#include <stdlib.h>

#include "proto/props.h"

static tmb_err put_one(const mosquitto_property *item, tmb_writer *writer, unsigned *marks)
{
    tmb_prop prop = {.id = (uint8_t)mosquitto_property_identifier(item)};
    char *name = NULL, *value = NULL;
    const mosquitto_property *found = NULL;
    switch (prop.id) {
    case TMB_PROP_PAYLOAD_FORMAT: {
        uint8_t byte = 0;
        found = mosquitto_property_read_byte(item, prop.id, &byte, false);
        prop.number = byte;
        break;
    }
    case TMB_PROP_CONTENT_TYPE:
    case TMB_PROP_RESPONSE_TOPIC:
        found = mosquitto_property_read_string(item, prop.id, &value, false);
        if (found)
            prop.value = tmb_bytes_str(value);
        break;
    case TMB_PROP_CORRELATION: {
        void *data = NULL;
        uint16_t len = 0;
        found = mosquitto_property_read_binary(item, prop.id, &data, &len, false);
        value = data;
        prop.value = tmb_bytes_of(data, len);
        break;
    }
    case TMB_PROP_USER:
        found = mosquitto_property_read_string_pair(item, prop.id, &name, &value, false);
        if (found) {
            prop.name = tmb_bytes_str(name);
            prop.value = tmb_bytes_str(value);
        }
        break;
    default: /* what is between a client and its broker alone, like a topic alias */
        return TMB_OK;
    }
    bool is_mark = found && prop.id == TMB_PROP_USER &&
                   (tmb_props_is_mark(prop.name) || tmb_props_is_late(prop.name));
    if (is_mark)
        (*marks)++;
    else if (found)
        tmb_props_put(writer, &prop);
    free(name);
    free(value);
    if (!found)
        return TMB_ENOMEM;
    return writer->bad ? TMB_ELIMIT : TMB_OK;
}

tmb_err tmb_props_from_broker(const mosquitto_property *list, tmb_writer *writer,
                              unsigned *ret_marks)
{
    tmb_err err = TMB_OK;
    unsigned marks = 0;
    for (const mosquitto_property *p = list; p && err == TMB_OK; p = mosquitto_property_next(p))
        err = put_one(p, writer, &marks);
    if (err == TMB_OK)
        *ret_marks = marks;
    return err;
}

/* text gives a NUL-terminated copy: free(). */
static char *text(tmb_bytes bytes)
{
    char *copy = malloc(bytes.len + 1);
    if (!copy)
        return NULL;
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    copy[bytes.len] = '\0';
    return copy;
}

static int add_one(mosquitto_property **list, const tmb_prop *prop)
{
    if (prop->id == TMB_PROP_PAYLOAD_FORMAT)
        return mosquitto_property_add_byte(list, prop->id, (uint8_t)prop->number);
    if (prop->id == TMB_PROP_EXPIRY)
        return mosquitto_property_add_int32(list, prop->id, prop->number);
    if (prop->id == TMB_PROP_CORRELATION)
        return mosquitto_property_add_binary(list, prop->id, prop->value.ptr,
                                             (uint16_t)prop->value.len);
    char *name = text(prop->name), *value = text(prop->value);
    int rc = MOSQ_ERR_NOMEM;
    if (name && value)
        rc = prop->id == TMB_PROP_USER
                 ? mosquitto_property_add_string_pair(list, prop->id, name, value)
                 : mosquitto_property_add_string(list, prop->id, value);
    free(name);
    free(value);
    return rc;
}

tmb_err tmb_props_to_broker(tmb_bytes props, mosquitto_property **ret_list)
{
    mosquitto_property *list = NULL;
    tmb_reader reader = tmb_reader_of(props);
    for (;;) {
        tmb_prop prop = {0};
        tmb_err err = tmb_props_next(&reader, &prop);
        if (err == TMB_EAGAIN)
            break;
        if (err == TMB_OK && prop.id == TMB_PROP_USER && tmb_props_is_mark(prop.name))
            continue;
        if (err == TMB_OK) {
            int rc = add_one(&list, &prop);
            err = rc == MOSQ_ERR_SUCCESS ? TMB_OK
                  : rc == MOSQ_ERR_NOMEM ? TMB_ENOMEM
                                         : TMB_ECORRUPT;
        }
        if (err != TMB_OK) {
            mosquitto_property_free_all(&list);
            return err;
        }
    }
    *ret_list = list;
    return TMB_OK;
}
