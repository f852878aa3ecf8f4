// SPDX-License-Identifier: Apache-2.0
/* proto/fold.c - see proto/fold.h. One walk through the model, used in both directions.
 *
 *   a record:  head (or which one)  stamp  numbers of the head  body (or which one)  numbers of the body
 *              '- text, once                                    '- text, once        [length of the rest]
 *
 *   head   u8 flags, u16 bytes + publisher, u32 bytes + properties, [u8 bytes + run],
 *          [origin: u8 bytes + node, 16 incarnation, u8 bytes + stream], [via: the same]
 *   body   shape of the topic, 0, shape of the payload (or mark 7, and the payload behind it in the text)
 */
#include "proto/fold.h"

#include "base/crc32c.h"
#include "proto/batch.h"
#include "proto/shape.h"

enum {
    FLAG_QOS = 0x03,
    FLAG_RETAIN = 0x04,
    FLAG_WILL = 0x08,
    FLAG_NUMBERED = 0x10,
    FLAG_ORIGIN = 0x20,
    FLAG_VIA = 0x40
};

/* Kinds of tmb_code_count. */
enum { COUNT_HEAD, COUNT_BODY, COUNT_BYTES, COUNT_REST };

#define HEAD_COLUMNS 7u /* number, and of origin and via: seq, two of the stamp */

static void begin(tmb_fold *fold)
{
    tmb_numbers_init(&fold->numbers);
    memset(fold->stamp, 0, sizeof fold->stamp);
    fold->heads.count = fold->heads.last = fold->bodies.count = fold->bodies.last = 0;
    fold->heads.is_expected = fold->bodies.is_expected = TMB_BIT_NEW;
    fold->columns_count = 0;
    fold->read = 0;
}

/* A whole number of the record that is in no text; as bits, for it may be above 2^63. */
static uint64_t code_field(tmb_fold *fold, tmb_column *column, uint64_t value)
{
    tmb_number number = {(int64_t)(value & INT64_MAX), 0};
    if (!fold->coder.is_reading && value >= UINT64_C(1000000000000000000))
        fold->coder.is_bad = true; /* no clock and no counter gets there */
    number = tmb_code_number(&fold->coder, &fold->numbers, column, number);
    return (uint64_t)number.whole;
}

static tmb_hlc code_stamp(tmb_fold *fold, tmb_column columns[2], tmb_hlc stamp)
{
    uint64_t ms = code_field(fold, &columns[0], stamp.u64 >> 16);
    uint64_t count = code_field(fold, &columns[1], stamp.u64 & 0xffff);
    return (tmb_hlc){ms << 16 | (count & 0xffff)};
}

static void take_columns(tmb_fold *fold, tmb_shape *shape, unsigned count)
{
    shape->first_column = fold->columns_count;
    memset(fold->columns + fold->columns_count, 0, count * sizeof fold->columns[0]);
    fold->columns_count += count;
}

/* code_shape codes which shape comes (index + 1; 0: a new one), and of a new one its length. Gives its index;
 * a new one has its text, but no columns yet, and *ret_is_new says so. */
static unsigned code_shape(tmb_fold *fold, tmb_shapes *shapes, unsigned kind, unsigned wanted,
                           size_t len, bool *ret_is_new)
{
    tmb_coder *coder = &fold->coder;
    unsigned expected = shapes->last != 0 ? shapes->v[shapes->last - 1].next : 0;
    unsigned found = expected;
    *ret_is_new = false;
    if (expected == 0 || !tmb_code_bit(coder, &shapes->is_expected, wanted == expected)) {
        uint64_t back = wanted != 0 ? shapes->count + 1 - wanted : 0;
        back = tmb_code_count(coder, &fold->numbers, kind, back);
        if (back > shapes->count) {
            coder->is_bad = true;
            back = 0;
        }
        found = back != 0 ? shapes->count + 1 - (unsigned)back : 0;
    }
    if (found == 0) {
        size_t left = fold->text_len - fold->read;
        len = tmb_code_count(coder, &fold->numbers, COUNT_BYTES, len);
        if (len > left || shapes->count == TMB_BATCH_RECORDS_MAX) {
            coder->is_bad = true;
            return 0;
        }
        shapes->v[shapes->count++] = (tmb_shape){(uint32_t)fold->read, (uint32_t)len, 0, 0};
        fold->read += len;
        found = shapes->count;
        *ret_is_new = true;
    }
    if (shapes->last != 0)
        shapes->v[shapes->last - 1].next = found;
    shapes->last = found;
    return found - 1;
}

