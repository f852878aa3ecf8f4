// SPDX-License-Identifier: Apache-2.0
/* policy/weights.c - see weights.h. */
#include "policy/weights.h"

typedef struct word {
    tmb_bytes text;    /* the whole of it */
    tmb_bytes pattern; /* without the star */
    bool is_prefix, is_right;
    unsigned weight;
} word;

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool read_weight(tmb_bytes digits, unsigned *ret_weight)
{
    unsigned weight = 0;
    if (digits.len == 0 || digits.len > 3)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        weight = weight * 10 + (unsigned)(digits.ptr[i] - '0');
    }
    *ret_weight = weight;
    return weight >= 1 && weight <= TMB_WEIGHT_MAX;
}

static void read_word(word *w)
{
    size_t len = 0;
    while (len < w->text.len && is_name_byte(w->text.ptr[len]))
        len++;
    w->pattern = tmb_bytes_of(w->text.ptr, len);
    w->is_prefix = len < w->text.len && w->text.ptr[len] == '*';
    len += w->is_prefix;
    w->is_right =
        (w->is_prefix || w->pattern.len > 0) && len < w->text.len && w->text.ptr[len] == '=' &&
        read_weight(tmb_bytes_of(w->text.ptr + len + 1, w->text.len - len - 1), &w->weight);
}

/* false: there is no more. */
static bool next_word(const char **at, word *w)
{
    *at += strspn(*at, " ");
    size_t len = strcspn(*at, " ");
    memset(w, 0, sizeof *w);
    w->text = tmb_bytes_of(*at, len);
    *at += len;
    if (len > 0)
        read_word(w);
    return len > 0;
}

/* Does one of the words before w match all that w does? */
static bool is_taken(const char *weights, const word *w)
{
    word before;
    while (next_word(&weights, &before) && before.text.ptr < w->text.ptr) {
        bool may = before.is_prefix ? w->pattern.len >= before.pattern.len
                                    : !w->is_prefix && w->pattern.len == before.pattern.len;
        if (may && memcmp(w->pattern.ptr, before.pattern.ptr, before.pattern.len) == 0)
            return true;
    }
    return false;
}

tmb_err tmb_weights_check(const char *weights, tmb_bytes *ret_bad)
{
    const char *at = weights;
    word w;
    while (next_word(&at, &w)) {
        tmb_err err = !w.is_right ? TMB_EINVAL : is_taken(weights, &w) ? TMB_ECONFIG : TMB_OK;
        if (err == TMB_OK)
            continue;
        *ret_bad = w.text;
        return err;
    }
    return TMB_OK;
}

unsigned tmb_weight_of(const char *weights, tmb_bytes name)
{
    word w;
    while (next_word(&weights, &w)) {
        bool matches = w.is_prefix ? name.len >= w.pattern.len : name.len == w.pattern.len;
        if (w.is_right && matches && memcmp(name.ptr, w.pattern.ptr, w.pattern.len) == 0)
            return w.weight;
    }
    return 1;
}
