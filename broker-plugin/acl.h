// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/acl.h - who may do what, decided from the name in the client's certificate.
 *
 * A client whose certificate names another node of this domain is that node's syncd, and may do nothing but
 * speak the sync session on its own two topics. One that names this node is our own syncd. Everybody else
 * (no certificate, or one without such a name) is an ordinary client, to whom $tombolo/ is closed but for
 * the statistics. The ledger's topics (policy.h) are written by nobody. Threads: any. Cost: one pass over
 * the certificate's alternative names.
 */
#ifndef TMB_BROKER_PLUGIN_ACL_H
#define TMB_BROKER_PLUGIN_ACL_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tmb_acl_verdict {
    TMB_ACL_DENY = 0,
    TMB_ACL_ALLOW,
    TMB_ACL_ORDINARY /* not ours to decide: the broker's own rules count */
} tmb_acl_verdict;

/* tmb_acl_decide: node is our name; who the name in the client's certificate, or NULL; access one of the
 * broker's MOSQ_ACL_ values; topic a topic or, when subscribing, a filter. */
tmb_acl_verdict tmb_acl_decide(const char *node, const char *who, int access, const char *topic);

/* tmb_acl_name finds the name in the URI spiffe://<domain>/site/<name> of a certificate (an OpenSSL X509,
 * borrowed; may be NULL). Gives false when there is none, or more than one. */
bool tmb_acl_name(void *certificate, const char *domain, char ret_name[TMB_NAME_BYTES_MAX + 1]);

#ifdef __cplusplus
}
#endif
#endif
