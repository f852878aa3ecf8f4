// SPDX-License-Identifier: Apache-2.0
/* policy/state_topic.c - one pass over the levels. */
#include "policy/state_topic.h"

#include <assert.h>

#include "policy/policy.h"
#include "policy/state_policy.h"

static_assert(2 * (TMB_NAME_BYTES_MAX + 1) + TMB_STATE_PATH_BYTES_MAX + 16 <=
                  TMB_STATE_TOPIC_BYTES_MAX,
              "the longest topic of state");

static const char *const outputs[] = {"",
#define TMB_STATE_OUTPUT_WORD(name, word) word,
                                      TMB_STATE_OUTPUT_LIST(TMB_STATE_OUTPUT_WORD)
#undef TMB_STATE_OUTPUT_WORD
};
#define OUTPUTS (sizeof outputs / sizeof outputs[0])

static tmb_state_output output_of(tmb_bytes word)
{
    for (size_t i = 1; i < OUTPUTS; i++)
        if (tmb_bytes_eq(word, tmb_bytes_str(outputs[i])))
            return (tmb_state_output)i;
    return TMB_STATE_OUTPUT_NONE;
}

const char *tmb_state_output_str(tmb_state_output output)
{
    return (size_t)output < OUTPUTS ? outputs[output] : "";
}

bool tmb_state_topic_is_below(const char *root, tmb_bytes topic)
{
    size_t len = strlen(root);
    return topic.len >= len && memcmp(topic.ptr, root, len) == 0 &&
           (topic.len == len || topic.ptr[len] == '/');
}

/* The last level of text; *ret_rest what stands before its slash. */
static tmb_bytes last_level(tmb_bytes text, tmb_bytes *ret_rest)
{
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] != '/')
        at--;
    *ret_rest = tmb_bytes_of(text.ptr, at > 0 ? at - 1 : 0);
    return tmb_bytes_of(text.ptr + at, text.len - at);
}

static const char *check_levels(tmb_bytes path)
{
    unsigned levels = 1;
    for (size_t i = 0; i < path.len; i++) {
        bool is_slash = path.ptr[i] == '/';
        levels += is_slash;
        if (is_slash && (i == 0 || i + 1 == path.len || path.ptr[i - 1] == '/'))
            return "a level of the path is empty; leave out the slash that is too many";
    }
    if (levels > TMB_STATE_PATH_LEVELS_MAX)
        return "a path has at most 12 levels; join some of them";
    if (path.len > TMB_STATE_PATH_BYTES_MAX)
        return "a path has at most 512 bytes; shorten its levels";
    return NULL;
}

const char *tmb_state_path_check(tmb_bytes path)
{
    tmb_bytes rest;
    if (path.len == 0)
        return "no path; name what is to be changed, as in state/line-7/parts/inc";
    if (!tmb_topic_is_valid(path))
        return "a path is UTF-8 without wildcards; replace + and #";
    const char *why = check_levels(path);
    if (why)
        return why;
    tmb_bytes last = last_level(path, &rest);
    if (tmb_verb_of_word(last) != TMB_VERB_NONE)
        return "a path does not end in a verb; name its last level otherwise";
    if (output_of(last) != TMB_STATE_OUTPUT_NONE)
        return "a path does not end in conflicts, error, delta or pb; name its last level "
               "otherwise";
    return NULL;
}

static tmb_state_topic be_bad(tmb_state_topic t, const char *why)
{
    t.kind = TMB_STATE_BAD;
    t.why = why;
    return t;
}

tmb_state_topic tmb_state_topic_parse(const char *root, tmb_bytes topic)
{
    tmb_state_topic t = {.kind = TMB_STATE_ELSEWHERE};
    if (!tmb_state_topic_is_below(root, topic))
        return t;
    size_t skip = strlen(root) + 1;
    if (topic.len <= skip)
        return be_bad(t,
                      "no scope; write <root>/<scope>/<path>/<verb>, as in state/line-7/parts/inc");
    tmb_bytes rest = tmb_bytes_of(topic.ptr + skip, topic.len - skip);
    const uint8_t *slash = memchr(rest.ptr, '/', rest.len);
    t.scope = tmb_bytes_of(rest.ptr, slash ? (size_t)(slash - rest.ptr) : rest.len);
    if (!tmb_name_is_word(t.scope))
        return be_bad(
            t, "the scope is no name; use a-z, 0-9, \".\", \"_\" and \"-\", at most 63 bytes");
    if (!slash)
        return be_bad(
            t, "a scope alone; write <root>/<scope>/<path>/<verb>, as in state/line-7/parts/inc");
    t.path = tmb_bytes_of(slash + 1, rest.len - t.scope.len - 1);
    tmb_bytes before;
    t.last = last_level(t.path, &before);
    t.verb = tmb_verb_of_word(t.last);
    t.output = output_of(t.last);
    if (t.verb != TMB_VERB_NONE || t.output != TMB_STATE_OUTPUT_NONE)
        t.path = before;
    t.kind = t.verb != TMB_VERB_NONE             ? TMB_STATE_OP
             : t.output != TMB_STATE_OUTPUT_NONE ? TMB_STATE_OUTPUT
                                                 : TMB_STATE_VALUE;
    if (t.kind == TMB_STATE_OUTPUT && t.path.len == 0 && t.last.ptr == slash + 1)
        return t;
    const char *why = tmb_state_path_check(t.path);
    return why ? be_bad(t, why) : t;
}

static size_t put(char *out, size_t cap, size_t len, const void *text, size_t text_len)
{
    size_t room = cap - 1 - len;
    size_t taken = text_len < room ? text_len : room;
    if (taken > 0)
        memcpy(out + len, text, taken);
    return len + taken;
}

size_t tmb_state_topic_write(const char *root, tmb_bytes scope, tmb_bytes path,
                             tmb_state_output output, char *out, size_t cap)
{
    const char *word = tmb_state_output_str(output);
    size_t len = put(out, cap, 0, root, strlen(root));
    len = put(out, cap, len, "/", 1);
    len = put(out, cap, len, scope.ptr, scope.len);
    if (path.len > 0) {
        len = put(out, cap, len, "/", 1);
        len = put(out, cap, len, path.ptr, path.len);
    }
    if (word[0] != '\0') {
        len = put(out, cap, len, "/", 1);
        len = put(out, cap, len, word, strlen(word));
    }
    out[len] = '\0';
    return len;
}
