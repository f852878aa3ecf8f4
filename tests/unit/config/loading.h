// SPDX-License-Identifier: Apache-2.0
/* tests/unit/config/loading.h - a text in, the struct and what was told out. */
#ifndef TMB_TESTS_UNIT_CONFIG_LOADING_H
#define TMB_TESTS_UNIT_CONFIG_LOADING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config.h"

#define GOOD "node: a\ndomain: d\n"
#define TLS  "tls: { ca_file: a, cert_file: b, key_file: c }\n"

/* Loads text as the file /etc/t/f; ret_told is what was told, to be freed. */
static inline tmb_err load_bytes(const char *text, size_t len, tmb_config **ret_config,
                                 char **ret_told)
{
    size_t told_len = 0;
    FILE *errors = open_memstream(ret_told, &told_len);
    assert_non_null(errors);
    *ret_config = NULL;
    tmb_err err = tmb_config_load_text("/etc/t/f", text, len, errors, ret_config);
    assert_int_equal(fclose(errors), 0);
    assert_int_equal(err == TMB_OK, *ret_config != NULL);
    assert_int_equal(err == TMB_ECONFIG, told_len > 0);
    return err;
}

/* Loads a text that must be right. */
static inline tmb_config *load_good(const char *text)
{
    tmb_config *config;
    char *told;
    tmb_err err = load_bytes(text, strlen(text), &config, &told);
    if (err != TMB_OK)
        fail_msg("%s", told);
    free(told);
    return config;
}

/* Loads a text that must be wrong in the way that told says. */
static inline void assert_told(const char *text, size_t len, const char *want)
{
    tmb_config *config;
    char *told;
    assert_int_equal(load_bytes(text, len, &config, &told), TMB_ECONFIG);
    assert_string_equal(told, want);
    free(told);
}

static inline char *printed(const tmb_config *config,
                            tmb_err (*print)(const tmb_config *config, FILE *out))
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(print(config, out), TMB_OK);
    assert_int_equal(fclose(out), 0);
    return text;
}

#endif
