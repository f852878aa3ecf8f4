// SPDX-License-Identifier: Apache-2.0
/* policy/state_policy.c - names against patterns. */
#include "policy/state_policy.h"

static bool is_word_byte(uint8_t c, bool is_first)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return true;
    return !is_first && (c == '.' || c == '_' || c == '-');
}

static bool has_word_bytes(tmb_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_word_byte(text.ptr[i], i == 0))
            return false;
    return text.len <= TMB_NAME_BYTES_MAX;
}

bool tmb_name_is_word(tmb_bytes text)
{
    return text.len > 0 && has_word_bytes(text);
}

bool tmb_name_pattern_is_valid(tmb_bytes text)
{
    bool has_star = text.len > 0 && text.ptr[text.len - 1] == '*';
    return has_star ? has_word_bytes(tmb_bytes_of(text.ptr, text.len - 1)) : tmb_name_is_word(text);
}

/* The letters of a pattern without its star. */
static tmb_bytes letters(const tmb_name_pattern *pattern, bool *ret_has_star)
{
    tmb_bytes text = tmb_bytes_str(pattern->text);
    *ret_has_star = text.len > 0 && text.ptr[text.len - 1] == '*';
    text.len -= *ret_has_star;
    return text;
}

static bool begins_with(tmb_bytes text, tmb_bytes head)
{
    return text.len >= head.len && (head.len == 0 || memcmp(text.ptr, head.ptr, head.len) == 0);
}

bool tmb_name_pattern_matches(const tmb_name_pattern *pattern, tmb_bytes name)
{
    bool has_star;
    tmb_bytes head = letters(pattern, &has_star);
    return has_star ? begins_with(name, head) : tmb_bytes_eq(name, head);
}

bool tmb_name_pattern_covers(const tmb_name_pattern *outer, const tmb_name_pattern *inner)
{
    bool outer_star, inner_star;
    tmb_bytes head = letters(outer, &outer_star), name = letters(inner, &inner_star);
    return outer_star ? begins_with(name, head) : !inner_star && tmb_bytes_eq(name, head);
}

static bool has(const tmb_state_scopes *scopes, tmb_bytes name)
{
    for (unsigned i = 0; i < scopes->count; i++)
        if (tmb_name_pattern_matches(&scopes->v[i], name))
            return true;
    return false;
}

bool tmb_state_holds(const tmb_state_policy *policy, tmb_bytes name)
{
    return has(&policy->scopes, name);
}

bool tmb_state_writes(const tmb_state_policy *policy, tmb_bytes name)
{
    return tmb_state_holds(policy, name) && !has(&policy->read_only, name);
}

tmb_state_right tmb_state_right_of_child(const tmb_state_policy *policy, tmb_bytes child,
                                         tmb_bytes scope)
{
    if (!tmb_state_holds(policy, scope))
        return TMB_STATE_RIGHT_NONE;
    if (tmb_bytes_eq(child, scope))
        return TMB_STATE_RIGHT_WRITE;
    for (unsigned i = 0; i < policy->shares.count; i++) {
        const tmb_state_share *share = &policy->shares.v[i];
        if (tmb_name_pattern_matches(&share->scope, scope) &&
            tmb_name_pattern_matches(&share->children, child))
            return share->write ? TMB_STATE_RIGHT_WRITE : TMB_STATE_RIGHT_READ;
    }
    return TMB_STATE_RIGHT_NONE;
}
