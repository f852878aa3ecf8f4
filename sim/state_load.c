// SPDX-License-Identifier: Apache-2.0
/* sim/state_load.c - what clients ask: any verb of any type on a few paths, so that everybody meets
 * everybody.
 *
 * Most clients number what they ask, and one in a while asks twice under the same number, at once, as one
 * does whose connection broke before the answer. One in a while reads a token, and comes back with it later,
 * perhaps at another node. */
#include "sim/state_world.h"

/* The verbs of each type, the usual ones more often. */
static tmb_verb verb_of(tmb_type type, tmb_rng *rng)
{
    uint64_t dice = tmb_rng_below(rng, 10);
    switch (type) {
    case TMB_TYPE_REGISTER:
        return TMB_VERB_SET;
    case TMB_TYPE_G_COUNTER:
        return TMB_VERB_COUNT;
    case TMB_TYPE_PN_COUNTER:
        return dice < 6 ? TMB_VERB_INC : dice < 9 ? TMB_VERB_DEC : TMB_VERB_RESET;
    case TMB_TYPE_AW_SET:
        return dice < 5 ? TMB_VERB_ADD : TMB_VERB_RM;
    case TMB_TYPE_RW_SET:
        return dice < 5 ? TMB_VERB_ADMIT : TMB_VERB_REVOKE;
    case TMB_TYPE_G_SET:
        return TMB_VERB_INSERT;
    case TMB_TYPE_EW_FLAG:
        return dice < 5 ? TMB_VERB_ENABLE : TMB_VERB_DISABLE;
    case TMB_TYPE_DW_FLAG:
        return dice < 5 ? TMB_VERB_PERMIT : TMB_VERB_FORBID;
    case TMB_TYPE_MAX:
        return TMB_VERB_RAISE;
    case TMB_TYPE_MIN:
        return TMB_VERB_LOWER;
    case TMB_TYPE_MAP:
        return TMB_VERB_NEW;
    case TMB_TYPE_NONE:
        break;
    }
    return TMB_VERB_NONE;
}

/* A counter that is removed while somebody counts comes back with all that he counted. What that is nobody
 * can say of one whose disk went back, so such a world removes no counters. */
static bool may_del(const state_world *world, unsigned leaf)
{
    tmb_bytes path = state_book_key(leaf).path;
    if (!world->has[STATE_RESTORE] && !world->has[STATE_CLONE])
        return true;
    for (unsigned i = 0; i < STATE_LEAVES; i++) {
        tmb_type type = state_book_key(i).type;
        if (state_book_is_below(i, path) &&
            (type == TMB_TYPE_G_COUNTER || type == TMB_TYPE_PN_COUNTER))
            return false;
    }
    return true;
}

/* A client reads what is at a path, with a token of it. Only from a store at rest. */
static void read_token(state_world *world, state_node *node, unsigned scope, unsigned leaf)
{
    if (node->is_busy || !node->is_up || world->tokens_count == STATE_TOKENS_MAX ||
        !state_load(world, node, scope, world->scope))
        return;
    state_token *token = &world->tokens[world->tokens_count];
    tmb_leaf_key key = state_book_key(leaf);
    token->scope = scope;
    token->leaf = leaf;
    token->live_count = 0;
    if (tmb_scope_token(world->scope, key.path, token->bytes, sizeof token->bytes, &token->len) !=
        TMB_OK) {
        state_fail(world, "a token cannot be had");
        return;
    }
    static state_seen seen[STATE_LEAVES];
    unsigned count = state_see(world, node, scope, key.path, true, seen);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < seen[i].count && token->live_count < STATE_LIVE_MAX; k++)
            token->live[token->live_count++] = seen[i].entries[k];
    }
    world->tokens_count++;
}

static void draw(state_world *world, state_node *node, state_op *op)
{
    tmb_rng *rng = &world->load;
    do
        op->scope = (unsigned)tmb_rng_below(rng, world->scopes_count);
    while (!node->holds[op->scope]);
    op->leaf = (unsigned)tmb_rng_below(rng, STATE_LEAVES);
    op->verb = verb_of(state_book_key(op->leaf).type, rng);
    if (sim_chance(rng, 80) && may_del(world, op->leaf))
        op->verb = TMB_VERB_DEL;
    op->amount = 1 + tmb_rng_below(rng, 9);
    op->value = 1 + (unsigned)tmb_rng_below(rng, 100000);
    op->leaves_count = 1;
    /* Elements of one set lie side by side. */
    if (tmb_type_is_set(state_book_key(op->leaf).type) && op->verb != TMB_VERB_DEL &&
        op->leaf + 1 < STATE_LEAVES && sim_chance(rng, 200) &&
        tmb_bytes_eq(state_book_key(op->leaf + 1).path, state_book_key(op->leaf).path))
        op->leaves_count = 2;
    op->number = sim_chance(rng, 600) ? ++node->box.number : 0;
    if (!world->has[STATE_TOKEN] || world->tokens_count == 0 || !sim_chance(rng, 250))
        return;
    unsigned number = (unsigned)tmb_rng_below(rng, world->tokens_count);
    const state_token *token = &world->tokens[number];
    if (!node->holds[token->scope])
        return;
    op->token = number + 1;
    op->scope = token->scope;
    op->leaf = token->leaf;
    op->leaves_count = 1;
    op->is_unchanged = sim_chance(rng, 300);
    op->verb = sim_chance(rng, 300) && may_del(world, op->leaf)
                   ? TMB_VERB_DEL
                   : verb_of(state_book_key(op->leaf).type, rng);
    world->result->fired[STATE_TOKEN]++;
}

void state_ask(state_world *world, state_node *node)
{
    state_op op = {0};
    if (!node->is_powered || node->unmet != 0)
        return;
    if (world->has[STATE_TOKEN] && sim_chance(&world->load, 150)) {
        unsigned scope = (unsigned)tmb_rng_below(&world->load, world->scopes_count);
        unsigned leaf = (unsigned)tmb_rng_below(&world->load, STATE_LEAVES);
        if (node->holds[scope])
            read_token(world, node, scope, leaf);
    }
    draw(world, node, &op);
    if (!state_append(world, node, &op))
        return;
    if (op.number > 0 && state_may(world, STATE_REPEAT, &world->load, 60)) {
        (void)state_append(world, node, &op);
        world->result->fired[STATE_REPEAT]++;
    }
    state_post(world, EVENT_JOURNAL, node, node->box.count, sim_between(&world->load, 1, 30), NULL);
}
