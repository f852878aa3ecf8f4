// SPDX-License-Identifier: Apache-2.0
/* config/schema.h - the table of all keys; reading, printing and the manual follow it.
 *
 * A path names a key from the top: "parent.backoff.base". Keys of the list of streams begin with
 * "streams[]." and their field is in tmb_stream_policy, all others' in tmb_config.
 * Threads: any, constants.
 */
#ifndef TMB_CONFIG_SCHEMA_H
#define TMB_CONFIG_SCHEMA_H

#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tmb_config_type {
    TMB_CONFIG_NAME = 0,    /* char *: a-z 0-9 . _ - */
    TMB_CONFIG_STREAM_NAME, /* char[]: likewise */
    TMB_CONFIG_HOST,        /* char * */
    TMB_CONFIG_PATH,        /* char *: made absolute */
    TMB_CONFIG_RING,        /* char *: auto, off or an absolute path */
    TMB_CONFIG_TEMPLATE,    /* char *: a topic with placeholders */
    TMB_CONFIG_WEIGHTS,     /* char *: words pattern=weight */
    TMB_CONFIG_FILTERS,     /* char **topics and topics_count of a stream */
    TMB_CONFIG_ENDPOINTS,   /* tmb_config_endpoints */
    TMB_CONFIG_SCOPES,      /* tmb_state_scopes */
    TMB_CONFIG_SHARES,      /* tmb_state_shares */
    TMB_CONFIG_DURABILITY,  /* tmb_durability */
    TMB_CONFIG_FULL,        /* tmb_full */
    TMB_CONFIG_CLASS,       /* tmb_class */
    TMB_CONFIG_BOOL,        /* bool */
    TMB_CONFIG_PORT,        /* unsigned */
    TMB_CONFIG_COUNT,       /* uint64_t */
    TMB_CONFIG_SIZE,        /* uint64_t, bytes */
    TMB_CONFIG_RATE,        /* uint64_t, bits a second */
    TMB_CONFIG_SCHEDULE,    /* tmb_schedule */
    TMB_CONFIG_DURATION     /* int64_t, milliseconds */
} tmb_config_type;

/* Below, an answer alone would take longer than a second. */
#define TMB_CONFIG_RATE_MIN UINT64_C(8000)
#define TMB_CONFIG_RATE_MAX UINT64_C(100000000000)

typedef struct tmb_config_key {
    const char *path;
    tmb_config_type type;
    bool is_required;         /* in its section, if the section is there */
    bool may_be_none;         /* the word "none" stands for no limit, in the field 0 */
    bool may_be_auto;         /* the word "auto" stands for what suits, in the field 0 */
    size_t offset;            /* of the field */
    uint64_t min, max;        /* of numbers */
    const char *default_text; /* as it would stand in a file; NULL: none */
    const char *example;      /* for the sentence that asks for a missing key */
} tmb_config_key;

#define TMB_CONFIG_KEYS 50
extern const tmb_config_key tmb_config_keys[TMB_CONFIG_KEYS];

/* What a path leads to: a key of the table, a section of keys, a list of sections, or nothing. */
typedef enum tmb_config_place {
    TMB_CONFIG_UNKNOWN = 0,
    TMB_CONFIG_KEY,
    TMB_CONFIG_SECTION,
    TMB_CONFIG_SECTIONS
} tmb_config_place;

/* ret_key is set for TMB_CONFIG_KEY only. */
tmb_config_place tmb_config_look_up(const char *path, const tmb_config_key **ret_key);

/* tmb_config_in_stream says whether the field of key is in a stream. */
bool tmb_config_in_stream(const tmb_config_key *key);

#define TMB_CONFIG_PATH_MAX 128

/* tmb_config_path_join writes section.key ("" is the top); false when it does not fit, as no key would. */
bool tmb_config_path_join(const char *section, const char *key, char ret_path[TMB_CONFIG_PATH_MAX]);

#define TMB_CONFIG_CHILDREN_MAX 16

/* tmb_config_children gives the names that may stand directly in section, in the order of the table. */
size_t tmb_config_children(const char *section, char ret_names[TMB_CONFIG_CHILDREN_MAX][32]);

/* tmb_config_home gives the only section in which a key called name lives; NULL: in none, or in several. */
const char *tmb_config_home(const char *name, char ret_section[TMB_CONFIG_PATH_MAX]);

/* tmb_config_last gives the last step of a path: "base" of "parent.backoff.base". */
const char *tmb_config_last(const char *path);

/* What a value of the type is called in a sentence. */
const char *tmb_config_type_str(tmb_config_type type);

#ifdef __cplusplus
}
#endif
#endif
