// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/state_peer.c - see state_peer.h. */
#include "syncd/daemon/state_peer.h"

#include <stdlib.h>
#include <zstd.h>

#include "syncd/daemon/log.h"
#include "syncd/daemon/state_lane.h"

static void put(tmb_state_goes_list *list, tmb_state_goes *goes)
{
    if (!list->first)
        list->last = &list->first;
    *list->last = goes;
    list->last = &goes->next;
}

static tmb_state_goes *take(tmb_state_goes_list *list)
{
    tmb_state_goes *goes = list->first;
    if (goes)
        list->first = goes->next;
    return goes;
}

static void forget_goes(tmb_state_goes_list *list)
{
    for (tmb_state_goes *goes = take(list); goes; goes = take(list)) {
        goes->lane->queued -= goes->is_chunk;
        free(goes);
    }
}

/* What is short overtakes the chunks of others, never those of its own machine. */
void tmb_state_peer_queue(tmb_state_peer *peer, tmb_state_goes *goes)
{
    bool is_paced = goes->is_chunk || goes->lane->queued > 0;
    put(is_paced ? &peer->paced : &peer->at_once, goes);
}

bool tmb_state_peer_has_chunks(const tmb_state_peer *peer)
{
    return peer && peer->paced.first && peer->flight < peer->window;
}

static bool may_go(tmb_state_peer *peer)
{
    const tmb_state_goes *goes = peer->paced.first;
    return goes && (!goes->is_chunk ||
                    (peer->flight < peer->window && peer->options.has_room(peer->options.arg)));
}

void tmb_state_peer_pump(tmb_state_peer *peer)
{
    if (!peer || peer->is_pumping)
        return;
    peer->is_pumping = true;
    while (peer->session != 0) {
        tmb_state_goes *goes = peer->at_once.first ? take(&peer->at_once)
                               : may_go(peer)      ? take(&peer->paced)
                                                   : NULL;
        if (!goes)
            break;
        if (peer->options.send(peer->options.arg, tmb_bytes_of(goes->bytes, goes->len))) {
            peer->sent_bytes += goes->len;
            peer->sent_chunks += goes->is_chunk;
        }
        tmb_state_lane_sent(goes->lane, goes->is_chunk); /* lost ones are missed by the machine */
        free(goes);
    }
    peer->is_pumping = false;
}

static tmb_state_lane *find_lane(const tmb_state_peer *peer, const tmb_held *held)
{
    for (tmb_state_lane *lane = held->lanes; lane; lane = lane->next_of_held)
        if (lane->peer == peer)
            return lane;
    return NULL;
}

/* Errors: TMB_ENOMEM, TMB_ELIMIT, TMB_EDENIED (not held here, or not to be seen by that neighbour). */
static tmb_err make_lane(tmb_state_peer *peer, tmb_bytes scope, tmb_state_lane **ret_lane)
{
    const tmb_state_policy *policy = &peer->state->daemon->config->state;
    tmb_state_right right =
        tmb_state_holds(policy, scope) ? TMB_STATE_RIGHT_WRITE : TMB_STATE_RIGHT_NONE;
    if (!peer->options.is_parent)
        right = tmb_state_right_of_child(policy, tmb_bytes_str(peer->name), scope);
    if (right == TMB_STATE_RIGHT_NONE)
        return TMB_EDENIED;
    tmb_held *held = tmb_state_find(peer->state, scope);
    tmb_state_lane *lane = held ? find_lane(peer, held) : NULL;
    if (lane) {
        *ret_lane = lane;
        return TMB_OK;
    }
    if (!peer->options.is_parent && peer->lanes_count >= TMB_STATE_SCOPES_OF_CHILD_MAX)
        return TMB_ELIMIT;
    held = tmb_state_make(peer->state, scope);
    return held ? tmb_state_lane_new(peer, held, right == TMB_STATE_RIGHT_WRITE, ret_lane)
                : TMB_ENOMEM;
}

