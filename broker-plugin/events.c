// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/events.c - the broker's access check: the rules of acl.c, and what hangs on the check.
 *
 * Registered first, so the answer here is the first the broker hears; PLUGIN_DEFER hands an ordinary topic on
 * to its acl_file. Alone, the answer must be a yes: when every plugin defers, the broker denies.
 */
#include "broker-plugin/acl.h"
#include "broker-plugin/plugin.h"

/* At most so many lines in that time, for one client may be refused a thousand times a second. */
#define LOG_EVERY_MS  1000
#define LOG_LINES_MAX 10

bool tmb_plugin_may_log_refusal(tmb_plugin *p)
{
    tmb_mono now = tmb_plugin_now();
    if (tmb_mono_is_due(tmb_mono_after(p->denied_at, tmb_dur_ms(LOG_EVERY_MS)), now)) {
        p->denied_at = now;
        p->denied_logged = 0;
    }
    return ++p->denied_logged <= LOG_LINES_MAX;
}

static int deny(tmb_plugin *p, const struct mosquitto_evt_acl_check *event, const char *who)
{
    p->counts.denied++;
    if (!tmb_plugin_may_log_refusal(p))
        return MOSQ_ERR_ACL_DENIED;
    const char *id = mosquitto_client_id(event->client);
    mosquitto_log_printf(MOSQ_LOG_WARNING, "tombolo: refused: client %s (%s%s) may not %s %s",
                         id ? id : "?", who ? "certificate of site " : "no site's certificate",
                         who ? who : "",
                         event->access == MOSQ_ACL_WRITE  ? "write"
                         : event->access == MOSQ_ACL_READ ? "read"
                                                          : "subscribe to",
                         event->topic);
    return MOSQ_ERR_ACL_DENIED;
}

/* Any answer but "denied" closes the connection: a flood must not even be read. The session of a site that
 * means well comes back after its backoff and goes on at its mark. */
static int hang_up(tmb_plugin *p, const char *who)
{
    if (p->counts.sites_hung_up++ == 0)
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tombolo: site %s sends more than %d frames a second: its connection is "
            "closed (counted in sites_hung_up)",
            who, TMB_SITE_FRAMES_PER_S_MAX);
    return MOSQ_ERR_UNKNOWN;
}

/* The broker asks whether the sender of a retained message might still send it, with a made-up client that
 * has no connection and speaks no version. Its message passed the rules when it was published. */
static bool is_retained_check(const struct mosquitto_evt_acl_check *event)
{
    return event->access == MOSQ_ACL_WRITE && mosquitto_client_protocol_version(event->client) == 0;
}

/* The broker saves the other subscriptions of a lasting session, not these. */
static void note_shared(tmb_plugin *p, const struct mosquitto_evt_acl_check *event)
{
    static const char prefix[] = "$share/";
    if (strncmp(event->topic, prefix, sizeof prefix - 1) != 0 || p->counts.shared_subscribes++ > 0)
        return;
    const char *id = mosquitto_client_id(event->client);
    mosquitto_log_printf(MOSQ_LOG_WARNING,
                         "tombolo: client %s subscribed to %s: Mosquitto forgets shared "
                         "subscriptions when it ends; their clients must subscribe again at every "
                         "connect (counted in shared_subscribes)",
                         id ? id : "?", event->topic);
}

int tmb_plugin_on_acl(tmb_plugin *p, const struct mosquitto_evt_acl_check *event)
{
    tmb_plugin_pend_settle(p, event->access == MOSQ_ACL_READ ? event : NULL);
    if (event->access != MOSQ_ACL_WRITE) /* something is about to be written to the client */
        tmb_group_on_read(p, event);
    if (event->access == MOSQ_ACL_READ && event->qos > 0)
        tmb_plugin_note_delivery(p, event->client);
    if (event->access == MOSQ_ACL_READ && event->qos == 2)
        for (unsigned i = 0; i < p->streams_count; i++)
            tmb_inflight_done(&p->streams[i].inflight, event->topic);
    int ordinary = tmb_plugin_is_alone(p) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
    if (is_retained_check(event))
        return event->topic[0] == '$' ? MOSQ_ERR_SUCCESS : ordinary;
    char name[TMB_NAME_BYTES_MAX + 1];
    const char *who = tmb_plugin_who(p, event->client, name) ? name : NULL;
    if (!who && tmb_plugin_has_left(p, event->client, event->access, name) &&
        event->access == MOSQ_ACL_WRITE)
        return deny(p, event, name);
    tmb_acl_verdict verdict = tmb_acl_decide(p->config->node, who, event->access, event->topic);
    if (verdict == TMB_ACL_DENY)
        return deny(p, event, who);
    if (event->access == MOSQ_ACL_WRITE && tmb_plugin_is_state(p, tmb_bytes_str(event->topic))) {
        if (!tmb_plugin_may_write_state(p, event, who))
            return MOSQ_ERR_ACL_DENIED;
        if (who) /* our own syncd, whatever an acl_file says of it */
            verdict = TMB_ACL_ALLOW;
    }
    if (event->access == MOSQ_ACL_WRITE && who && strcmp(who, p->config->node) != 0 &&
        !tmb_pace_take(p->pace, tmb_bytes_str(who), tmb_plugin_now()))
        return hang_up(p, who);
    if (event->access == MOSQ_ACL_WRITE)
        tmb_plugin_pend(p, event);
    else if ((event->access == MOSQ_ACL_SUBSCRIBE || event->access == MOSQ_ACL_UNSUBSCRIBE) &&
             !mosquitto_client_clean_session(event->client)) {
        if (event->access == MOSQ_ACL_SUBSCRIBE)
            note_shared(p, event);
        tmb_plugin_on_subscribe(p, event->client);
    }
    return verdict == TMB_ACL_ALLOW ? MOSQ_ERR_SUCCESS : ordinary;
}
