// SPDX-License-Identifier: Apache-2.0
/* tests/property/oracle.c - the rules of oracle.h, as they are said there; no care for speed. */
#include "tests/property/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has(const oracle_set *set, unsigned event)
{
    return set->words[event / 64] >> (event % 64) & 1;
}

static void put(oracle_set *set, unsigned event)
{
    set->words[event / 64] |= UINT64_C(1) << (event % 64);
}

void oracle_init(oracle *o, unsigned replicas, const oracle_kind *kinds, unsigned leaves)
{
    memset(o->visible, 0, sizeof o->visible);
    o->replicas = replicas;
    o->leaves = leaves;
    o->events_count = 0;
    for (unsigned i = 0; i < leaves; i++)
        o->kinds[i] = kinds[i];
    for (unsigned i = 0; i < replicas; i++)
        o->actors[i] = i;
}

static bool is_counter(oracle_kind kind)
{
    return kind == ORACLE_G_COUNTER || kind == ORACLE_PN_COUNTER;
}

/* Counters and extremes are changed as they are, whatever a client had read of them. */
static bool is_whole(oracle_kind kind)
{
    return is_counter(kind) || kind == ORACLE_MAX || kind == ORACLE_MIN;
}

/* Whether later, which has seen earlier, takes its place. */
static bool outdoes(const oracle *o, const oracle_event *later, const oracle_event *earlier)
{
    if (later->says == ORACLE_TAKES)
        return true;
    if (is_counter(o->kinds[later->leaf]))
        return later->actor == earlier->actor;
    return true; /* whatever is put takes the place of all that its maker had seen */
}

