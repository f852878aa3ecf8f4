// SPDX-License-Identifier: Apache-2.0
/* clients/c/dedupe.c - see clients/c/dedupe.h.
 *
 * The bits of a source are a ring: sequence s has bit s mod window. Those that the highest passes over are
 * cleared on the way, so a bit never speaks for a sequence of the round before.
 */
#include "clients/c/dedupe.h"

void tmb_dedupe_init(tmb_dedupe *d, tmb_dedupe_source *sources, size_t source_max, uint64_t *words,
                     uint64_t window)
{
    TMB_ASSERT(source_max > 0 && window >= 64 && window % 64 == 0);
    *d = (tmb_dedupe){
        .sources = sources, .words = words, .source_max = source_max, .window = window};
}

static bool is_of(const tmb_dedupe_source *s, const tmb_msgid *id)
{
    return s->life == id->life && strcmp(s->stream, id->stream) == 0 &&
           strcmp(s->node, id->node) == 0;
}

/* find gives the place of id's source, or source_count. */
static size_t find(const tmb_dedupe *d, const tmb_msgid *id)
{
    size_t i = 0;
    while (i < d->source_count && !is_of(&d->sources[i], id))
        i++;
    return i;
}

uint64_t *tmb_dedupe_bits(const tmb_dedupe *d, size_t source)
{
    return d->words + source * (size_t)(d->window / 64);
}

static bool is_set(const tmb_dedupe *d, size_t source, uint64_t seq)
{
    uint64_t at = seq % d->window;
    return tmb_dedupe_bits(d, source)[at / 64] >> (at % 64) & 1;
}

static void set(tmb_dedupe *d, size_t source, uint64_t seq)
{
    uint64_t at = seq % d->window;
    tmb_dedupe_bits(d, source)[at / 64] |= UINT64_C(1) << (at % 64);
}

static void clear(tmb_dedupe *d, size_t source, uint64_t seq)
{
    uint64_t at = seq % d->window;
    tmb_dedupe_bits(d, source)[at / 64] &= ~(UINT64_C(1) << (at % 64));
}

tmb_dedupe_answer tmb_dedupe_ask(const tmb_dedupe *d, const tmb_msgid *id)
{
    size_t i = find(d, id);
    if (i == d->source_count || id->seq > d->sources[i].highest)
        return TMB_DEDUPE_NEW;
    if (d->sources[i].highest - id->seq >= d->window)
        return TMB_DEDUPE_OLD;
    return is_set(d, i, id->seq) ? TMB_DEDUPE_REPEAT : TMB_DEDUPE_NEW;
}

static void clear_all(tmb_dedupe *d, size_t source)
{
    memset(tmb_dedupe_bits(d, source), 0, (size_t)(d->window / 8));
}

/* take gives a place to a source that has none. */
static size_t take(tmb_dedupe *d, const tmb_msgid *id)
{
    size_t at = d->source_count;
    if (at < d->source_max) {
        d->source_count++;
    } else {
        at = 0;
        for (size_t i = 1; i < d->source_count; i++)
            if (d->sources[i].heard < d->sources[at].heard)
                at = i;
        d->forgotten++;
    }
    tmb_dedupe_source *s = &d->sources[at];
    *s = (tmb_dedupe_source){.life = id->life};
    memcpy(s->node, id->node, sizeof s->node);
    memcpy(s->stream, id->stream, sizeof s->stream);
    clear_all(d, at);
    return at;
}

void tmb_dedupe_mark(tmb_dedupe *d, const tmb_msgid *id)
{
    size_t i = find(d, id);
    if (i == d->source_count)
        i = take(d, id);
    tmb_dedupe_source *s = &d->sources[i];
    s->heard = ++d->turn;
    if (id->seq > s->highest) {
        if (id->seq - s->highest >= d->window)
            clear_all(d, i);
        else
            for (uint64_t seq = s->highest + 1; seq <= id->seq; seq++)
                clear(d, i, seq);
        s->highest = id->seq;
    } else if (s->highest - id->seq >= d->window) {
        return;
    }
    set(d, i, id->seq);
}