static tmb_bytes text_of(const tmb_fold *fold, const tmb_shape *shape)
{
    TMB_ASSERT(fold->text); /* there is a shape */
    return tmb_bytes_of(fold->text + shape->offset, shape->len);
}

/* find gives the index + 1 of an equal shape, or 0; then *ret_slot is where it belongs. */
static unsigned find(const tmb_fold *fold, const tmb_shapes *shapes, const uint16_t *slots,
                     tmb_bytes text, unsigned *ret_slot)
{
    unsigned slot = tmb_crc32c(0, text) % TMB_FOLD_SLOTS;
    while (slots[slot] != 0) {
        if (tmb_bytes_eq(text_of(fold, &shapes->v[slots[slot] - 1]), text))
            return slots[slot];
        slot = (slot + 1) % TMB_FOLD_SLOTS;
    }
    *ret_slot = slot;
    return 0;
}

static void put_source(tmb_writer *w, const tmb_origin *source)
{
    tmb_put_u8(w, (uint8_t)source->node.len);
    tmb_put_bytes(w, source->node);
    tmb_put_bytes(w, tmb_bytes_of(source->incarnation.bytes, sizeof source->incarnation.bytes));
    tmb_put_u8(w, (uint8_t)source->stream.len);
    tmb_put_bytes(w, source->stream);
}

static void get_source(tmb_reader *r, tmb_origin *ret_source)
{
    ret_source->node = tmb_get_bytes(r, tmb_get_u8(r));
    tmb_bytes incarnation = tmb_get_bytes(r, sizeof ret_source->incarnation.bytes);
    if (incarnation.len > 0)
        memcpy(ret_source->incarnation.bytes, incarnation.ptr, incarnation.len);
    ret_source->stream = tmb_get_bytes(r, tmb_get_u8(r));
}

static void put_head(tmb_writer *w, const tmb_record *record)
{
    unsigned flags = record->qos;
    flags |= record->retain ? FLAG_RETAIN : 0u;
    flags |= record->is_will ? FLAG_WILL : 0u;
    flags |= record->is_numbered ? FLAG_NUMBERED : 0u;
    flags |= record->has_origin ? FLAG_ORIGIN : 0u;
    flags |= record->has_via ? FLAG_VIA : 0u;
    tmb_put_u8(w, (uint8_t)flags);
    tmb_put_u16(w, (uint16_t)record->publisher.len);
    tmb_put_bytes(w, record->publisher);
    tmb_put_u32(w, (uint32_t)record->props.len);
    tmb_put_bytes(w, record->props);
    if (record->is_numbered) {
        tmb_put_u8(w, (uint8_t)record->run.len);
        tmb_put_bytes(w, record->run);
    }
    if (record->has_origin)
        put_source(w, &record->origin);
    if (record->has_via)
        put_source(w, &record->via);
}

