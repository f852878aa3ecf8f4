// SPDX-License-Identifier: Apache-2.0
/* sim/state_judge.c - what a leaf must be, by the book, and whether a replica's leaf is so.
 *
 * The meaning of each type is written down a second time here, over sets of changes that saw each other or
 * did not: an entry is live until a change that saw it has removed it; a register shows the greatest stamp
 * among the live, a counter the sum of what the live entries stand for, and so on. */
#include "sim/state_book.h"

#define LIVE_MAX 512

static void wrong(state_book *book, const char *why)
{
    if (book->failure == NULL)
        book->failure = why;
}

static bool removes(const state_book *book, const state_change *change, unsigned other)
{
    for (unsigned i = 0; i < change->removes_count; i++) {
        if (book->removed[change->removes + i] == other)
            return true;
    }
    return false;
}

/* Has somebody whom view has heard removed the change? */
static bool is_removed(const state_book *book, const state_view *view, unsigned number)
{
    const state_change *change = &book->changes[number];
    for (unsigned i = 0; i < book->changes_count; i++) {
        const state_change *other = &book->changes[i];
        if (view->sees[i] && other->leaf == change->leaf && other->scope == change->scope &&
            removes(book, other, number))
            return true;
    }
    return false;
}

/* The changes of leaf that entry's dot stands for; 0: the view knows of none. */
static unsigned changes_of(state_book *book, const state_view *view, unsigned leaf,
                           const tmb_dot *dot, const state_bind **ret_bind, unsigned *out)
{
    unsigned actor = state_book_actor(book, &dot->actor), count = 0;
    if (dot->seq > view->counts[actor] || !view->slots[actor][dot->seq - 1].is_held)
        return 0;
    const state_bind *bind = &book->binds[view->slots[actor][dot->seq - 1].bind];
    *ret_bind = bind;
    for (unsigned i = 0; i < bind->count && count < LIVE_MAX; i++) {
        const state_change *change = &book->changes[book->bound[bind->first + i]];
        if (change->leaf == leaf && change->is_entry)
            out[count++] = book->bound[bind->first + i];
    }
    return count;
}

void state_book_check_leaf(state_book *book, const state_view *view, unsigned leaf,
                           const tmb_leaf *live)
{
    for (unsigned i = 0; i < live->count; i++) {
        const state_bind *bind = NULL;
        unsigned numbers[LIVE_MAX];
        unsigned count = changes_of(book, view, leaf, &live->entries[i].dot, &bind, numbers);
        if (count == 0)
            wrong(book, "a replica shows what nobody whom it heard has written");
        bool is_one_live = false;
        for (unsigned k = 0; k < count && !is_one_live; k++)
            is_one_live = !is_removed(book, view, numbers[k]);
        if (count > 0 && !is_one_live)
            wrong(book, "a removed value is back");
    }
}

/* The changes that must be live in a leaf. */
static unsigned expect(const state_book *book, const state_view *view, unsigned scope,
                       unsigned leaf, unsigned *out)
{
    unsigned count = 0;
    for (unsigned i = 0; i < book->changes_count; i++) {
        const state_change *change = &book->changes[i];
        if (change->scope == scope && change->leaf == leaf && change->is_entry && view->sees[i] &&
            !is_removed(book, view, i) && count < LIVE_MAX)
            out[count++] = i;
    }
    return count;
}

/* A counter whose map nobody removes is the sum of all that was counted; else what its live entries stand
 * for. */
