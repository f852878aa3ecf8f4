// SPDX-License-Identifier: Apache-2.0
/* Who may do what: the rules as a table, and names out of certificates made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "broker-plugin/acl.h"

#define W MOSQ_ACL_WRITE
#define R MOSQ_ACL_READ
#define S MOSQ_ACL_SUBSCRIBE
#define U MOSQ_ACL_UNSUBSCRIBE

static const struct rule {
    const char *who;
    const char *topic;
    int access;
    tmb_acl_verdict verdict;
} rules[] = {
    /* an ordinary client */
    {NULL, "t/a", W, TMB_ACL_ORDINARY},
    {NULL, "#", S, TMB_ACL_ORDINARY},
    {NULL, "$tombolo/v1/up/s1", W, TMB_ACL_DENY},
    {NULL, "$tombolo/v1/commit", W, TMB_ACL_DENY},
    {NULL, "$tombolo/v1/void", W, TMB_ACL_DENY},
    {NULL, "$tombolo/v1/stats/plugin", W, TMB_ACL_DENY},
    {NULL, "$tombolo", W, TMB_ACL_DENY},
    {NULL, "$tombolo/#", S, TMB_ACL_DENY},
    {NULL, "$tombolo/v1/up/+", S, TMB_ACL_DENY},
    {NULL, "$tombolo/+/stats/plugin", S, TMB_ACL_DENY},
    {NULL, "$share/g/$tombolo/v1/up/#", S, TMB_ACL_DENY},
    {NULL, "$share/g/t/#", S, TMB_ACL_ORDINARY},
    {NULL, "$tombolo/v1/down/s1", R, TMB_ACL_DENY},
    {NULL, "$tombolo/v1/stats/plugin", R, TMB_ACL_ALLOW},
    {NULL, "$tombolo/v1/stats/#", S, TMB_ACL_ALLOW},
    {NULL, "$tombolo/#", U, TMB_ACL_ALLOW},
    {NULL, "$tombolox/a", W, TMB_ACL_ORDINARY},
    {NULL, "tombolo/loss", W, TMB_ACL_DENY},
    {NULL, "s1/tombolo/loss", W, TMB_ACL_DENY},
    {NULL, "tombolo/losses", W, TMB_ACL_ORDINARY},
    {NULL, "tombolo/loss", R, TMB_ACL_ORDINARY},
    {NULL, "+/tombolo/loss", S, TMB_ACL_ORDINARY},
    /* the syncd of the site s1 */
    {"s1", "$tombolo/v1/up/s1", W, TMB_ACL_ALLOW},
    {"s1", "$tombolo/v1/up/s2", W, TMB_ACL_DENY},
    {"s1", "$tombolo/v1/up/s1/x", W, TMB_ACL_DENY},
    {"s1", "$tombolo/v1/up/s", W, TMB_ACL_DENY},
    {"s1", "$tombolo/v1/down/s1", W, TMB_ACL_DENY},
    {"s1", "$tombolo/v1/commit", W, TMB_ACL_DENY},
    {"s1", "t/a", W, TMB_ACL_DENY},
    {"s1", "s1/t", W, TMB_ACL_DENY},
    {"s1", "$tombolo/v1/down/s1", S, TMB_ACL_ALLOW},
    {"s1", "$tombolo/v1/down/s1", R, TMB_ACL_ALLOW},
    {"s1", "$tombolo/v1/down/s2", S, TMB_ACL_DENY},
    {"s1", "$tombolo/v1/down/+", S, TMB_ACL_DENY},
    {"s1", "$share/g/$tombolo/v1/down/s1", S, TMB_ACL_DENY},
    {"s1", "#", S, TMB_ACL_DENY},
    {"s1", "t/a", R, TMB_ACL_DENY},
    {"s1", "$tombolo/v1/down/s1", U, TMB_ACL_ALLOW},
    /* our own */
    {"hub", "$tombolo/v1/commit", W, TMB_ACL_ALLOW},
    {"hub", "$tombolo/v1/down/s1", W, TMB_ACL_ALLOW},
    {"hub", "$tombolo/v1/up/+", S, TMB_ACL_ALLOW},
    {"hub", "$tombolo/v1/up/s1", R, TMB_ACL_ALLOW},
    {"hub", "$tombolo/v2/x", W, TMB_ACL_DENY},
    {"hub", "$tombolo/#", S, TMB_ACL_DENY},
    {"hub", "t/a", W, TMB_ACL_ORDINARY},
};

static void rules_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct rule *r = &rules[i];
        tmb_acl_verdict verdict = tmb_acl_decide("hub", r->who, r->access, r->topic);
        if (verdict != r->verdict)
            fail_msg("%s, access %d, %s: %d in place of %d", r->who ? r->who : "anybody", r->access,
                     r->topic, (int)verdict, (int)r->verdict);
    }
}

/* certificate gives one whose alternative names are names, in OpenSSL's words: X509_free. */
static X509 *certificate(const char *names)
{
    X509 *x = X509_new();
    assert_non_null(x);
    if (!names)
        return x;
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
    return x;
}

static void expect_name(const char *names, const char *expected)
{
    char name[TMB_NAME_BYTES_MAX + 1] = "";
    X509 *x = certificate(names);
    bool has_name = tmb_acl_name(x, "example.com", name);
    X509_free(x);
    if (has_name != (expected != NULL) || (expected && strcmp(name, expected) != 0))
        fail_msg("%s: %s", names ? names : "no names", has_name ? name : "none");
}

static void names_come_from_the_uri_alone(void **state)
{
    (void)state;
    expect_name("URI:spiffe://example.com/site/s1", "s1");
    expect_name(
        "DNS:s2,URI:https://example.com/,URI:spiffe://example.com/site/line-7.a,IP:127.0.0.1",
        "line-7.a");
    expect_name(NULL, NULL);
    expect_name("DNS:s1", NULL);
    expect_name("DNS:spiffe://example.com/site/s1", NULL);
    expect_name("URI:spiffe://other.com/site/s1", NULL);
    expect_name("URI:spiffe://example.com.evil/site/s1", NULL);
    expect_name("URI:spiffe://example.com/site/", NULL);
    expect_name("URI:spiffe://example.com/site/s1/x", NULL);
    expect_name("URI:spiffe://example.com/site/S1", NULL);
    expect_name("URI:spiffe://example.com/site/+", NULL);
    expect_name("URI:spiffe://example.com/node/s1", NULL);
    expect_name("URI:SPIFFE://example.com/site/s1", NULL);
    expect_name("URI:spiffe://example.com/site/s1,URI:spiffe://example.com/site/s2", NULL);
    char name[TMB_NAME_BYTES_MAX + 1];
    assert_false(tmb_acl_name(NULL, "example.com", name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_hold),
        cmocka_unit_test(names_come_from_the_uri_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