/* We speak of all that we hold; our parent answers of what it lets us have. */
static void open_scope(tmb_state_peer *peer, tmb_bytes scope)
{
    tmb_state_lane *lane = NULL;
    tmb_err err = make_lane(peer, scope, &lane);
    if (err == TMB_OK)
        tmb_state_lane_open(lane, true);
    else if (err != TMB_EDENIED)
        LOG(TMB_LOG_ERROR, "state.scope_not_synced", tmb_text("scope", scope), tmb_why(err));
}

static void open_all(tmb_state_peer *peer)
{
    const tmb_state_scopes *scopes = &peer->state->daemon->config->state.scopes;
    tmb_held *held, *next;
    for (unsigned i = 0; i < scopes->count; i++) {
        tmb_bytes name = tmb_bytes_str(scopes->v[i].text);
        if (tmb_name_is_word(name))
            (void)tmb_state_make(peer->state, name);
    }
    HASH_ITER(hh, peer->state->held, held, next)
    {
        open_scope(peer, tmb_bytes_str(held->name));
    }
}

static void forget_early(tmb_state_peer *peer)
{
    while (peer->early) {
        tmb_state_came *came = peer->early;
        peer->early = came->next;
        tmb_state_came_free(came);
    }
    peer->early_count = 0;
}

/* Else the neighbour would say it again only when an answer is late. */
static bool keep_early(tmb_state_peer *peer, tmb_state_came *came)
{
    bool is_early = !peer->state->is_begun && peer->offered != 0 &&
                    tmb_frame_state_session(&came->frame) == peer->offered;
    if (!is_early || came->frame.type != TMB_FRAME_SCOPE ||
        peer->early_count == TMB_STATE_SCOPES_OF_CHILD_MAX)
        return false;
    tmb_state_came **place = &peer->early;
    while (*place)
        place = &(*place)->next;
    came->next = NULL;
    *place = came;
    peer->early_count++;
    return true;
}

void tmb_state_peer_look(tmb_state_peer *peer, uint64_t session)
{
    if (!peer)
        return;
    if (peer->offered != session)
        forget_early(peer);
    peer->offered = session;
    if (peer->session == session || (session != 0 && !peer->state->is_begun))
        return;
    if (peer->session != 0) {
        peer->session = 0;
        forget_goes(&peer->at_once);
        forget_goes(&peer->paced);
        for (tmb_state_lane *lane = peer->lanes; lane; lane = lane->next_of_peer)
            tmb_state_lane_close(lane);
        forget_goes(&peer->at_once); /* nothing of a session that is over */
        forget_goes(&peer->paced);
        peer->flight = 0;
    }
    if (session == 0 || peer->state->is_stopping)
        return;
    peer->session = session;
    peer->window = TMB_STATE_WINDOW_FIRST;
    if (peer->options.is_parent)
        open_all(peer);
}

void tmb_state_peer_is_old(const char *name, unsigned version)
{
    LOG(TMB_LOG_WARNING, "state.neighbour_too_old", tmb_str("neighbour", name),
        tmb_num("version", version), tmb_num("needed", TMB_PROTOCOL_VERSION_STATE),
        tmb_str("then", "records flow, scopes of state do not until it is upgraded"));
}

static const char *why_refused(tmb_refusal refusal)
{
    return refusal == TMB_REFUSAL_LIMIT
               ? "this child has named as many scopes as it may; put some of them together"
               : "it is not held here, or state.share does not give it to this child";
}

static void refuse(tmb_state_peer *peer, const tmb_frame *frame, tmb_refusal refusal)
{
    tmb_frame answer;
    if (!tmb_sync_refuse(frame, refusal, &answer))
        return;
    size_t cap = tmb_frame_size_max(&answer), len = 0;
    uint8_t *bytes = malloc(cap);
    if (peer->refused++ == 0)
        LOG(TMB_LOG_WARNING, "state.scope_refused", tmb_str("neighbour", peer->name),
            tmb_text("scope", tmb_frame_scope_name(frame)),
            tmb_str("refusal", tmb_refusal_str(refusal)), tmb_str("then", why_refused(refusal)));
    if (bytes && tmb_frame_encode(&answer, bytes, cap, &len) == TMB_OK)
        (void)peer->options.send(peer->options.arg, tmb_bytes_of(bytes, len));
    free(bytes);
}

