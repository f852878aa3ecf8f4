// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/told.c - see told.h.
 */
#include "syncd/daemon/told.h"

#include "syncd/daemon/dictionary.h"

void tmb_told_begin(tmb_told *told)
{
    told->given = 0;
    told->count = 0;
}

uint64_t tmb_told_ours(const tmb_told *told, uint64_t messages)
{
    unsigned count = 0;
    while (count < told->count && told->at[count] <= messages)
        count++;
    return messages - count;
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
