// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/receipts.c - see receipts.h. */
#include "broker-plugin/receipts.h"

#include <stdlib.h>

#define OWN_HEAD "receipts/"

typedef struct node {
    struct node *next;
    tmb_receipt receipt;
    uint8_t bytes[]; /* topic, correlation data */
} node;

typedef struct list {
    node *first, *last;
} list;

struct tmb_receipts {
    size_t limit, bytes_limit;
    size_t count[TMB_RECEIPTS_LEVELS], bytes[TMB_RECEIPTS_LEVELS];
    list lists[TMB_STREAMS_MAX][TMB_RECEIPTS_LEVELS];
};

static const char *const names[TMB_RECEIPTS_LEVELS] = {"synced", "committed", "engine"};

tmb_err tmb_receipts_new(size_t limit, size_t bytes_limit, tmb_receipts **ret_receipts)
{
    tmb_receipts *receipts = calloc(1, sizeof *receipts);
    if (!receipts)
        return TMB_ENOMEM;
    receipts->limit = limit;
    receipts->bytes_limit = bytes_limit;
    *ret_receipts = receipts;
    return TMB_OK;
}

void tmb_receipts_free(tmb_receipts *receipts)
{
    for (unsigned i = 0; receipts && i < TMB_STREAMS_MAX; i++)
        for (unsigned k = 0; k < TMB_RECEIPTS_LEVELS; k++)
            while (receipts->lists[i][k].first)
                tmb_receipts_pop(receipts, i, (tmb_receipts_level)k);
    free(receipts);
}

static size_t size_of(const tmb_receipt *receipt)
{
    return receipt->topic.len + receipt->correlation.len;
}

tmb_err tmb_receipts_add(tmb_receipts *receipts, const tmb_receipt *receipt)
{
    TMB_ASSERT(receipt->stream < TMB_STREAMS_MAX);
    size_t size = size_of(receipt);
    if (receipts->count[receipt->waits] >= receipts->limit ||
        size > receipts->bytes_limit - receipts->bytes[receipt->waits])
        return TMB_ELIMIT;
    node *one = malloc(sizeof *one + size);
    if (!one)
        return TMB_ENOMEM;
    tmb_writer writer = tmb_writer_of(one->bytes, size);
    tmb_put_bytes(&writer, receipt->topic);
    tmb_put_bytes(&writer, receipt->correlation);
    one->next = NULL;
    one->receipt = *receipt;
    one->receipt.topic.ptr = one->bytes;
    one->receipt.correlation.ptr = one->bytes + receipt->topic.len;
    list *at = &receipts->lists[receipt->stream][receipt->waits];
    *(at->last ? &at->last->next : &at->first) = one;
    at->last = one;
    receipts->count[receipt->waits]++;
    receipts->bytes[receipt->waits] += size;
    return TMB_OK;
}

const tmb_receipt *tmb_receipts_first(const tmb_receipts *receipts, unsigned stream,
                                      tmb_receipts_level waits)
{
    const node *one = receipts->lists[stream][waits].first;
    return one ? &one->receipt : NULL;
}

void tmb_receipts_pop(tmb_receipts *receipts, unsigned stream, tmb_receipts_level waits)
{
    list *at = &receipts->lists[stream][waits];
    node *one = at->first;
    at->first = one->next;
    if (!at->first)
        at->last = NULL;
    receipts->count[waits]--;
    receipts->bytes[waits] -= size_of(&one->receipt);
    free(one);
}

size_t tmb_receipts_waiting(const tmb_receipts *receipts, tmb_receipts_level waits)
{
    return receipts->count[waits];
}

size_t tmb_receipts_count(const tmb_receipts *receipts)
{
    size_t count = 0;
    for (unsigned k = 0; k < TMB_RECEIPTS_LEVELS; k++)
        count += receipts->count[k];
    return count;
}

const char *tmb_receipts_level_str(tmb_receipts_level level)
{
    return names[level];
}

bool tmb_receipts_level_of(tmb_bytes text, tmb_receipts_level *ret_level)
{
    for (unsigned k = 0; k < TMB_RECEIPTS_LEVELS; k++) {
        if (!tmb_bytes_eq(text, tmb_bytes_str(names[k])))
            continue;
        *ret_level = (tmb_receipts_level)k;
        return true;
    }
    return false;
}

bool tmb_receipt_topic_is_own(tmb_bytes topic, const char *client_id)
{
    tmb_reader reader = tmb_reader_of(topic);
    tmb_bytes head = tmb_get_bytes(&reader, strlen(OWN_HEAD));
    tmb_bytes id = tmb_get_bytes(&reader, strlen(client_id));
    if (reader.bad || id.len == 0 || strpbrk(client_id, "+#/") ||
        !tmb_bytes_eq(head, tmb_bytes_str(OWN_HEAD)) || !tmb_bytes_eq(id, tmb_bytes_str(client_id)))
        return false;
    return tmb_reader_left(&reader) == 0 || *reader.at == '/';
}
