// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/identity.c - which node a client is, by its certificate, also when its connection is gone.
 *
 * The certificate is asked for at every check: nothing to go stale. But the broker checks a will when it has
 * closed the connection, so a site could have published anything by its will. Hence a node that leaves is
 * remembered, by client and client id, and what it writes then is denied: no node needs a will. Being
 * remembered takes rights away and never gives any, for the broker uses a client's address again, and anybody
 * may choose a client id. There are at most as many as the broker has had clients at a time, since one
 * address is remembered once.
 */
#define HASH_NONFATAL_OOM 1
#include <openssl/x509.h>
#include <stdlib.h>
#include <uthash.h>

#include "broker-plugin/acl.h"
#include "broker-plugin/plugin.h"

struct tmb_plugin_gone {
    UT_hash_handle hh;
    const struct mosquitto *client;
    char name[TMB_NAME_BYTES_MAX + 1];
    char id[];
};

static bool name_of_certificate(tmb_plugin *p, const struct mosquitto *client,
                                char ret_name[TMB_NAME_BYTES_MAX + 1])
{
    X509 *certificate = mosquitto_client_certificate(client);
    bool has_name = tmb_acl_name(certificate, p->config->domain, ret_name);
    X509_free(certificate);
    return has_name;
}

static void forget(tmb_plugin *p, struct tmb_plugin_gone *gone)
{
    /* The analyzer loses track of the links that uthash keeps. */
    HASH_DEL(p->gone, gone); /* NOLINT(clang-analyzer-*) */
    free(gone);
}

bool tmb_plugin_who(tmb_plugin *p, const struct mosquitto *client,
                    char ret_name[TMB_NAME_BYTES_MAX + 1])
{
    return name_of_certificate(p, client, ret_name);
}

bool tmb_plugin_has_left(tmb_plugin *p, const struct mosquitto *client, int access,
                         char ret_name[TMB_NAME_BYTES_MAX + 1])
{
    struct tmb_plugin_gone *gone = NULL;
    HASH_FIND_PTR(p->gone, &client, gone);
    if (!gone)
        return false;
    const char *id = mosquitto_client_id(client);
    bool is_same = id && strcmp(id, gone->id) == 0;
    /* Only somebody who is connected subscribes: the address is another client's by now. */
    if (!is_same || access == MOSQ_ACL_SUBSCRIBE) {
        forget(p, gone);
        return false;
    }
    memcpy(ret_name, gone->name, sizeof gone->name);
    return true;
}

void tmb_plugin_note_leaving(tmb_plugin *p, const struct mosquitto *client)
{
    char name[TMB_NAME_BYTES_MAX + 1];
    const char *id = mosquitto_client_id(client);
    if (!id || !name_of_certificate(p, client, name))
        return;
    struct tmb_plugin_gone *before = NULL;
    HASH_FIND_PTR(p->gone, &client, before);
    if (before)
        forget(p, before);
    struct tmb_plugin_gone *gone = calloc(1, sizeof *gone + strlen(id) + 1);
    if (!gone)
        return;
    gone->client = client;
    memcpy(gone->name, name, strlen(name) + 1);
    memcpy(gone->id, id, strlen(id) + 1);
    HASH_ADD_PTR(p->gone, client, gone);
    if (!gone->hh.tbl)
        free(gone);
}

void tmb_plugin_forget_all(tmb_plugin *p)
{
    struct tmb_plugin_gone *gone, *next;
    HASH_ITER(hh, p->gone, gone, next)
    {
        forget(p, gone);
    }
}
