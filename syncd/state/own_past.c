// SPDX-License-Identifier: Apache-2.0
/* syncd/state/own_past.c - what somebody may have of our own past: the chain there, and what counters were.
 *
 *   own dots    1 ..... 7 | 8 .. 12 | 13 ........ 40          | ends of transactions
 *   rows        c7          c12       c40    k9: was (7, +3)
 *
 * A row stands where a transaction ended that a neighbour may have been sent. One that ended unseen makes
 * room for the next, so a node that is alone for weeks keeps one row, and one for each counter. Rows that
 * every active neighbour has acknowledged go, and beyond TMB_CHAINS_MAX the oldest.
 */
#include "syncd/state/inside.h"

static tmb_err first_seq(tmb_scope *scope, char row, uint64_t *ret_seq)
{
    tmb_bytes tail;
    tmb_err err = tmb_scope_seek(scope, row, tmb_bytes_of(NULL, 0), false, &tail, NULL);
    return err == TMB_OK ? tmb_seq_read(tail, ret_seq) : err;
}

static tmb_err drop_below(tmb_scope *scope, char row, uint64_t seq, unsigned rows_max,
                          unsigned *dropped)
{
    while (*dropped < rows_max) {
        uint64_t first;
        tmb_err err = first_seq(scope, row, &first);
        if (err == TMB_ENOENT || (err == TMB_OK && first >= seq))
            return TMB_OK;
        if (err == TMB_OK)
            err = tmb_scope_del(scope, tmb_scope_key_seq(scope, row, first));
        if (err != TMB_OK)
            return err;
        scope->is_changed = true;
        scope->chains -= row == TMB_ROW_CHAIN;
        ++*dropped;
    }
    return TMB_OK;
}

tmb_err tmb_scope_drop_past(tmb_scope *scope, uint64_t seq, unsigned rows_max, unsigned *dropped)
{
    if (seq <= scope->kept_chain)
        return TMB_OK;
    unsigned counts = 0;
    tmb_err err = drop_below(scope, TMB_ROW_CHAIN, seq, rows_max, dropped);
    if (err == TMB_OK)
        err = drop_below(scope, TMB_ROW_COUNT, seq + 1, rows_max, &counts);
    if (err != TMB_OK)
        return err;
    if (*dropped < rows_max && counts < rows_max) {
        scope->kept_chain = seq;
        scope->is_changed = true;
    } else { /* the rest another time: what is still there counts */
        uint64_t first;
        err = first_seq(scope, TMB_ROW_CHAIN, &first);
        if (err == TMB_OK && first > scope->kept_chain)
            scope->kept_chain = first;
    }
    return err == TMB_ENOENT ? TMB_OK : err;
}

tmb_err tmb_scope_note_chain(tmb_scope *scope)
{
    uint8_t row[1 + TMB_STATE_CHAIN_BYTES] = {TMB_ROW_VERSION};
    if (scope->last == scope->saved_last)
        return TMB_OK;
    tmb_err err = TMB_OK;
    if (scope->saved_last > scope->exposed && scope->saved_last > 0) {
        err = tmb_scope_del(scope, tmb_scope_key_seq(scope, TMB_ROW_CHAIN, scope->saved_last));
        scope->chains--;
    }
    memcpy(row + 1, scope->chain, TMB_STATE_CHAIN_BYTES);
    if (err == TMB_OK)
        err = tmb_scope_put(scope, tmb_scope_key_seq(scope, TMB_ROW_CHAIN, scope->last),
                            tmb_bytes_of(row, sizeof row));
    if (err != TMB_OK)
        return err;
    scope->chains++;
    if (scope->chains <= TMB_CHAINS_MAX)
        return TMB_OK;
    uint64_t first = 0;
    unsigned dropped = 0, counts = 0;
    err = first_seq(scope, TMB_ROW_CHAIN, &first);
    if (err == TMB_OK)
        err = drop_below(scope, TMB_ROW_CHAIN, first + 1, 1, &dropped);
    if (err == TMB_OK)
        err = drop_below(scope, TMB_ROW_COUNT, first + 1, TMB_FORGET_AT_ONCE, &counts);
    if (first + 1 > scope->kept_chain)
        scope->kept_chain = first + 1;
    return err == TMB_ENOENT ? TMB_ECORRUPT : err;
}

