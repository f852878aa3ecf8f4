// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/marking.c - marks on what goes by: ours are put on, those of others taken off.
 *
 *   client --(tombolo-id? off, counted)--> journal --(stream with mark: true)--> tombolo-id --> subscribers
 *
 * A mark that came from outside would make a subscriber drop the message whose mark it copies; so none gets
 * through, whatever stream or none the message is of.
 */
#include "broker-plugin/mark.h"
#include "broker-plugin/plugin.h"
#include "broker-plugin/props_bridge.h"

tmb_err tmb_plugin_take_props(tmb_plugin *p, struct mosquitto_evt_message *event,
                              tmb_bytes *ret_props)
{
    unsigned marks = 0;
    tmb_writer writer = tmb_writer_of(p->props, sizeof p->props);
    tmb_err err = tmb_props_from_broker(event->properties, &writer, &marks);
    if (err != TMB_OK)
        return err;
    tmb_bytes props = tmb_bytes_of(p->props, (size_t)(writer.at - p->props));
    if (marks > 0) {
        mosquitto_property *cleaned = NULL;
        err = tmb_props_to_broker(props, &cleaned);
        if (err != TMB_OK)
            return err;
        mosquitto_property_free_all(&event->properties);
        event->properties = cleaned;
        p->counts.forged_marks += marks;
    }
    p->props_len = props.len;
    *ret_props = props;
    return TMB_OK;
}

void tmb_plugin_mark(tmb_plugin *p, unsigned stream, uint64_t seq, bool is_replay,
                     mosquitto_property **list)
{
    const tmb_stream_policy *policy = p->streams[stream].policy;
    if (!policy->mark)
        return;
    tmb_mark_id mark = {.node = p->config->node,
                        .stream = policy->name,
                        .seq = seq,
                        .incarnation = tmb_journal_incarnation(p->journal)};
    if (!tmb_plugin_may_mark(p) || tmb_mark_add(&mark, is_replay, list) != TMB_OK)
        p->counts.unmarked++;
}
