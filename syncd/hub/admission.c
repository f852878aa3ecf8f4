// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/admission.c - see syncd/hub/admission.h. */
#include "syncd/hub/admission.h"

#include <string.h>

#include "base/err.h"

#define MS INT64_C(1000000)
#define NS_OF_THOUSANDTH                                                                           \
    UINT64_C(1000000000000) /* a session at a rate of one thousandth a second */

void tmb_admission_init(tmb_admission *a, const tmb_admission_options *options)
{
    TMB_ASSERT(options->window_min.ns >= 0);
    memset(a, 0, sizeof *a);
    a->options = *options;
    a->rate_mps = options->rate_mps != 0 ? options->rate_mps : 1000;
    a->next_slot.ns = a->not_before.ns = INT64_MIN;
    a->last_done = tmb_mono_never();
}

void tmb_admission_set(tmb_admission *a, uint64_t children, uint64_t rate_mps)
{
    a->children = children;
    if (a->options.rate_mps == 0 && rate_mps > 0)
        a->rate_mps = rate_mps;
}

/* What `sessions` take at C. */
static int64_t work_ns(const tmb_admission *a, uint64_t sessions)
{
    return (int64_t)(sessions * (NS_OF_THOUSANDTH / a->rate_mps));
}

/* How long until the queue and one more are done. */
static int64_t queue_ns(const tmb_admission *a)
{
    int64_t step_ns = a->step_ns != 0 && a->options.rate_mps == 0 ? a->step_ns : work_ns(a, 1);
    return step_ns * ((int64_t)a->count + 1);
}

static tmb_admission_place *place_at(tmb_admission *a, unsigned i)
{
    return &a->queue[(a->first + i) % TMB_ADMISSION_QUEUE_MAX];
}

static bool is_queued(tmb_admission *a, uint64_t child)
{
    for (unsigned i = 0; i < a->count; i++) {
        if (place_at(a, i)->child == child)
            return true;
    }
    return false;
}

/* How long one that comes now would wait: by what is before it, or by what the first has waited. */
static int64_t wait_ns(const tmb_admission *a, tmb_mono now)
{
    if (a->count == 0)
        return 0;
    int64_t by_work = queue_ns(a);
    int64_t by_first = now.ns - a->queue[a->first].since.ns;
    return by_work > by_first ? by_work : by_first;
}

static uint32_t give_slot(tmb_admission *a, tmb_mono now)
{
    int64_t free_ns = now.ns + queue_ns(a);
    int64_t step_ns = work_ns(a, 10) / 8;
    a->next_slot.ns = (a->next_slot.ns > free_ns ? a->next_slot.ns : free_ns) + step_ns;
    int64_t wait = (a->next_slot.ns - now.ns) / MS + 1;
    if (wait > TMB_SLOT_MS_MAX) { /* the clamped ones come together; they are told again then */
        wait = TMB_SLOT_MS_MAX;
        a->next_slot.ns -= step_ns;
    }
    return wait > TMB_SLOT_MS_MIN ? (uint32_t)wait : TMB_SLOT_MS_MIN;
}

bool tmb_admission_arrive(tmb_admission *a, uint64_t child, tmb_mono now, uint32_t *ret_wait_ms)
{
    TMB_ASSERT(child != 0);
    if (is_queued(a, child))
        return true;
    if (a->count == TMB_ADMISSION_QUEUE_MAX || wait_ns(a, now) > TMB_ADMISSION_WAIT_MS_MAX * MS) {
        a->refused++;
        *ret_wait_ms = give_slot(a, now);
        return false;
    }
    tmb_admission_place *place = place_at(a, a->count++);
    place->child = child;
    place->since = now;
    return true;
}

uint64_t tmb_admission_next(tmb_admission *a, tmb_mono now)
{
    if (a->count == 0 || a->at_work == TMB_ADMISSIONS_AT_ONCE || a->not_before.ns > now.ns)
        return 0;
    tmb_admission_place place = *place_at(a, 0);
    a->first = (a->first + 1) % TMB_ADMISSION_QUEUE_MAX;
    a->count--;
    a->at_work++;
    a->admitted++;
    a->last_wait.ns = now.ns - place.since.ns;
    if (a->worst_wait.ns < a->last_wait.ns)
        a->worst_wait = a->last_wait;
    if (a->options.rate_mps != 0) {
        int64_t from_ns = a->not_before.ns > now.ns - MS ? a->not_before.ns : now.ns;
        a->not_before.ns = from_ns + work_ns(a, 1);
    }
    return place.child;
}

void tmb_admission_done(tmb_admission *a, tmb_mono now)
{
    TMB_ASSERT(a->at_work > 0);
    a->at_work--;
    if (a->last_done.ns != INT64_MAX) {
        int64_t ns = now.ns - a->last_done.ns;
        a->step_ns = a->step_ns == 0 ? ns : a->step_ns + (ns - a->step_ns) / 16;
        a->step_ns = a->step_ns > 1000 ? a->step_ns : 1000; /* a million a second are enough */
    }
    a->last_done = a->count > 0 ? now : tmb_mono_never();
}

bool tmb_admission_forget(tmb_admission *a, uint64_t child)
{
    unsigned i = 0;
    while (i < a->count && place_at(a, i)->child != child)
        i++;
    if (i == a->count)
        return false;
    for (; i + 1 < a->count; i++)
        *place_at(a, i) = *place_at(a, i + 1);
    a->count--;
    return true;
}

void tmb_admission_clear(tmb_admission *a)
{
    a->count = a->at_work = 0;
    a->last_done = tmb_mono_never();
}

tmb_mono tmb_admission_deadline(const tmb_admission *a)
{
    bool is_waiting = a->count > 0 && a->at_work < TMB_ADMISSIONS_AT_ONCE;
    return is_waiting ? a->not_before : tmb_mono_never();
}

uint32_t tmb_admission_window_ms(const tmb_admission *a)
{
    uint64_t least = (uint64_t)(a->options.window_min.ns / MS), most = TMB_WINDOW_MS_MAX;
    uint64_t children = a->children < 1000000000 ? a->children : 1000000000;
    uint64_t window = children * 1250000 / a->rate_mps + 1; /* N / (0.8 C), in ms */
    window = window > least ? window : least;
    window = window > TMB_WINDOW_MS_MIN ? window : TMB_WINDOW_MS_MIN;
    return (uint32_t)(window < most ? window : most);
}

uint32_t tmb_admission_load(const tmb_admission *a, tmb_dur lag, tmb_mono now)
{
    int64_t ns = wait_ns(a, now);
    ns = ns > lag.ns ? ns : lag.ns;
    int64_t percent = ns * 100 / (TMB_ADMISSION_WAIT_MS_MAX * MS);
    return (uint32_t)(percent < 100 ? percent : 100);
}