tmb_err tmb_scope_chain_at(tmb_scope *scope, uint64_t seq, uint8_t ret_chain[TMB_STATE_CHAIN_BYTES])
{
    tmb_bytes value;
    if (seq > scope->last)
        return TMB_EGAP;
    if (seq > 0 && seq == scope->last) {
        memcpy(ret_chain, scope->chain, TMB_STATE_CHAIN_BYTES);
        return TMB_OK;
    }
    if (seq == 0 || seq < scope->kept_chain)
        return TMB_ENOENT;
    tmb_err err = tmb_scope_get(scope, tmb_scope_key_seq(scope, TMB_ROW_CHAIN, seq), &value);
    if (err == TMB_ENOENT)
        return seq == scope->kept_chain ? TMB_ENOENT : TMB_EGAP;
    tmb_reader r;
    if (err == TMB_OK)
        err = tmb_row_begin(&r, value);
    if (err != TMB_OK)
        return err;
    tmb_bytes chain = tmb_get_bytes(&r, TMB_STATE_CHAIN_BYTES);
    if (r.bad)
        return TMB_ECORRUPT;
    memcpy(ret_chain, chain.ptr, TMB_STATE_CHAIN_BYTES);
    return TMB_OK;
}

tmb_err tmb_scope_count_before(tmb_scope *scope, uint64_t seq, uint64_t *ret_seq,
                               uint8_t value[TMB_COUNTER_VALUE_MAX], size_t *ret_len)
{
    tmb_bytes row;
    tmb_reader r;
    tmb_err err = tmb_scope_get(scope, tmb_scope_key_seq(scope, TMB_ROW_COUNT, seq), &row);
    if (err == TMB_OK)
        err = tmb_row_begin(&r, row);
    if (err != TMB_OK)
        return err;
    uint64_t before = tmb_get_varint(&r);
    tmb_bytes amounts = tmb_get_bytes(&r, tmb_reader_left(&r));
    if (r.bad || amounts.len > TMB_COUNTER_VALUE_MAX)
        return TMB_ECORRUPT;
    *ret_seq = before;
    *ret_len = amounts.len;
    memcpy(value, amounts.ptr, amounts.len);
    return TMB_OK;
}

/* An entry that nobody was sent gives way: what was before it is before the new one. */
tmb_err tmb_scope_note_count(tmb_scope *scope, uint64_t seq, const tmb_entry *before)
{
    uint8_t value[TMB_COUNTER_VALUE_MAX];
    if (!before)
        return TMB_OK; /* no row: it was not there */
    if (before->value.len > sizeof value)
        return TMB_ECORRUPT;
    uint64_t seq_before = before->dot.seq;
    size_t len = before->value.len;
    memcpy(value, before->value.ptr, len);
    if (seq_before > scope->exposed) {
        uint64_t unseen = seq_before;
        tmb_err err = tmb_scope_count_before(scope, unseen, &seq_before, value, &len);
        if (err == TMB_ENOENT)
            return TMB_OK;
        if (err == TMB_OK)
            err = tmb_scope_del(scope, tmb_scope_key_seq(scope, TMB_ROW_COUNT, unseen));
        if (err != TMB_OK)
            return err;
    }
    uint8_t row[1 + TMB_VARINT_BYTES_MAX + TMB_COUNTER_VALUE_MAX];
    tmb_writer w = tmb_writer_of(row, sizeof row);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_varint(&w, seq_before);
    tmb_put_bytes(&w, tmb_bytes_of(value, len));
    return tmb_scope_put(scope, tmb_scope_key_seq(scope, TMB_ROW_COUNT, seq),
                         tmb_bytes_of(row, (size_t)(w.at - row)));
}