/* False: not what it says it is. */
static bool unpack(tmb_state_came *came)
{
    tmb_frame_leaves *leaves = &came->frame.u.leaves;
    if (came->frame.type != TMB_FRAME_LEAVES || leaves->codec == TMB_CODEC_PLAIN)
        return true;
    if (leaves->codec != TMB_CODEC_ZSTD || leaves->raw_bytes > TMB_LEAVES_BYTES_MAX ||
        leaves->raw_bytes == 0)
        return false;
    came->unpacked = malloc(leaves->raw_bytes);
    size_t len = came->unpacked ? ZSTD_decompress(came->unpacked, leaves->raw_bytes,
                                                  leaves->data.ptr, leaves->data.len)
                                : 0;
    if (ZSTD_isError(len) || len != leaves->raw_bytes)
        return false;
    leaves->codec = TMB_CODEC_PLAIN;
    leaves->data = tmb_bytes_of(came->unpacked, len);
    return true;
}

/* Takes came. */
static void route(tmb_state_peer *peer, tmb_state_came *came)
{
    tmb_state_lane *lane = NULL;
    tmb_err err = make_lane(peer, tmb_frame_scope_name(&came->frame), &lane);
    if (err != TMB_OK) {
        refuse(peer, &came->frame, err == TMB_EDENIED ? TMB_REFUSAL_UNKNOWN : TMB_REFUSAL_LIMIT);
        tmb_state_came_free(came);
        return;
    }
    if (lane->sync.session != peer->session && !lane->must_open)
        tmb_state_lane_open(lane, false);
    tmb_state_lane_frame(lane, came);
    tmb_state_peer_pump(peer);
}

void tmb_state_peer_frame(tmb_state_peer *peer, const tmb_frame *frame, void *arena)
{
    tmb_state_came *came = calloc(1, sizeof *came);
    if (!came) {
        free(arena);
        return; /* as if lost on the way */
    }
    came->arena = arena;
    came->frame = *frame;
    peer->came_chunks += frame->type == TMB_FRAME_LEAVES;
    if (keep_early(peer, came))
        return;
    if (peer->session == 0 || tmb_frame_state_session(frame) != peer->session || !unpack(came)) {
        peer->dropped++;
        tmb_state_came_free(came);
        return;
    }
    route(peer, came);
}

void tmb_state_peers_begin(tmb_state *state)
{
    for (tmb_state_peer *peer = state->peers; peer; peer = peer->next) {
        tmb_state_peer_look(peer, peer->offered);
        while (peer->early) {
            tmb_state_came *came = peer->early;
            peer->early = came->next;
            peer->early_count--;
            route(peer, came);
        }
    }
}

tmb_err tmb_state_peer_new(tmb_state *state, const tmb_state_peer_options *options,
                           tmb_state_peer **ret_peer)
{
    for (tmb_state_peer *peer = state->peers; peer; peer = peer->next) {
        if (peer->options.is_parent == options->is_parent &&
            strcmp(peer->name, options->name) == 0) {
            *ret_peer = peer; /* a parent that we have been at before */
            return TMB_OK;
        }
    }
    tmb_state_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return TMB_ENOMEM;
    peer->state = state;
    peer->options = *options;
    peer->window = TMB_STATE_WINDOW_FIRST;
    size_t len = strlen(options->name);
    memcpy(peer->name, options->name, len < sizeof peer->name ? len : sizeof peer->name - 1);
    peer->options.name = peer->name;
    peer->next = state->peers;
    state->peers = peer;
    *ret_peer = peer;
    return TMB_OK;
}