static int64_t counted(const state_book *book, const state_view *view, unsigned scope,
                       unsigned leaf, const unsigned *live, unsigned live_count)
{
    int64_t sum = 0;
    bool is_deleted = false;
    for (unsigned i = 0; i < book->changes_count; i++) {
        const state_change *change = &book->changes[i];
        if (change->scope != scope || change->leaf != leaf || !view->sees[i])
            continue;
        is_deleted = is_deleted || change->verb == TMB_VERB_DEL;
        sum += change->amount;
    }
    if (!is_deleted)
        return sum;
    sum = 0;
    for (unsigned i = 0; i < live_count; i++) {
        /* What its author had counted before, without a break, is in its entry, too. */
        unsigned number = live[i];
        for (bool goes_on = true; goes_on;) {
            const state_change *change = &book->changes[number];
            sum += change->amount;
            goes_on = change->removes_count > 0;
            if (goes_on)
                number = book->removed[change->removes];
        }
    }
    return sum;
}

static bool is_in(const state_book *book, const unsigned *live, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        tmb_verb verb = book->changes[live[i]].verb;
        if (verb == TMB_VERB_REVOKE || verb == TMB_VERB_FORBID)
            return false;
    }
    return count > 0;
}

/* The greatest stamp among the live; where two are equal, either. */
static bool is_register(const state_book *book, const unsigned *live, unsigned count, unsigned leaf,
                        const tmb_leaf *found)
{
    const tmb_entry *read = tmb_register_read(found);
    uint64_t greatest = 0;
    if (read == NULL)
        return count == 0;
    for (unsigned i = 0; i < count; i++)
        greatest =
            book->changes[live[i]].stamp > greatest ? book->changes[live[i]].stamp : greatest;
    for (unsigned i = 0; i < count; i++) {
        uint8_t room[16];
        const state_change *change = &book->changes[live[i]];
        if (change->stamp == greatest && tmb_register_stamp(read).u64 == greatest &&
            tmb_bytes_eq(tmb_register_bytes(read), state_book_value(leaf, change->value, room)))
            return true;
    }
    return false;
}

static bool is_extreme(const state_book *book, const unsigned *live, unsigned count, unsigned leaf,
                       const tmb_leaf *found)
{
    tmb_type type = state_book_key(leaf).type;
    const tmb_entry *read = tmb_extreme_read(type, found);
    uint8_t room[16];
    unsigned best = 0;
    if (read == NULL || count == 0)
        return read == NULL && count == 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned value = book->changes[live[i]].value;
        if (i == 0 || (type == TMB_TYPE_MAX ? value > best : value < best))
            best = value;
    }
    return tmb_bytes_eq(read->value, state_book_value(leaf, best, room));
}

void state_book_judge(state_book *book, const state_view *view, unsigned scope, unsigned leaf,
                      const tmb_leaf *found)
{
    unsigned live[LIVE_MAX], count = expect(book, view, scope, leaf, live);
    tmb_type type = state_book_key(leaf).type;
    bool is_good = false;
    switch (type) {
    case TMB_TYPE_REGISTER:
        is_good = count == found->count && is_register(book, live, count, leaf, found);
        break;
    case TMB_TYPE_G_COUNTER:
    case TMB_TYPE_PN_COUNTER:
        is_good =
            tmb_counter_read(type, found, NULL) == counted(book, view, scope, leaf, live, count);
        break;
    case TMB_TYPE_MAX:
    case TMB_TYPE_MIN:
        is_good = is_extreme(book, live, count, leaf, found);
        break;
    case TMB_TYPE_AW_SET:
    case TMB_TYPE_RW_SET:
    case TMB_TYPE_G_SET:
    case TMB_TYPE_EW_FLAG:
    case TMB_TYPE_DW_FLAG:
    case TMB_TYPE_MAP:
        is_good = tmb_type_is_in(type, found) == is_in(book, live, count);
        break;
    case TMB_TYPE_NONE:
        break;
    }
    if (!is_good)
        wrong(book, type == TMB_TYPE_REGISTER ? "a register is not what its writers left"
                    : type == TMB_TYPE_G_COUNTER || type == TMB_TYPE_PN_COUNTER
                        ? "a counter is not the sum of what was counted"
                        : "a set, flag, map, greatest or least is not what its writers left");
}
