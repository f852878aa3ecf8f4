// SPDX-License-Identifier: Apache-2.0
/* config/load.c - a file in, a struct out, or all of its mistakes.
 *
 *   file -> text -> tree -> walk (keys and single values) -> check (values together) -> struct
 *
 * The struct is made with defaults first, so that a check after a mistake still has numbers to look at; it
 * is given away only when the report is empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/set.h"
#include "config/walk.h"

#define FOLDER_BYTES_MAX 4096

/* The absolute folder of the file called name, so that the paths in it mean the same from anywhere. */
static char *folder_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    size_t len = slash != NULL ? (size_t)(slash - name) : 0;
    if (name[0] == '/')
        return tmb_config_copy(name, len > 0 ? len : 1);
    while (len >= 2 && strncmp(name, "./", 2) == 0) {
        name += 2;
        len -= 2;
    }
    char *folder = malloc(FOLDER_BYTES_MAX + 1 + len + 1);
    if (folder == NULL)
        return NULL;
    if (getcwd(folder, FOLDER_BYTES_MAX) == NULL)
        memcpy(folder, ".", 2);
    size_t at = strlen(folder);
    if (len > 0 && strncmp(name, ".", len) != 0) {
        folder[at++] = '/';
        memcpy(folder + at, name, len);
        folder[at + len] = '\0';
    }
    return folder;
}

static tmb_err build(const char *name, const char *text, size_t len, tmb_report *report,
                     tmb_config *config)
{
    char *folder = folder_of(name);
    tmb_tree tree = {0};
    tmb_err err = folder != NULL ? tmb_config_set_defaults(config) : TMB_ENOMEM;
    if (err == TMB_OK)
        err = tmb_tree_parse(text, len, report, &tree);
    if (err == TMB_OK && tree.root == NULL && report->first == NULL)
        tmb_report_add(report, (tmb_place){1, 1},
                       "nothing in it; at least node and domain are needed, as in node: line-7");
    if (err == TMB_OK && tree.root != NULL)
        err = tmb_config_walk(config, tree.root, folder, report);
    if (err == TMB_OK && tree.root != NULL && tree.root->kind == TMB_NODE_MAPPING)
        tmb_config_check(config, tree.root, report);
    tmb_tree_clear(&tree);
    free(folder);
    return report->is_out_of_memory ? TMB_ENOMEM : err;
}

tmb_err tmb_config_load_text(const char *name, const char *text, size_t len, FILE *errors,
                             tmb_config **ret_config)
{
    tmb_report report = {0};
    tmb_config *config = calloc(1, sizeof *config);
    tmb_err err = config != NULL ? build(name, text, len, &report, config) : TMB_ENOMEM;
    if (err == TMB_OK && report.first != NULL) {
        err = TMB_ECONFIG;
        if (errors != NULL)
            tmb_report_write(&report, name, errors);
    }
    tmb_report_clear(&report);
    if (err != TMB_OK) {
        tmb_config_free(config);
        return err;
    }
    if (tmb_state_is_on(&config->state))
        tmb_policy_add_state(&config->policy);
    tmb_policy_add_ledger(&config->policy);
    *ret_config = config;
    return TMB_OK;
}

/* Reads at most one byte more than a tree takes, which then says that the file is too large. */
static tmb_err read_file(const char *file, char **ret_text, size_t *ret_len)
{
    FILE *in = fopen(file, "rb");
    if (in == NULL)
        return errno == ENOENT ? TMB_ENOENT : TMB_EIO;
    char *text = malloc(TMB_TREE_BYTES_MAX + 1);
    size_t len = text != NULL ? fread(text, 1, TMB_TREE_BYTES_MAX + 1, in) : 0;
    bool failed = ferror(in) != 0;
    int why = errno;
    fclose(in);
    if (text == NULL || failed) {
        free(text);
        errno = why;
        return failed ? TMB_EIO : TMB_ENOMEM;
    }
    *ret_text = text;
    *ret_len = len;
    return TMB_OK;
}

tmb_err tmb_config_load(const char *file, FILE *errors, tmb_config **ret_config)
{
    char *text = NULL;
    size_t len = 0;
    tmb_err err = read_file(file, &text, &len);
    if (err != TMB_OK) {
        if (errors != NULL && err != TMB_ENOMEM)
            fprintf(errors, "%s: cannot be read: %s\n", file, strerror(errno));
        return err;
    }
    err = tmb_config_load_text(file, text, len, errors, ret_config);
    free(text);
    return err;
}

void tmb_config_free(tmb_config *config)
{
    if (config == NULL)
        return;
    for (unsigned i = 0; i < config->policy.streams_count; i++)
        tmb_config_free_topics(&config->policy.streams[i]);
    tmb_config_free_endpoints(&config->fallbacks);
    for (size_t i = 0; i < TMB_CONFIG_KEYS; i++) {
        const tmb_config_key *key = &tmb_config_keys[i];
        bool is_text = key->type == TMB_CONFIG_NAME || key->type == TMB_CONFIG_HOST ||
                       key->type == TMB_CONFIG_PATH || key->type == TMB_CONFIG_RING ||
                       key->type == TMB_CONFIG_TEMPLATE || key->type == TMB_CONFIG_WEIGHTS;
        if (is_text)
            free(*(char **)(void *)((char *)config + key->offset));
    }
    free(config);
}
