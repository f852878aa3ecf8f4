// SPDX-License-Identifier: Apache-2.0
/* journal/prove.c - see journal/prove.h.
 */
#include "journal/prove.h"

#include <stdlib.h>

#include "journal/tail.h"

static tmb_err add(tmb_chain *chain, const tmb_record *record)
{
    size_t cap = tmb_record_size(record), len = 0;
    uint8_t *bytes = malloc(cap);
    tmb_err err = bytes ? tmb_record_encode(record, bytes, cap, &len) : TMB_ENOMEM;
    if (err == TMB_OK)
        tmb_chain_add(chain, record->seq, tmb_bytes_of(bytes, len));
    free(bytes);
    return err;
}

/* A gap ends it: the block is not whole. */
static tmb_err add_until(tmb_tail *tail, uint64_t seq, tmb_chain *chain)
{
    while (chain->seq < seq) {
        tmb_record record;
        tmb_tail_gap gap;
        tmb_err err = tmb_tail_next(tail, &record, &gap);
        if (err == TMB_EGAP && gap.last_seq == 0)
            continue; /* damaged bytes that no number is missing for */
        if (err == TMB_EGAP || err == TMB_EAGAIN)
            return TMB_OK;
        if (err == TMB_OK)
            err = add(chain, &record);
        if (err != TMB_OK)
            return err;
    }
    return TMB_OK;
}

tmb_err tmb_journal_chain(const char *root, const char *stream, const tmb_file_port *files,
                          const tmb_incarnation *incarnation, uint64_t seq, tmb_chain *ret_chain)
{
    tmb_tail *tail = NULL;
    tmb_chain chain = {.seq = 0};
    tmb_incarnation found;
    uint64_t first = 0, last = 0;
    tmb_err err = tmb_tail_open(root, stream, files, &tail);
    if (err == TMB_OK)
        err = tmb_tail_seek(tail, tmb_chain_begin(seq));
    if (err == TMB_OK)
        err = add_until(tail, seq, &chain);
    if (err == TMB_OK) /* last: the log may be replaced by another at any time */
        err = tmb_tail_range(tail, &first, &last, &found);
    if (err == TMB_OK && !tmb_incarnation_eq(found, *incarnation))
        err = TMB_ENOENT;
    tmb_tail_close(tail);
    if (err != TMB_OK)
        return err;
    chain.is_known = chain.is_known && chain.seq == seq;
    *ret_chain = chain;
    return TMB_OK;
}
