// SPDX-License-Identifier: Apache-2.0
/* syncd/state/scope_index.c - from a dot to the leaf that it is in: what is sent on is found here.
 *
 *   d actor seq -> leaf     each live dot, and each removal that somebody may lack
 *   r actor seq             of these the removals, for forgetting them without a look at the live ones
 *
 * So the index holds live dots and removals that are not stable, whatever the number of changes.
 */
#include "syncd/state/inside.h"

tmb_err tmb_dot_row_read(tmb_bytes value, bool *ret_is_removal, tmb_bytes *ret_key)
{
    tmb_reader r;
    tmb_err err = tmb_row_begin(&r, value);
    uint8_t is_removal = err == TMB_OK ? tmb_get_u8(&r) : 0;
    if (err != TMB_OK)
        return err;
    if (r.bad || is_removal > 1)
        return TMB_ECORRUPT;
    *ret_is_removal = is_removal == 1;
    *ret_key = tmb_get_bytes(&r, tmb_reader_left(&r));
    return TMB_OK;
}

static tmb_err put_dot(tmb_scope *scope, tmb_bytes key, const tmb_dot *dot, bool is_removal)
{
    uint8_t row[2 + TMB_LEAF_KEY_BYTES_MAX];
    tmb_writer w = tmb_writer_of(row, sizeof row);
    tmb_put_u8(&w, TMB_ROW_VERSION);
    tmb_put_u8(&w, is_removal);
    tmb_put_bytes(&w, key);
    TMB_ASSERT(!w.bad);
    tmb_err err = tmb_scope_put(scope, tmb_scope_key_dot(scope, TMB_ROW_DOT, dot),
                                tmb_bytes_of(row, (size_t)(w.at - row)));
    if (err != TMB_OK || !is_removal)
        return err;
    scope->removals++;
    return tmb_scope_put(scope, tmb_scope_key_dot(scope, TMB_ROW_REMOVAL, dot),
                         tmb_bytes_of(row, 1));
}

static tmb_err del_dot(tmb_scope *scope, const tmb_dot *dot, bool is_removal)
{
    tmb_err err = tmb_scope_del(scope, tmb_scope_key_dot(scope, TMB_ROW_DOT, dot));
    if (err != TMB_OK || !is_removal)
        return err;
    scope->removals -=
        scope->removals > 0; /* its row may be gone: a dot of two leaves (forget.c) */
    return tmb_scope_del(scope, tmb_scope_key_dot(scope, TMB_ROW_REMOVAL, dot));
}

static bool has_removal(const tmb_leaf_record *record, const tmb_dot *dot)
{
    for (unsigned i = 0; i < record->removals_count; i++)
        if (tmb_dot_cmp(&record->removals[i], dot) == 0)
            return true;
    return false;
}

tmb_err tmb_scope_index(tmb_scope *scope, tmb_bytes key, const tmb_leaf_record *before,
                        const tmb_leaf_record *after)
{
    tmb_err err = TMB_OK;
    for (unsigned i = 0; i < before->leaf.count && err == TMB_OK; i++)
        if (!tmb_leaf_find(&after->leaf, &before->leaf.entries[i].dot))
            err = del_dot(scope, &before->leaf.entries[i].dot, false);
    for (unsigned i = 0; i < before->removals_count && err == TMB_OK; i++)
        if (!has_removal(after, &before->removals[i]))
            err = del_dot(scope, &before->removals[i], true);
    for (unsigned i = 0; i < after->leaf.count && err == TMB_OK; i++)
        if (!tmb_leaf_find(&before->leaf, &after->leaf.entries[i].dot))
            err = put_dot(scope, key, &after->leaf.entries[i].dot, false);
    for (unsigned i = 0; i < after->removals_count && err == TMB_OK; i++)
        if (!has_removal(before, &after->removals[i]))
            err = put_dot(scope, key, &after->removals[i], true);
    return err;
}

bool tmb_record_drop_removal(tmb_leaf_record *record, const tmb_dot *dot)
{
    for (unsigned i = 0; i < record->removals_count; i++) {
        if (tmb_dot_cmp(&record->removals[i], dot) != 0)
            continue;
        memmove(&record->removals[i], &record->removals[i + 1],
                (record->removals_count - i - 1) * sizeof *record->removals);
        record->removals_count--;
        return true;
    }
    return false;
}
