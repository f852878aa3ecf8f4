// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/mark.c - see broker-plugin/mark.h. */
#include "broker-plugin/mark.h"

#include <inttypes.h>
#include <mosquitto.h>
#include <stdio.h>

#include "proto/props.h"

void tmb_mark_text(const tmb_mark_id *mark, char ret_text[TMB_MARK_BYTES_MAX + 1])
{
    const uint8_t *life = mark->incarnation->bytes;
    TMB_ASSERT(mark->seq <= TMB_SEQ_MAX);
    int len = snprintf(ret_text, TMB_MARK_BYTES_MAX + 1, "%.*s/%.*s/%" PRIu64 "/%02x%02x%02x%02x",
                       TMB_NAME_BYTES_MAX, mark->node, TMB_STREAM_NAME_BYTES_MAX, mark->stream,
                       mark->seq, life[0], life[1], life[2], life[3]);
    TMB_ASSERT(len > 0 && len <= TMB_MARK_BYTES_MAX);
}

static tmb_err add(mosquitto_property **list, const char *name, const char *value)
{
    return mosquitto_property_add_string_pair(list, TMB_PROP_USER, name, value) == MOSQ_ERR_SUCCESS
               ? TMB_OK
               : TMB_ENOMEM;
}

tmb_err tmb_mark_add(const tmb_mark_id *mark, bool is_replay, mosquitto_property **list)
{
    char text[TMB_MARK_BYTES_MAX + 1];
    tmb_mark_text(mark, text);
    tmb_err err = add(list, TMB_PROP_ID_NAME, text);
    return err == TMB_OK && is_replay ? add(list, TMB_PROP_REPLAY_NAME, "1") : err;
}