static bool get_head(tmb_bytes text, tmb_record *ret_record)
{
    tmb_reader r = tmb_reader_of(text);
    unsigned flags = tmb_get_u8(&r);
    ret_record->qos = flags & FLAG_QOS;
    ret_record->retain = flags & FLAG_RETAIN;
    ret_record->is_will = flags & FLAG_WILL;
    ret_record->is_numbered = flags & FLAG_NUMBERED;
    ret_record->has_origin = flags & FLAG_ORIGIN;
    ret_record->has_via = flags & FLAG_VIA;
    ret_record->publisher = tmb_get_bytes(&r, tmb_get_u16(&r));
    ret_record->props = tmb_get_bytes(&r, tmb_get_u32(&r));
    if (ret_record->is_numbered)
        ret_record->run = tmb_get_bytes(&r, tmb_get_u8(&r));
    if (ret_record->has_origin)
        get_source(&r, &ret_record->origin);
    if (ret_record->has_via)
        get_source(&r, &ret_record->via);
    return !r.bad && tmb_reader_left(&r) == 0;
}

/* The numbers that a record has outside of its texts. */
static void code_numbers_of_head(tmb_fold *fold, const tmb_shape *head, tmb_record *record)
{
    tmb_column *columns = fold->columns + head->first_column;
    if (record->is_numbered)
        record->number = code_field(fold, columns, record->number);
    if (record->has_origin) {
        record->origin.seq = code_field(fold, columns + 1, record->origin.seq);
        record->origin.stamp = code_stamp(fold, columns + 2, record->origin.stamp);
    }
    if (record->has_via) {
        record->via.seq = code_field(fold, columns + 4, record->via.seq);
        record->via.stamp = code_stamp(fold, columns + 5, record->via.stamp);
    }
}

/* Text that is to become a shape stands behind the text that is in use. */
static tmb_writer writer_behind(const tmb_fold *fold)
{
    return tmb_writer_of(fold->text + fold->read, fold->text_cap - fold->read);
}

/* use codes the shape that stands behind the text in use. Gives it; NULL: no room. */
static tmb_shape *use(tmb_fold *fold, tmb_shapes *shapes, unsigned kind, const tmb_writer *w,
                      unsigned columns)
{
    if (w->bad)
        return NULL;
    unsigned slot = 0;
    bool is_new = false;
    uint16_t *slots = fold->slots[kind == COUNT_BODY];
    fold->text_len = (size_t)(w->at - fold->text);
    tmb_bytes text = tmb_bytes_of(fold->text + fold->read, fold->text_len - fold->read);
    unsigned wanted = find(fold, shapes, slots, text, &slot);
    unsigned index = code_shape(fold, shapes, kind, wanted, text.len, &is_new);
    if (is_new) {
        slots[slot] = (uint16_t)(index + 1);
        take_columns(fold, &shapes->v[index], columns);
    }
    return &shapes->v[index];
}

/* shape_of writes the shape of text and gives how many numbers it has. */
static unsigned shape_of(tmb_bytes text, tmb_writer *w, unsigned columns_max)
{
    unsigned columns = 0, mark = 0;
    size_t at = 0;
    tmb_number number;
    tmb_writer begin_at = *w;
    while ((mark = tmb_shape_next(text, &at, w, &number)) != 0) {
        tmb_put_u8(w, (uint8_t)mark);
        columns++;
    }
    if (columns <= columns_max)
        return columns;
    *w = begin_at;
    tmb_put_bytes(w, text);
    return 0;
}

static void fold_numbers(tmb_fold *fold, tmb_bytes text, tmb_column *columns)
{
    size_t at = 0;
    tmb_number number;
    uint8_t nowhere[64];
    for (;;) {
        tmb_writer w = tmb_writer_of(nowhere, 0);
        if (tmb_shape_next(text, &at, &w, &number) == 0)
            return;
        (void)tmb_code_number(&fold->coder, &fold->numbers, columns++, number);
    }
}