/* Whether event, which has something to say, still says it to who sees visible. */
static bool is_standing(const oracle *o, const oracle_set *visible, unsigned event)
{
    const oracle_event *e = &o->events[event];
    if (!has(visible, event) || e->says == ORACLE_TAKES)
        return false;
    for (unsigned i = 0; i < o->events_count; i++)
        if (has(visible, i) && has(&o->events[i].seen, event) && outdoes(o, &o->events[i], e))
            return false;
    return true;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void take_in(oracle_kind kind, const oracle_event *e, oracle_value *value)
{
    bool is_first = !value->is_there && value->values == 0;
    switch (kind) {
    case ORACLE_REGISTER:
        value->value[value->values++] =
            e->stamp << 16 | (uint64_t)e->actor << 8 | (uint64_t)e->number;
        value->is_there = true;
        break;
    case ORACLE_G_COUNTER:
    case ORACLE_PN_COUNTER:
        value->number += e->total;
        value->is_there = true;
        break;
    case ORACLE_MAX:
    case ORACLE_MIN:
        if (is_first ||
            (kind == ORACLE_MAX ? e->number > value->number : e->number < value->number))
            value->number = e->number;
        value->is_there = true;
        break;
    case ORACLE_RW_SET:
    case ORACLE_DW_FLAG:
        value->is_there = (is_first || value->is_there) && e->says == ORACLE_PUTS;
        value->values = 1; /* some are standing; taken away again in evaluate */
        break;
    case ORACLE_AW_SET:
    case ORACLE_G_SET:
    case ORACLE_EW_FLAG:
    case ORACLE_MAP:
        value->is_there = true;
        break;
    case ORACLE_KINDS:
        abort();
    }
}

/* The value of leaf to who sees visible; only what is in among counts (NULL: all). */
static void evaluate(const oracle *o, const oracle_set *visible, unsigned leaf,
                     const oracle_set *among, oracle_value *ret)
{
    ret->is_there = false;
    ret->number = 0;
    ret->values = 0;
    for (unsigned i = 0; i < o->events_count; i++)
        if (o->events[i].leaf == leaf && (!among || has(among, i)) && is_standing(o, visible, i))
            take_in(o->kinds[leaf], &o->events[i], ret);
    if (o->kinds[leaf] != ORACLE_REGISTER)
        ret->values = 0;
    qsort(ret->value, ret->values, sizeof *ret->value, by_value);
}

static int64_t own_total(const oracle *o, unsigned replica, unsigned leaf)
{
    const oracle_set *visible = &o->visible[replica][leaf];
    int64_t total = 0;
    for (unsigned i = 0; i < o->events_count; i++)
        if (o->events[i].leaf == leaf && o->events[i].actor == o->actors[replica] &&
            is_standing(o, visible, i))
            total = o->events[i].total;
    return total;
}

/* A change that is none: nothing seen to take away, a value not beyond what is there, nothing to count. */
static bool is_nothing(const oracle *o, unsigned replica, const oracle_event *e)
{
    const oracle_set *visible = &o->visible[replica][e->leaf];
    oracle_kind kind = o->kinds[e->leaf];
    oracle_value value;
    if (e->says == ORACLE_TAKES) {
        for (unsigned i = 0; i < o->events_count; i++)
            if (o->events[i].leaf == e->leaf && has(&e->seen, i) && is_standing(o, visible, i))
                return false;
        return true;
    }
    evaluate(o, visible, e->leaf, NULL, &value);
    if (e->says == ORACLE_RESETS)
        return e->number == 0;
    if (is_counter(kind))
        return e->number == 0 && value.is_there;
    if (kind == ORACLE_MAX)
        return value.is_there && e->number <= value.number;
    if (kind == ORACLE_MIN)
        return value.is_there && e->number >= value.number;
    return false;
}

/* Sets and flags: who says what others say too takes their place, whatever he had read. No difference to a
 * value, since nobody sees him without them; but what is left to be taken away is less. */
static void see_the_same(const oracle *o, const oracle_set *visible, oracle_event *e)
{
    if (e->says == ORACLE_TAKES || o->kinds[e->leaf] == ORACLE_REGISTER)
        return;
    for (unsigned i = 0; i < o->events_count; i++)
        if (o->events[i].leaf == e->leaf && has(visible, i) && o->events[i].says == e->says)
            put(&e->seen, i);
}

bool oracle_do(oracle *o, unsigned replica, unsigned leaf, oracle_says says, uint64_t stamp,
               int64_t number, const oracle_set *token)
{
    oracle_set *visible = &o->visible[replica][leaf];
    oracle_kind kind = o->kinds[leaf];
    if (o->events_count == ORACLE_EVENTS_MAX)
        abort();
    oracle_event *e = &o->events[o->events_count];
    *e = (oracle_event){o->actors[replica], leaf, says, stamp, number, 0, *visible};
    if (says == ORACLE_RESETS) {
        oracle_value value;
        evaluate(o, visible, leaf, token, &value);
        e->number = -value.number;
    } else if (token && (says == ORACLE_TAKES || !is_whole(kind))) {
        e->seen = *token;
        see_the_same(o, visible, e);
    }
    if (is_nothing(o, replica, e))
        return false;
    e->total = is_counter(kind) ? own_total(o, replica, leaf) + e->number : 0;
    put(visible, o->events_count++);
    return true;
}

void oracle_show(oracle *o, unsigned from, unsigned to, unsigned leaf)
{
    for (unsigned i = 0; i < ORACLE_EVENTS_MAX / 64; i++)
        o->visible[to][leaf].words[i] |= o->visible[from][leaf].words[i];
}

void oracle_read(const oracle *o, unsigned replica, unsigned leaf, oracle_value *ret)
{
    evaluate(o, &o->visible[replica][leaf], leaf, NULL, ret);
}

bool oracle_value_eq(const oracle_value *a, const oracle_value *b)
{
    if (a->is_there != b->is_there || a->number != b->number || a->values != b->values)
        return false;
    for (unsigned i = 0; i < a->values; i++)
        if (a->value[i] != b->value[i])
            return false;
    return true;
}

const char *oracle_value_str(const oracle_value *value, char *text)
{
    int len = snprintf(text, 256, "%s %lld", value->is_there ? "there" : "not there",
                       (long long)value->number);
    for (unsigned i = 0; i < value->values && len < 200; i++)
        len += snprintf(text + len, 256 - (size_t)len, " %llu@%llu/%llu",
                        (unsigned long long)(value->value[i] & 0xff),
                        (unsigned long long)(value->value[i] >> 16),
                        (unsigned long long)(value->value[i] >> 8 & 0xff));
    return text;
}
