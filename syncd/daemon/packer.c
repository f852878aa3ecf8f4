// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/packer.c - see packer.h.
 *
 * The dictionary is written to its file before a batch is packed with it, so that a restart goes on with it.
 */
#include "syncd/daemon/packer.h"

#include <stdlib.h>
#include <zdict.h>
#include <zstd.h>

#include <uv.h>

#include "syncd/daemon/log.h"

/* Of zstd, for the texts of a folded batch: without the numbers they are small, and higher levels win a
 * percent of them. */
#define LEVEL 3
/* A dictionary must save one part in so many. */
#define SAVED_PART 30u
/* Sizes are compared as parts of raw in 1/65536; of one batch this much counts in what is usual. */
#define SHARE_ONE  65536u
#define SHARE_PART 8u

typedef struct sample {
    uint32_t len, packed_len; /* packed_len: of the whole batch */
    uint8_t text[TMB_PACKER_SAMPLE_BYTES];
} sample;

struct tmb_packer {
    char *data_dir;
    char stream[TMB_STREAM_NAME_BYTES_MAX + 1];
    tmb_kept *current; /* NULL: none */
    uint64_t tried_ns; /* 0: never */
    uint64_t share,
        share_then; /* usual part of raw, now; when the dictionary was new. 0: not known */
    unsigned count;
    sample samples[TMB_PACKER_SAMPLES];
};

tmb_err tmb_packer_open(const char *data_dir, const char *stream, tmb_packer **ret_packer)
{
    tmb_packer *packer = calloc(1, sizeof *packer);
    if (packer && data_dir)
        packer->data_dir = strdup(data_dir);
    if (!packer || (data_dir && !packer->data_dir)) {
        free(packer);
        return TMB_ENOMEM;
    }
    size_t len = strlen(stream);
    memcpy(packer->stream, stream, len < sizeof packer->stream ? len : sizeof packer->stream - 1);
    if (data_dir)
        packer->current = tmb_dictionary_read(data_dir, ".own", packer->stream);
    *ret_packer = packer;
    return TMB_OK;
}

void tmb_packer_close(tmb_packer *packer)
{
    if (!packer)
        return;
    tmb_kept_unref(packer->current);
    free(packer->data_dir);
    free(packer);
}

static void keep_sample(tmb_packer *packer, tmb_bytes text, size_t packed_len)
{
    if (text.len == 0)
        return;
    if (packer->count == TMB_PACKER_SAMPLES) {
        packer->count--;
        memmove(packer->samples, packer->samples + 1, packer->count * sizeof packer->samples[0]);
    }
    sample *s = &packer->samples[packer->count++];
    s->len = (uint32_t)(text.len < sizeof s->text ? text.len : sizeof s->text);
    s->packed_len = (uint32_t)packed_len;
    memcpy(s->text, text.ptr, s->len);
}

static size_t packed_with(ZSTD_CCtx *zstd, const sample *s, tmb_bytes with)
{
    uint8_t out[TMB_PACKER_SAMPLE_BYTES + TMB_PACKER_SAMPLE_BYTES / 8];
    size_t n =
        ZSTD_compress_usingDict(zstd, out, sizeof out, s->text, s->len, with.ptr, with.len, LEVEL);
    return ZSTD_isError(n) || n > s->len ? s->len : n;
}

/* Whether a dictionary makes the samples from `first` on smaller by enough. */
static bool pays(const tmb_packer *packer, unsigned first, tmb_bytes dictionary)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    uint64_t without = 0, with = 0, packed = 0;
    for (unsigned i = first; i < packer->count && zstd; i++) {
        without += packed_with(zstd, &packer->samples[i], tmb_bytes_of(NULL, 0));
        with += packed_with(zstd, &packer->samples[i], dictionary);
        packed += packer->samples[i].packed_len;
    }
    ZSTD_freeCCtx(zstd);
    return with < without && (without - with) * SAVED_PART >= packed;
}

/* train gives a dictionary of the first `count` samples; its size, 0: there is none to be had. */
static size_t train(const tmb_packer *packer, unsigned count, uint8_t *out)
{
    size_t sizes[TMB_PACKER_SAMPLES], len = 0;
    uint8_t *all = malloc((size_t)TMB_PACKER_SAMPLES * TMB_PACKER_SAMPLE_BYTES);
    if (!all)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        sizes[i] = packer->samples[i].len;
        memcpy(all + len, packer->samples[i].text, sizes[i]);
        len += sizes[i];
    }
    size_t n = ZDICT_trainFromBuffer(out, TMB_PACKER_DICTIONARY_BYTES, all, sizes, count);
    if (ZDICT_isError(n)) { /* too few, or all alike: the newest as they are */
        n = len < TMB_PACKER_DICTIONARY_BYTES ? len : TMB_PACKER_DICTIONARY_BYTES;
        memcpy(out, all + len - n, n);
    }
    free(all);
    return n;
}

