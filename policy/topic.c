// SPDX-License-Identifier: Apache-2.0
/* policy/topic.c - MQTT topics and filters, one level at a time.
 *
 * Both texts are walked together. At the top of each round both cursors stand at the first byte of a
 * level (or at the end, which is an empty level); at the bottom both stand at a '/' or at the end:
 *
 *   filter  plant / + / temp          '+' takes one level, empty ones too
 *   topic   plant / 7 / temp          '#' takes what is left, and the level above it when nothing is left
 *
 * Source: MQTT 5.0 (OASIS, 2019), section 4.7.
 */
#include "policy/policy.h"

static bool is_at(tmb_bytes text, size_t i, uint8_t byte)
{
    return i < text.len && text.ptr[i] == byte;
}

/* The index of the '/' that ends the level at i, or the length. */
static size_t level_end(tmb_bytes text, size_t i)
{
    while (i < text.len && text.ptr[i] != '/')
        i++;
    return i;
}

static tmb_bytes level_at(tmb_bytes text, size_t i, size_t end)
{
    return end > i ? tmb_bytes_of(text.ptr + i, end - i) : tmb_bytes_of(NULL, 0);
}

static bool starts_with_wildcard(tmb_bytes filter)
{
    return is_at(filter, 0, '+') || is_at(filter, 0, '#');
}

/* "a/#" takes "a" as well: what is left of the filter, from its '/', is "/#". */
static bool is_last_hash(tmb_bytes filter, size_t slash)
{
    return filter.len - slash == 2 && is_at(filter, slash + 1, '#');
}

bool tmb_topic_matches(tmb_bytes filter, tmb_bytes topic)
{
    if (is_at(topic, 0, '$') && starts_with_wildcard(filter))
        return false;
    size_t f = 0;
    size_t t = 0;
    for (;;) {
        if (is_at(filter, f, '#'))
            return true;
        size_t f_end = level_end(filter, f);
        size_t t_end = level_end(topic, t);
        if (!is_at(filter, f, '+') &&
            !tmb_bytes_eq(level_at(filter, f, f_end), level_at(topic, t, t_end)))
            return false;
        if (t_end == topic.len)
            return f_end == filter.len || is_last_hash(filter, f_end);
        if (f_end == filter.len)
            return false;
        f = f_end + 1;
        t = t_end + 1;
    }
}

bool tmb_topic_filter_covers(tmb_bytes outer, tmb_bytes inner)
{
    if (is_at(inner, 0, '$') && starts_with_wildcard(outer))
        return false;
    /* A topic has one level at least, so at the top "+" and "#" together ask for no more than "#". */
    if (tmb_bytes_eq(inner, tmb_bytes_str("#")) && tmb_bytes_eq(outer, tmb_bytes_str("+/#")))
        return true;
    size_t o = 0;
    size_t i = 0;
    for (;;) {
        if (is_at(outer, o, '#'))
            return true;
        if (is_at(inner, i, '#'))
            return false;
        size_t o_end = level_end(outer, o);
        size_t i_end = level_end(inner, i);
        if (!is_at(outer, o, '+') &&
            !tmb_bytes_eq(level_at(outer, o, o_end), level_at(inner, i, i_end)))
            return false;
        if (i_end == inner.len)
            return o_end == outer.len || is_last_hash(outer, o_end);
        if (o_end == outer.len)
            return false;
        o = o_end + 1;
        i = i_end + 1;
    }
}

static bool is_topic_text(tmb_bytes text)
{
    return text.len >= 1 && text.len <= TMB_TOPIC_BYTES_MAX && tmb_utf8_is_valid(text);
}

bool tmb_topic_is_valid(tmb_bytes topic)
{
    for (size_t i = 0; i < topic.len; i++) {
        if (topic.ptr[i] == '+' || topic.ptr[i] == '#')
            return false;
    }
    return is_topic_text(topic);
}

bool tmb_topic_filter_is_valid(tmb_bytes filter)
{
    for (size_t i = 0; i < filter.len; i++) {
        bool wildcard = filter.ptr[i] == '+' || filter.ptr[i] == '#';
        bool opens_level = i == 0 || filter.ptr[i - 1] == '/';
        bool is_last = i + 1 == filter.len;
        if (wildcard && !opens_level)
            return false;
        if (filter.ptr[i] == '+' && !is_last && filter.ptr[i + 1] != '/')
            return false;
        if (filter.ptr[i] == '#' && !is_last)
            return false;
    }
    return is_topic_text(filter);
}
