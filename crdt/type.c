// SPDX-License-Identifier: Apache-2.0
/* crdt/type.c - names and numbers of types and verbs, and which family's rule a change goes to.
 *
 *   register   set                                          crdt/register.c
 *   counters   inc dec reset count                          crdt/counter.c
 *   presence   add admit revoke insert enable permit forbid new   crdt/set.c
 *   extremes   raise lower                                  crdt/extreme.c
 *   removal    rm disable del                               here: what was observed, and nothing put
 *
 * Follows: Almeida, Shoker, Baquero 2018, section 7.3: a mutator gives a delta, which is joined like any
 * other.
 * Differs: a delta says in its context which dots it removes, and nothing else that its maker has seen, so
 * it is a few bytes whatever the clock holds.
 */
#include "crdt/rule.h"

const char *tmb_type_str(tmb_type type)
{
    switch (type) {
#define CASE(name, number, word)                                                                   \
    case TMB_TYPE_##name:                                                                          \
        return word;
        TMB_TYPE_LIST(CASE)
#undef CASE
    case TMB_TYPE_NONE:
        break;
    }
    return "none";
}

const char *tmb_verb_str(tmb_verb verb)
{
    switch (verb) {
#define CASE(name, number, word, type, takes)                                                      \
    case TMB_VERB_##name:                                                                          \
        return word;
        TMB_VERB_LIST(CASE)
#undef CASE
    case TMB_VERB_NONE:
        break;
    }
    return "none";
}

tmb_verb tmb_verb_of_word(tmb_bytes word)
{
#define MATCH(name, number, text, type, takes)                                                     \
    if (tmb_bytes_eq(word, tmb_bytes_str(text)))                                                   \
        return TMB_VERB_##name;
    TMB_VERB_LIST(MATCH)
#undef MATCH
    return TMB_VERB_NONE;
}

