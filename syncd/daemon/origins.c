// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/origins.c - see origins.h.
 *
 *   noted --each TMB_ORIGINS_KEEP_MS: the first few that have news--> (pool: store) --> kept
 */
#define HASH_NONFATAL_OOM 1
#include "syncd/daemon/origins.h"

#include <stdlib.h>
#include <uthash.h>

#include "syncd/daemon/child.h"

typedef struct origin_key {
    char node[TMB_NAME_BYTES_MAX + 1];
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_incarnation incarnation;
} origin_key;

typedef struct origin {
    UT_hash_handle hh;
    origin_key key;
    uint64_t seq, kept;
} origin;

typedef struct keeping {
    origin_key key;
    uint64_t seq;
} keeping;

struct tmb_origins {
    tmb_daemon *daemon;
    tmb_binding *binding;
    origin *table;
    origin *next; /* where to look for news */
    uv_timer_t timer;
    uv_work_t work;
    bool is_keeping, is_stopping;
    uint64_t generation; /* of the binding, when keeping began */
    unsigned keeping_count;
    keeping v[TMB_ORIGINS_KEEP_MAX];
    uint64_t unnoted;
};

static origin_key make_key(tmb_bytes node, const tmb_incarnation *incarnation, tmb_bytes stream)
{
    origin_key key;
    memset(&key, 0, sizeof key);
    TMB_ASSERT(node.len < sizeof key.node && stream.len < sizeof key.stream);
    memcpy(key.node, node.ptr, node.len);
    memcpy(key.stream, stream.ptr, stream.len);
    key.incarnation = *incarnation;
    return key;
}

static origin *find(const tmb_origins *origins, const origin_key *key)
{
    origin *o = NULL;
    HASH_FIND(hh, origins->table, key, sizeof *key, o);
    return o;
}

/* Blocking. */
static void do_keep(uv_work_t *work)
{
    tmb_origins *origins = work->data;
    for (unsigned i = 0; i < origins->keeping_count; i++) {
        const keeping *k = &origins->v[i];
        tmb_err err =
            tmb_binding_put(origins->binding, origins->generation, tmb_bytes_str(k->key.node),
                            &k->key.incarnation, tmb_bytes_str(k->key.stream), k->seq);
        if (err != TMB_OK) /* told by whoever puts the marks of batches */
            origins->keeping_count = i;
    }
}

static void on_kept(uv_work_t *work, int status)
{
    tmb_origins *origins = work->data;
    (void)status;
    origins->is_keeping = false;
    for (unsigned i = 0; i < origins->keeping_count; i++) {
        origin *o = find(origins, &origins->v[i].key);
        if (o && o->kept < origins->v[i].seq)
            o->kept = origins->v[i].seq;
    }
}

static void on_timer(uv_timer_t *timer)
{
    tmb_origins *origins = timer->data;
    if (origins->is_keeping || !origins->daemon->store)
        return;
    origins->keeping_count = 0;
    size_t left = HASH_COUNT(origins->table);
    for (; left > 0 && origins->keeping_count < TMB_ORIGINS_KEEP_MAX; left--) {
        const origin *o = origins->next ? origins->next : origins->table;
        origins->next = o->hh.next;
        if (o->seq <= o->kept)
            continue;
        origins->v[origins->keeping_count].key = o->key;
        origins->v[origins->keeping_count++].seq = o->seq;
    }
    if (origins->keeping_count == 0)
        return;
    origins->is_keeping = true;
    origins->generation = tmb_binding_generation(origins->binding);
    origins->work.data = origins;
    (void)uv_queue_work(&origins->daemon->loop, &origins->work, do_keep, on_kept);
}

tmb_err tmb_origins_new(tmb_daemon *d, tmb_binding *binding, tmb_origins **ret)
{
    tmb_origins *origins = calloc(1, sizeof *origins);
    if (!origins)
        return TMB_ENOMEM;
    origins->daemon = d;
    origins->binding = binding;
    (void)uv_timer_init(&d->loop, &origins->timer);
    origins->timer.data = origins;
    (void)uv_timer_start(&origins->timer, on_timer, TMB_ORIGINS_KEEP_MS, TMB_ORIGINS_KEEP_MS);
    *ret = origins;
    return TMB_OK;
}

void tmb_origins_stop(tmb_origins *origins)
{
    if (!origins || origins->is_stopping)
        return;
    origins->is_stopping = true;
    uv_close((uv_handle_t *)&origins->timer, NULL);
}

void tmb_origins_reset(tmb_origins *origins)
{
    origin *o = origins->table, *next;
    HASH_CLEAR(hh, origins->table); /* the entries still hang together */
    for (; o; o = next) {
        next = o->hh.next;
        free(o);
    }
    origins->next = NULL;
}

void tmb_origins_free(tmb_origins *origins)
{
    if (!origins)
        return;
    tmb_origins_reset(origins);
    free(origins);
}

static origin *make(tmb_origins *origins, const origin_key *key)
{
    if (HASH_COUNT(origins->table) >= TMB_ORIGINS_MAX)
        return NULL;
    origin *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->key = *key;
    HASH_ADD(hh, origins->table, key, sizeof o->key, o);
    if (!o->hh.tbl) {
        free(o);
        return NULL;
    }
    return o;
}

void tmb_origins_note(tmb_origins *origins, const tmb_commit_origin *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        origin_key key = make_key(tmb_bytes_str(list[i].node), &list[i].incarnation,
                                  tmb_bytes_str(list[i].stream));
        origin *o = find(origins, &key);
        if (!o)
            o = make(origins, &key);
        if (!o)
            origins->unnoted++;
        else if (o->seq < list[i].seq)
            o->seq = list[i].seq;
    }
}

uint64_t tmb_origins_find(const tmb_origins *origins, tmb_bytes node,
                          const tmb_incarnation *incarnation, tmb_bytes stream)
{
    if (node.len > TMB_NAME_BYTES_MAX || stream.len > TMB_STREAM_NAME_BYTES_MAX)
        return 0;
    origin_key key = make_key(node, incarnation, stream);
    const origin *o = find(origins, &key);
    return o ? o->seq : 0;
}

void tmb_origins_stats(const tmb_origins *origins, json_t *object)
{
    (void)json_object_set_new(object, "origins",
                              json_integer((json_int_t)HASH_COUNT(origins->table)));
    (void)json_object_set_new(object, "origins_unnoted",
                              json_integer((json_int_t)origins->unnoted));
}