/* A scope that is new here is told to the parent, too. */
static void tell_parent(tmb_state *state, tmb_held *held)
{
    for (tmb_state_peer *peer = state->peers; peer; peer = peer->next)
        if (peer->options.is_parent && peer->session != 0 && !find_lane(peer, held))
            open_scope(peer, tmb_bytes_str(held->name));
}

void tmb_state_peers_changed(tmb_state *state, tmb_held *held, const tmb_state_peer *from)
{
    tell_parent(state, held);
    for (tmb_state_lane *lane = held->lanes; lane; lane = lane->next_of_held)
        if (lane->peer != from && lane->peer->session != 0)
            tmb_state_lane_changed(lane);
}

void tmb_state_peers_compare(const tmb_held *held)
{
    for (tmb_state_lane *lane = held->lanes; lane; lane = lane->next_of_held)
        if (lane->peer->session != 0)
            tmb_state_lane_compare(lane);
}

void tmb_state_peers_tick(tmb_state *state)
{
    tmb_mono now = tmb_daemon_now();
    for (tmb_state_lane *lane = state->awake, *next = NULL; lane; lane = next) {
        next = lane->next_awake;
        if (tmb_mono_is_due(tmb_sync_deadline(&lane->sync), now))
            tmb_state_lane_timeout(lane);
    }
}

void tmb_state_peers_stop(tmb_state *state)
{
    for (tmb_state_peer *peer = state->peers; peer; peer = peer->next) {
        peer->session = 0;
        forget_goes(&peer->at_once);
        forget_goes(&peer->paced);
    }
}

void tmb_state_peers_free(tmb_state *state)
{
    while (state->peers) {
        tmb_state_peer *peer = state->peers;
        state->peers = peer->next;
        while (peer->lanes) {
            tmb_state_lane *lane = peer->lanes;
            peer->lanes = lane->next_of_peer;
            tmb_state_lane_free(lane);
        }
        forget_goes(&peer->at_once);
        forget_goes(&peer->paced);
        forget_early(peer);
        free(peer);
    }
}

/* The open lane of the neighbour called name; NULL: none. */
static tmb_state_lane *open_lane(const tmb_held *held, const char *name)
{
    for (tmb_state_lane *lane = held ? held->lanes : NULL; lane; lane = lane->next_of_held)
        if (lane->peer->session != 0 && strcmp(lane->peer->name, name) == 0 &&
            lane->sync.state != TMB_SYNC_CLOSED && lane->sync.state != TMB_SYNC_RESTING)
            return lane;
    return NULL;
}

bool tmb_state_peers_is_open(const tmb_held *held, const char *name)
{
    return open_lane(held, name) != NULL;
}

void tmb_state_peers_ask(const tmb_held *held, const char *name)
{
    tmb_state_lane *lane = open_lane(held, name);
    if (!lane)
        return;
    tmb_state_lane_ask(lane);
    tmb_state_peer_pump(lane->peer);
}

void tmb_state_peers_close(const tmb_held *held, const char *name)
{
    tmb_state_lane *lane = open_lane(held, name);
    if (lane)
        tmb_state_lane_close(lane);
}

static const char *state_str(const tmb_state_lane *lane)
{
    static const char *const names[] = {"closed", "greeting", "syncing", "resting"};
    return lane->sync.state <= TMB_SYNC_RESTING ? names[lane->sync.state] : "";
}

json_t *tmb_state_peers_stats(const tmb_held *held)
{
    json_t *all = json_object();
    for (const tmb_state_lane *lane = held->lanes; lane; lane = lane->next_of_held)
        (void)json_object_set_new(
            all, lane->peer->name,
            json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "state", state_str(lane), "report",
                      tmb_sync_report_str((tmb_sync_report)lane->report), "may_write",
                      lane->sync.may_write, "equal_ms", (json_int_t)lane->equal_ms, "flight",
                      (json_int_t)lane->flight, "rebirths", (json_int_t)lane->sync.rebirths));
    return all;
}
