// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/config_fuzz.c - any bytes as a configuration: either it loads, and then prints to a text that
 * loads to the same, or every line that is told has a place inside the text and a sentence. */
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

static char *printed(const tmb_config *config,
                     tmb_err (*print)(const tmb_config *config, FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    TMB_ASSERT(out);
    TMB_ASSERT(print(config, out) == TMB_OK);
    fclose(out);
    return text;
}

static void check_config(const tmb_config *config)
{
    tmb_config *back = NULL;
    char *text = printed(config, tmb_config_print);
    TMB_ASSERT(tmb_config_load_text("/g", text, strlen(text), NULL, &back) == TMB_OK);
    char *again = printed(back, tmb_config_print);
    TMB_ASSERT(strcmp(text, again) == 0);
    char *json = printed(back, tmb_config_print_json);
    TMB_ASSERT(json[0] == '{');
    free(json);
    free(again);
    free(text);
    tmb_config_free(back);

    TMB_ASSERT(config->policy.streams_count > 0 && config->policy.streams_count <= TMB_STREAMS_MAX);
    for (unsigned i = 0; i < config->policy.streams_count; i++) {
        const tmb_stream_policy *stream = &config->policy.streams[i];
        for (unsigned k = 0; k < stream->topics_count; k++)
            TMB_ASSERT(tmb_topic_filter_is_valid(tmb_bytes_str(stream->topics[k])));
    }
}

/* Every line is "/f:line:column: sentence", in the order of the places. */
static void check_told(char *told, unsigned long lines)
{
    unsigned long line_before = 0;
    TMB_ASSERT(told[0] != '\0');
    while (*told != '\0') {
        char *at = NULL;
        TMB_ASSERT(strncmp(told, "/f:", 3) == 0);
        unsigned long line = strtoul(told + 3, &at, 10);
        TMB_ASSERT(*at == ':' && line >= 1 && line <= lines && line >= line_before);
        unsigned long column = strtoul(at + 1, &at, 10);
        TMB_ASSERT(column >= 1 && at[0] == ':' && at[1] == ' ' && at[2] != '\n');
        char *end = strchr(at, '\n');
        TMB_ASSERT(end);
        for (; at < end; at++)
            TMB_ASSERT((unsigned char)*at >= 0x20 && *at != 0x7f);
        line_before = line;
        told = end + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *told = NULL;
    size_t told_len = 0;
    tmb_config *config = NULL;
    unsigned long lines = 2; /* the end of a last line that is not ended counts as one more */
    /* YAML breaks lines at a carriage return and at three characters beyond ASCII, too. */
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n' || data[i] == '\r' || data[i] == 0x85 || data[i] == 0xa8 ||
                 data[i] == 0xa9;
    FILE *errors = open_memstream(&told, &told_len);
    TMB_ASSERT(errors);
    tmb_err err = tmb_config_load_text("/f", (const char *)data, size, errors, &config);
    fclose(errors);
    TMB_ASSERT(err == TMB_OK || err == TMB_ECONFIG);
    if (err == TMB_OK)
        check_config(config);
    else
        check_told(told, lines);
    tmb_config_free(config);
    free(told);
    return 0;
}
