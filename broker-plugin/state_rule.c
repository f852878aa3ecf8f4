// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/state_rule.c - the topic is taken apart by policy/state_topic.h; here are the words. */
#include "broker-plugin/state_rule.h"

#include <stdio.h>

#include "config/suggest.h"
#include "policy/state_topic.h"

static const char *const verbs[] = {
#define VERB_WORD(name, number, word, type, takes) word,
    TMB_VERB_LIST(VERB_WORD)
#undef VERB_WORD
};

bool tmb_state_rule_covers(const tmb_state_policy *state, tmb_bytes topic)
{
    return tmb_state_is_on(state) && tmb_state_topic_is_below(state->root, topic);
}

bool tmb_state_rule_is_op(const tmb_state_policy *state, tmb_bytes topic)
{
    return tmb_state_topic_parse(state->root, topic).kind == TMB_STATE_OP;
}

static const char *near_verb(tmb_bytes word)
{
    char text[16] = "";
    tmb_verb meant = tmb_verb_meant(word);
    if (meant != TMB_VERB_NONE)
        return tmb_verb_str(meant);
    if (word.len == 0 || word.len >= sizeof text)
        return NULL;
    memcpy(text, word.ptr, word.len);
    return tmb_suggest(text, verbs, sizeof verbs / sizeof verbs[0]);
}

/* Of what parse says, a quote would end the text in JSON. */
static void unquote(char *text)
{
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            *text = '\'';
}

bool tmb_state_rule_fault(const tmb_state_policy *state, tmb_bytes topic,
                          char ret_why[TMB_STATE_WHY_BYTES])
{
    tmb_state_topic t = tmb_state_topic_parse(state->root, topic);
    const char *near = t.kind == TMB_STATE_VALUE ? near_verb(t.last) : NULL;
    if (t.kind == TMB_STATE_OP && tmb_state_writes(state, t.scope))
        return false;
    if (t.kind == TMB_STATE_OP && tmb_state_holds(state, t.scope))
        snprintf(
            ret_why, TMB_STATE_WHY_BYTES,
            "this node only reads the scope (state.read_only); publish at a node that writes it");
    else if (t.kind == TMB_STATE_OP)
        snprintf(
            ret_why, TMB_STATE_WHY_BYTES,
            "this node does not hold the scope; add it to state.scopes, or publish where it is "
            "held");
    else if (t.kind == TMB_STATE_BAD)
        snprintf(ret_why, TMB_STATE_WHY_BYTES, "%s", t.why);
    else if (near)
        snprintf(ret_why, TMB_STATE_WHY_BYTES, "no such verb; did you mean %s?", near);
    else
        snprintf(ret_why, TMB_STATE_WHY_BYTES,
                 "%s is published by this node alone; to change a value publish to <path>/<verb>, "
                 "such as set, inc or add",
                 t.kind == TMB_STATE_VALUE ? "a value" : "what is told of a value");
    unquote(ret_why);
    return true;
}

bool tmb_state_rule_error(const char *topic, char out[TMB_STATE_ERROR_BYTES])
{
    return snprintf(out, TMB_STATE_ERROR_BYTES, "%s/%s", topic,
                    tmb_state_output_str(TMB_STATE_OUTPUT_ERROR)) < (int)TMB_STATE_ERROR_BYTES;
}