static tmb_err fold_body(tmb_fold *fold, const tmb_record *record)
{
    tmb_writer w = writer_behind(fold);
    bool has_shape = tmb_text_has_shape(record->payload);
    if (!tmb_text_has_shape(record->topic))
        return TMB_ELIMIT;
    unsigned room = TMB_FOLD_COLUMNS_MAX - fold->columns_count;
    unsigned of_topic = shape_of(record->topic, &w, room), of_payload = 0;
    tmb_put_u8(&w, 0);
    if (has_shape)
        of_payload = shape_of(record->payload, &w, room - of_topic);
    else
        tmb_put_u8(&w, TMB_MARK_REST);
    const tmb_shape *body = use(fold, &fold->bodies, COUNT_BODY, &w, of_topic + of_payload);
    if (!body)
        return TMB_ELIMIT;
    tmb_column *columns = fold->columns + body->first_column;
    tmb_numbers_message(&fold->numbers);
    if (of_topic > 0)
        fold_numbers(fold, record->topic, columns);
    if (of_payload > 0)
        fold_numbers(fold, record->payload, columns + of_topic);
    if (has_shape)
        return TMB_OK;
    (void)tmb_code_count(&fold->coder, &fold->numbers, COUNT_REST, record->payload.len);
    w = writer_behind(fold);
    tmb_put_bytes(&w, record->payload);
    fold->read += record->payload.len;
    return w.bad ? TMB_ELIMIT : TMB_OK;
}

static tmb_err fold_record(tmb_fold *fold, tmb_record *record)
{
    if (TMB_FOLD_COLUMNS_MAX - fold->columns_count < HEAD_COLUMNS)
        return TMB_ELIMIT;
    tmb_writer w = writer_behind(fold);
    put_head(&w, record);
    const tmb_shape *head = use(fold, &fold->heads, COUNT_HEAD, &w, HEAD_COLUMNS);
    if (!head)
        return TMB_ELIMIT;
    tmb_numbers_message(&fold->numbers);
    (void)code_stamp(fold, fold->stamp, record->stamp);
    code_numbers_of_head(fold, head, record);
    tmb_err err = fold_body(fold, record);
    return err == TMB_OK && fold->coder.is_bad ? TMB_ELIMIT : err;
}

tmb_err tmb_fold_records(tmb_fold *fold, tmb_bytes raw, uint8_t *text, size_t *text_len,
                         uint8_t *numbers, size_t *numbers_len)
{
    begin(fold);
    memset(fold->slots, 0, sizeof fold->slots);
    fold->coder = tmb_coder_writing(numbers, *numbers_len);
    fold->text = text;
    fold->text_cap = *text_len < UINT32_MAX ? *text_len : UINT32_MAX;
    size_t offset = 0;
    tmb_record record;
    tmb_err err;
    while ((err = tmb_batch_next(raw, &offset, &record)) == TMB_OK) {
        err = fold_record(fold, &record);
        if (err != TMB_OK)
            return err;
    }
    size_t used = tmb_coder_end(&fold->coder);
    if (err != TMB_EAGAIN || fold->coder.is_bad)
        return err != TMB_EAGAIN ? err : TMB_ELIMIT;
    *text_len = fold->read;
    *numbers_len = used;
    return TMB_OK;
}

/* How many columns a body has, which is new; too many: bad. */
static void begin_body(tmb_fold *fold, tmb_shape *body)
{
    tmb_bytes text = text_of(fold, body);
    unsigned columns = 0, room = TMB_FOLD_COLUMNS_MAX - fold->columns_count;
    for (size_t i = 0; i < text.len && columns <= room; i++)
        columns += text.ptr[i] > 0 && text.ptr[i] < TMB_MARK_REST;
    if (columns > room)
        fold->coder.is_bad = true;
    else
        take_columns(fold, body, columns);
}