tmb_verb tmb_verb_meant(tmb_bytes word)
{
    static const struct {
        const char *word;
        tmb_verb verb;
    } list[] = {
        {"remove", TMB_VERB_RM},     {"discard", TMB_VERB_RM},    {"delete", TMB_VERB_DEL},
        {"unset", TMB_VERB_DEL},     {"put", TMB_VERB_SET},       {"write", TMB_VERB_SET},
        {"increment", TMB_VERB_INC}, {"decrement", TMB_VERB_DEC},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (tmb_bytes_eq(word, tmb_bytes_str(list[i].word)))
            return list[i].verb;
    return TMB_VERB_NONE;
}

tmb_type tmb_verb_type(tmb_verb verb)
{
    switch (verb) {
#define CASE(name, number, word, type, takes)                                                      \
    case TMB_VERB_##name:                                                                          \
        return TMB_TYPE_##type;
        TMB_VERB_LIST(CASE)
#undef CASE
    case TMB_VERB_NONE:
        break;
    }
    return TMB_TYPE_NONE;
}

tmb_takes tmb_verb_takes(tmb_verb verb)
{
    switch (verb) {
#define CASE(name, number, word, type, takes)                                                      \
    case TMB_VERB_##name:                                                                          \
        return TMB_TAKES_##takes;
        TMB_VERB_LIST(CASE)
#undef CASE
    case TMB_VERB_NONE:
        break;
    }
    return TMB_TAKES_NOTHING;
}

bool tmb_type_is_set(tmb_type type)
{
    return type == TMB_TYPE_AW_SET || type == TMB_TYPE_RW_SET || type == TMB_TYPE_G_SET;
}

bool tmb_type_is_value_valid(tmb_type type, tmb_bytes value)
{
    switch (type) {
    case TMB_TYPE_REGISTER:
        return value.len >= TMB_REGISTER_STAMP_BYTES;
    case TMB_TYPE_G_COUNTER:
    case TMB_TYPE_PN_COUNTER:
        return tmb_counter_is_valid(type, value);
    case TMB_TYPE_RW_SET:
    case TMB_TYPE_DW_FLAG:
        return value.len == 1 && value.ptr[0] <= 1;
    case TMB_TYPE_AW_SET:
    case TMB_TYPE_G_SET:
    case TMB_TYPE_EW_FLAG:
    case TMB_TYPE_MAP:
        return value.len == 0;
    case TMB_TYPE_MAX:
    case TMB_TYPE_MIN:
        return value.len >= 1 && value.len <= TMB_EXTREME_BYTES_MAX;
    case TMB_TYPE_NONE:
        break;
    }
    return false;
}

size_t tmb_change_room(const tmb_change *change)
{
    switch (tmb_verb_type(change->verb)) {
    case TMB_TYPE_REGISTER:
        return TMB_REGISTER_STAMP_BYTES + change->value.len;
    case TMB_TYPE_G_COUNTER:
    case TMB_TYPE_PN_COUNTER:
        return TMB_COUNTER_VALUE_MAX;
    case TMB_TYPE_MAX:
    case TMB_TYPE_MIN:
        return change->value.len;
    case TMB_TYPE_AW_SET:
    case TMB_TYPE_RW_SET:
    case TMB_TYPE_G_SET:
    case TMB_TYPE_EW_FLAG:
    case TMB_TYPE_DW_FLAG:
    case TMB_TYPE_MAP:
    case TMB_TYPE_NONE:
        break;
    }
    return 0;
}

tmb_err tmb_rule_put(const tmb_rule *rule, tmb_bytes value)
{
    tmb_entry entry = {*rule->dot, value};
    tmb_err err = tmb_leaf_put(&rule->delta->leaf, &entry);
    rule->delta->is_nothing = false;
    return err == TMB_OK ? tmb_context_add(&rule->delta->context, rule->dot) : err;
}

tmb_err tmb_rule_remove(const tmb_rule *rule, const tmb_entry *entry)
{
    rule->delta->is_nothing = false;
    return tmb_context_add(&rule->delta->context, &entry->dot);
}

tmb_err tmb_rule_empty(const tmb_rule *rule)
{
    for (unsigned i = 0; i < rule->leaf->count; i++) {
        const tmb_entry *entry = &rule->leaf->entries[i];
        tmb_err err = tmb_rule_is_observed(rule, entry) ? tmb_rule_remove(rule, entry) : TMB_OK;
        if (err != TMB_OK)
            return err;
    }
    return rule->delta->is_nothing ? TMB_OK : tmb_context_add(&rule->delta->context, rule->dot);
}

static tmb_err follow(const tmb_rule *rule)
{
    switch (rule->change->verb) {
    case TMB_VERB_SET:
        return tmb_rule_register(rule);
    case TMB_VERB_INC:
    case TMB_VERB_DEC:
    case TMB_VERB_RESET:
    case TMB_VERB_COUNT:
        return tmb_rule_counter(rule);
    case TMB_VERB_ADD:
    case TMB_VERB_ADMIT:
    case TMB_VERB_REVOKE:
    case TMB_VERB_INSERT:
    case TMB_VERB_ENABLE:
    case TMB_VERB_PERMIT:
    case TMB_VERB_FORBID:
    case TMB_VERB_NEW:
        return tmb_rule_presence(rule);
    case TMB_VERB_RAISE:
    case TMB_VERB_LOWER:
        return tmb_rule_extreme(rule);
    case TMB_VERB_RM:
    case TMB_VERB_DISABLE:
    case TMB_VERB_DEL:
        return tmb_rule_empty(rule);
    case TMB_VERB_NONE:
        break;
    }
    return TMB_EINVAL;
}

tmb_err tmb_change_delta(tmb_type type, const tmb_change *change, const tmb_leaf *leaf,
                         const tmb_context *observed, const tmb_dot *dot, uint8_t *room,
                         size_t room_cap, tmb_delta *ret)
{
    ret->leaf.count = 0;
    ret->context =
        tmb_context_of(ret->bases, TMB_SIBLINGS_MAX + 1, ret->runs, TMB_SIBLINGS_MAX + 1);
    ret->is_nothing = true;
    ret->is_saturated = false;
    bool is_any = change->verb == TMB_VERB_DEL && type > TMB_TYPE_NONE && type < TMB_TYPES;
    if (!is_any && (change->verb == TMB_VERB_DEL || tmb_verb_type(change->verb) != type))
        return TMB_EINVAL;
    if (dot->seq == 0 || dot->seq > TMB_SEQ_MAX || tmb_leaf_find(leaf, dot) ||
        room_cap < tmb_change_room(change))
        return TMB_EINVAL;
    tmb_rule rule = {type, change, leaf, observed, dot, room, ret};
    return follow(&rule);
}