static bool is_due(const tmb_packer *packer)
{
    if (packer->count < TMB_PACKER_SAMPLES_MIN)
        return false;
    if (packer->tried_ns != 0 &&
        uv_hrtime() - packer->tried_ns < UINT64_C(1000000000) * TMB_PACKER_TRAIN_S)
        return false;
    return !packer->current || packer->share > packer->share_then + packer->share_then / 4;
}

static void maybe_train(tmb_packer *packer)
{
    if (!is_due(packer))
        return;
    packer->tried_ns = uv_hrtime();
    unsigned held_back = packer->count / 4;
    uint8_t *out = malloc(TMB_PACKER_DICTIONARY_BYTES);
    size_t len = out ? train(packer, packer->count - held_back, out) : 0;
    tmb_bytes data = tmb_bytes_of(out, len);
    bool does_pay = len > 0 && pays(packer, packer->count - held_back, data);
    tmb_kept *kept = does_pay ? tmb_kept_new(data) : NULL;
    free(out);
    packer->count = 0;
    packer->share_then = packer->share; /* also when none is better than the old one */
    if (!kept)
        return;
    if (packer->data_dir) {
        tmb_err err =
            tmb_dictionary_write(packer->data_dir, ".own", packer->stream, &kept->dictionary);
        if (err != TMB_OK)
            LOG(TMB_LOG_WARNING, "dictionary.not_kept", tmb_str("stream", packer->stream),
                tmb_why(err), tmb_str("then", "another is trained after the next start"));
        LOG(TMB_LOG_INFO, "dictionary.trained", tmb_str("stream", packer->stream),
            tmb_num("bytes", kept->dictionary.data.len), tmb_num("id", kept->dictionary.id));
    }
    tmb_kept_unref(packer->current);
    packer->current = kept;
    packer->share = packer->share_then = 0;
}

static void note_share(tmb_packer *packer, size_t packed, size_t raw)
{
    uint64_t share = packed * SHARE_ONE / raw;
    if (packer->share == 0)
        packer->share = share;
    packer->share = (packer->share * (SHARE_PART - 1) + share) / SHARE_PART;
    if (packer->share_then == 0)
        packer->share_then = packer->share;
}

static bool may_use(const tmb_kept *kept, const tmb_load *load)
{
    return kept && load->may_have_dictionary &&
           (kept->dictionary.id == load->parent_dictionary ||
            kept->dictionary.data.len <= load->dictionary_bytes);
}

static tmb_err fold(tmb_packer *packer, tmb_bytes raw, void *room, size_t room_cap, size_t bound,
                    tmb_load *load)
{
    tmb_frame_batch *batch = &load->batch;
    maybe_train(packer);
    tmb_kept *with = may_use(packer->current, load) ? packer->current : NULL;
    tmb_err err =
        tmb_batch_fold(raw, batch->first_seq, batch->last_seq, with ? &with->dictionary : NULL,
                       LEVEL, room, room_cap, load->packed, bound, batch);
    if (err != TMB_OK || !tmb_codec_is_folded(batch->codec))
        return err;
    keep_sample(packer, tmb_batch_room_text(room), batch->data.len);
    note_share(packer, batch->data.len, raw.len);
    if (with && batch->dictionary != 0 && batch->dictionary != load->parent_dictionary) {
        load->dictionary = tmb_kept_new(with->dictionary.data);
        if (!load->dictionary)
            return TMB_ENOMEM;
    }
    return TMB_OK;
}

tmb_err tmb_packer_pack(tmb_packer *packer, tmb_bytes raw, tmb_load *load)
{
    size_t bound = tmb_batch_pack_bound(raw.len);
    load->packed = malloc(bound);
    if (!load->packed)
        return TMB_ENOMEM;
    size_t room_cap = load->is_folded ? tmb_batch_room_bytes(raw.len) : 0;
    void *room = room_cap > 0 ? malloc(room_cap) : NULL;
    tmb_err err = TMB_OK;
    if (room)
        err = fold(packer, raw, room, room_cap, bound, load);
    else /* also when there is no memory to do better */
        err = tmb_batch_pack(raw, load->packed, bound, &load->batch);
    free(room);
    if (err == TMB_OK && load->batch.data.len < bound / 2) {
        uint8_t *smaller = realloc(load->packed, load->batch.data.len + 1);
        load->packed = smaller ? smaller : load->packed;
        load->batch.data.ptr = load->packed;
    }
    return err;
}