/* unfold_text prints a shape with the numbers that come, to line. */
static void unfold_text(tmb_fold *fold, tmb_bytes shape, tmb_column **columns, tmb_writer *line)
{
    for (size_t i = 0; i < shape.len && !line->bad; i++) {
        unsigned mark = shape.ptr[i];
        if (mark >= TMB_MARKS) {
            tmb_put_u8(line, (uint8_t)mark);
        } else if (mark == TMB_MARK_REST) {
            uint64_t len = tmb_code_count(&fold->coder, &fold->numbers, COUNT_REST, 0);
            if (len > fold->text_len - fold->read) {
                line->bad = true;
                return;
            }
            tmb_put_bytes(line, tmb_bytes_of(fold->text + fold->read, len));
            fold->read += len;
        } else {
            uint8_t digits[TMB_NUMBER_TEXT_MAX];
            tmb_number number = {0, 0};
            number = tmb_code_number(&fold->coder, &fold->numbers, (*columns)++, number);
            tmb_put_bytes(line, tmb_bytes_of(digits, tmb_number_print(mark, number, digits)));
        }
    }
}

/* unfold_body prints topic and payload into line, which record then points into. */
static bool unfold_body(tmb_fold *fold, tmb_writer line, tmb_record *record)
{
    bool is_new = false;
    unsigned index = code_shape(fold, &fold->bodies, COUNT_BODY, 0, 0, &is_new);
    if (fold->coder.is_bad)
        return false;
    tmb_shape *body = &fold->bodies.v[index];
    if (is_new)
        begin_body(fold, body);
    tmb_bytes text = text_of(fold, body);
    const uint8_t *zero = text.len > 0 ? memchr(text.ptr, 0, text.len) : NULL;
    if (!zero || fold->coder.is_bad)
        return false;
    size_t of_topic = (size_t)(zero - text.ptr);
    if (memchr(zero + 1, 0, text.len - of_topic - 1))
        return false;
    tmb_column *columns = fold->columns + body->first_column;
    const uint8_t *at = line.at;
    tmb_numbers_message(&fold->numbers);
    unfold_text(fold, tmb_bytes_of(text.ptr, of_topic), &columns, &line);
    record->topic = tmb_bytes_of(at, (size_t)(line.at - at));
    at = line.at;
    unfold_text(fold, tmb_bytes_of(zero + 1, text.len - of_topic - 1), &columns, &line);
    record->payload = tmb_bytes_of(at, (size_t)(line.at - at));
    return !line.bad;
}

static bool unfold_record(tmb_fold *fold, tmb_writer line, tmb_record *ret_record)
{
    bool is_new = false;
    unsigned index = code_shape(fold, &fold->heads, COUNT_HEAD, 0, 0, &is_new);
    if (fold->coder.is_bad || (is_new && TMB_FOLD_COLUMNS_MAX - fold->columns_count < HEAD_COLUMNS))
        return false;
    tmb_shape *head = &fold->heads.v[index];
    if (is_new)
        take_columns(fold, head, HEAD_COLUMNS);
    if (!get_head(text_of(fold, head), ret_record))
        return false;
    tmb_numbers_message(&fold->numbers);
    ret_record->stamp = code_stamp(fold, fold->stamp, ret_record->stamp);
    code_numbers_of_head(fold, head, ret_record);
    return unfold_body(fold, line, ret_record);
}

tmb_err tmb_unfold_records(tmb_fold *fold, tmb_bytes text, tmb_bytes numbers, uint64_t first_seq,
                           uint64_t count, uint8_t *line, uint8_t *out, size_t raw_bytes)
{
    begin(fold);
    fold->coder = tmb_coder_reading(numbers);
    fold->text = text.ptr ? (uint8_t *)(uintptr_t)text.ptr : line; /* only read */
    fold->text_len = fold->text_cap = text.len;
    size_t used = 0;
    for (uint64_t i = 0; i < count; i++) {
        tmb_record record = {.seq = first_seq + i};
        size_t len = 0;
        if (!unfold_record(fold, tmb_writer_of(line, raw_bytes - used), &record) ||
            tmb_record_encode(&record, out + used, raw_bytes - used, &len) != TMB_OK)
            return TMB_ECORRUPT;
        used += len;
    }
    bool is_whole =
        used == raw_bytes && fold->read == text.len && tmb_coder_is_at_end(&fold->coder);
    return is_whole ? TMB_OK : TMB_ECORRUPT;
}
