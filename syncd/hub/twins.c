// SPDX-License-Identifier: Apache-2.0
/* syncd/hub/twins.c - see twins.h.
 */
#include "syncd/hub/twins.h"

static bool is_fenced(const tmb_twins *twins, uint64_t box)
{
    for (unsigned i = 0; i < TMB_TWINS_FENCED_MAX; i++) {
        if (box != 0 && twins->fenced[i] == box)
            return true;
    }
    return false;
}

static tmb_twins_verdict take(tmb_twins *twins, uint64_t box)
{
    twins->box = box;
    twins->is_probing = false;
    return TMB_TWINS_TAKE;
}

/* The probed box has answered, be it late: then the rival has the session by now, under its newest number. */
static tmb_twins_verdict prove(tmb_twins *twins, uint64_t open_session)
{
    if (twins->box == twins->rival_box && open_session != 0)
        twins->rival_session = open_session;
    twins->fenced[twins->fenced_next] = twins->rival_box;
    twins->fenced_next = (twins->fenced_next + 1) % TMB_TWINS_FENCED_MAX;
    (void)take(twins, twins->probed_box);
    twins->probed_session = 0;
    return TMB_TWINS_PROVED;
}

tmb_twins_verdict tmb_twins_hello(tmb_twins *twins, const tmb_frame_hello *hello,
                                  uint64_t open_session, tmb_mono now)
{
    if (is_fenced(twins, hello->box))
        return TMB_TWINS_REFUSE;
    if (hello->box != 0 && hello->answers != 0 && hello->answers == twins->probed_session &&
        hello->box == twins->probed_box)
        return prove(twins, open_session);
    if (hello->box == 0 || twins->box == 0 || open_session == 0 || hello->box == twins->box)
        return take(twins, hello->box);
    if (!twins->is_probing) {
        twins->is_probing = true;
        twins->probed_box = twins->box;
        twins->probed_session = open_session;
        twins->rival_box = hello->box;
        twins->rival_session = hello->session;
        twins->until = tmb_mono_after(now, tmb_dur_ms(TMB_TWINS_PROBE_MS));
        return TMB_TWINS_PROBE;
    }
    twins->rival_box = hello->box; /* the newest: the one before may have been a short life */
    twins->rival_session = hello->session;
    return tmb_mono_is_due(twins->until, now) ? take(twins, hello->box) : TMB_TWINS_WAIT;
}

uint64_t tmb_twins_due(tmb_twins *twins, tmb_mono now)
{
    if (!twins->is_probing || !tmb_mono_is_due(twins->until, now))
        return 0;
    uint64_t session = twins->rival_session;
    twins->rival_session = 0;
    return session;
}
