// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/told.c - see told.h.
 */
#include "syncd/daemon/told.h"

#include <stdlib.h>

#include "syncd/daemon/dictionary.h"

void tmb_told_begin(tmb_told *told)
{
    told->given = 0;
    told->count = 0;
    told->state_count = 0;
    told->state_left = 0;
}

void tmb_told_free(tmb_told *told)
{
    free(told->state_at);
    told->state_at = NULL;
    told->state_count = told->state_cap = 0;
}

/* Without memory a place is not noted: then a frame of the session counts as gone a little early. */
void tmb_told_state(tmb_told *told)
{
    told->given++;
    if (told->state_count == told->state_cap) {
        size_t cap = told->state_cap == 0 ? 64 : 2 * told->state_cap;
        uint64_t *at = realloc(told->state_at, cap * sizeof *at);
        if (!at)
            return;
        told->state_at = at;
        told->state_cap = cap;
    }
    told->state_at[told->state_count++] = told->given;
}

uint64_t tmb_told_ours(tmb_told *told, uint64_t messages)
{
    unsigned count = 0;
    size_t gone = 0;
    while (gone < told->state_count && told->state_at[gone] <= messages)
        gone++;
    told->state_count -= gone;
    told->state_left += gone;
    if (gone > 0)
        memmove(told->state_at, told->state_at + gone,
                told->state_count * sizeof told->state_at[0]);
    while (count < told->count && told->at[count] <= messages)
        count++;
    return messages - count - told->state_left;
}

void tmb_told_ask(const tmb_told *told, const tmb_session *session, const tmb_lane *lane,
                  tmb_load *load)
{
    bool is_told = lane->told_session == session->session;
    bool has_got = is_told && !lane->is_dictionary_lost;
    load->parent_dictionary =
        has_got ? lane->told_dictionary : session->lanes[lane->index].dictionary;
    bool is_in_vain = is_told && lane->told_times >= TMB_TOLD_TIMES &&
                      load->parent_dictionary != lane->told_dictionary;
    /* The others that are being loaded may each bring one, too. */
    bool has_place = told->count + TMB_INFLIGHT_BATCHES_MAX <= TMB_TOLD_MAX;
    load->may_have_dictionary = has_place && !is_in_vain;
    load->dictionary_bytes =
        session->options.is_paced ? tmb_pace_at_once(&session->pace) : UINT32_MAX;
}

tmb_frame tmb_told_frame(const tmb_frame_batch *batch, const tmb_load *load)
{
    tmb_frame frame = {.type = TMB_FRAME_DICTIONARY};
    frame.u.dictionary.session = batch->session;
    frame.u.dictionary.stream = batch->stream;
    frame.u.dictionary.incarnation = batch->incarnation;
    frame.u.dictionary.id = load->dictionary->dictionary.id;
    frame.u.dictionary.data = load->dictionary->dictionary.data;
    return frame;
}

void tmb_told_sent(tmb_told *told, tmb_lane *lane, const tmb_frame_dictionary *dictionary)
{
    bool is_again =
        lane->told_session == dictionary->session && lane->told_dictionary == dictionary->id;
    TMB_ASSERT(told->count < TMB_TOLD_MAX);
    told->at[told->count++] = told->given;
    told->sent++;
    lane->told_times = is_again ? lane->told_times + 1 : 1;
    lane->told_session = dictionary->session;
    lane->told_dictionary = dictionary->id;
    lane->is_dictionary_lost = false;
}
