// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/acl.c - names out of certificates, and the rules for $tombolo/.
 *
 * A certificate with two names is taken to have none: an authority that hands those out cannot tell us whom
 * to trust with which topics.
 */
#include "broker-plugin/acl.h"

#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <openssl/x509v3.h>

#include "policy/policy.h"
#include "proto/frame.h"
#include "proto/topics.h"

static bool begins_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

/* A shared subscription hides its filter behind `$share/<group>/`. */
static const char *skip_share(const char *filter)
{
    if (!begins_with(filter, "$share/"))
        return filter;
    const char *slash = strchr(filter + strlen("$share/"), '/');
    return slash ? slash + 1 : filter;
}

static bool is_own_topic(const char *topic, const char *head, const char *who)
{
    return begins_with(topic, head) && strcmp(topic + strlen(head), who) == 0;
}

tmb_acl_verdict tmb_acl_decide(const char *node, const char *who, int access, const char *topic)
{
    if (access == MOSQ_ACL_UNSUBSCRIBE)
        return TMB_ACL_ALLOW;
    const char *plain = access == MOSQ_ACL_SUBSCRIBE ? skip_share(topic) : topic;
    bool is_ours = begins_with(plain, TMB_TOPIC_ROOT) || strcmp(plain, "$tombolo") == 0;
    if (who && strcmp(who, node) != 0) {
        bool is_allowed = access == MOSQ_ACL_WRITE ? is_own_topic(topic, TMB_TOPIC_UP, who)
                                                   : is_own_topic(topic, TMB_TOPIC_DOWN, who);
        return is_allowed ? TMB_ACL_ALLOW : TMB_ACL_DENY;
    }
    if (!is_ours)
        return access == MOSQ_ACL_WRITE && tmb_policy_is_ledger_topic(topic) ? TMB_ACL_DENY
                                                                             : TMB_ACL_ORDINARY;
    if (who)
        return begins_with(plain, TMB_TOPIC_ROOT "v1/") ? TMB_ACL_ALLOW : TMB_ACL_DENY;
    bool is_stats = begins_with(plain, TMB_TOPIC_ROOT "v1/stats/");
    return is_stats && access != MOSQ_ACL_WRITE ? TMB_ACL_ALLOW : TMB_ACL_DENY;
}

/* match gives the <name> of a URI of our form, empty when it is not one. */
static tmb_bytes match(const GENERAL_NAME *general, const char *domain)
{
    tmb_bytes none = {NULL, 0};
    if (general->type != GEN_URI)
        return none;
    const ASN1_IA5STRING *uri = general->d.uniformResourceIdentifier;
    tmb_reader r = tmb_reader_of(tmb_bytes_of(ASN1_STRING_get0_data(uri), (size_t)uri->length));
    const char *parts[] = {"spiffe://", domain, "/site/"};
    for (size_t i = 0; i < 3; i++)
        if (!tmb_bytes_eq(tmb_get_bytes(&r, strlen(parts[i])), tmb_bytes_str(parts[i])))
            return none;
    tmb_bytes name = tmb_get_bytes(&r, tmb_reader_left(&r));
    return tmb_name_is_valid(name, TMB_NAME_BYTES_MAX) ? name : none;
}

bool tmb_acl_name(void *certificate, const char *domain, char ret_name[TMB_NAME_BYTES_MAX + 1])
{
    if (!certificate)
        return false;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    unsigned found = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        tmb_bytes name = match(sk_GENERAL_NAME_value(names, i), domain);
        if (name.len == 0 || ++found > 1)
            continue;
        memcpy(ret_name, name.ptr, name.len);
        ret_name[name.len] = '\0';
    }
    GENERAL_NAMES_free(names);
    return found == 1;
}
