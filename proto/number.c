// SPDX-License-Identifier: Apache-2.0
/* proto/number.c - see proto/number.h. Everything wraps and nothing overflows: the numbers may be hostile.
 *
 *   guess 0  the same place of the message before          3  the number before the one before, here
 *   guess 1  ... and it rises as it rose                   4  guess 0, and it rose as its neighbour did
 *   guess 2  the number before, in this message
 */
#include "proto/number.h"

enum { SAME_PLACE, SAME_RISE, NEIGHBOUR, SECOND_NEIGHBOUR, RISE_OF_NEIGHBOUR };

/* How texts end their decimals: all of them, zeros left out but for one, zeros left out. */
enum { ENDING_ALL, ENDING_ONE, ENDING_NONE, ENDINGS };

#define SCORE_FIRST (16u * 8)
#define SIZES_APART 5u /* sizes from here on share their models */

static const int64_t tens[TMB_NUMBER_DIGITS_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

static void fill(tmb_bit *models, size_t count)
{
    for (size_t i = 0; i < count; i++)
        models[i] = TMB_BIT_NEW;
}

void tmb_numbers_init(tmb_numbers *numbers)
{
    fill(numbers->is_usual_size, 6);
    fill(numbers->is_above, 6);
    fill(&numbers->more[0][0][0], sizeof numbers->more / sizeof(tmb_bit));
    fill(numbers->top, 65);
    fill(&numbers->second[0][0], sizeof numbers->second / sizeof(tmb_bit));
    fill(numbers->is_new_decimals, 2);
    fill(numbers->decimals, 32);
    fill(&numbers->is_usual_ending, 1);
    fill(numbers->ending, 32);
    fill(&numbers->bits[0][0], sizeof numbers->bits / sizeof(tmb_bit));
    tmb_numbers_message(numbers);
}

void tmb_numbers_message(tmb_numbers *numbers)
{
    numbers->before_count = 0;
    numbers->before_rise = 0;
    numbers->before_column = NULL;
}

static int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_sub(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* rescale gives a number of `from` decimals with `to`; 0 when it does not fit. */
static int64_t rescale(int64_t whole, unsigned from, unsigned to)
{
    if (from >= to)
        return whole / tens[from - to];
    int64_t scaled = 0;
    return __builtin_mul_overflow(whole, tens[to - from], &scaled) ? 0 : scaled;
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

static unsigned size_of(uint64_t value)
{
    return value == 0 ? 0 : 64u - (unsigned)__builtin_clzll(value);
}

/* code_size codes a size of 0 to 64 beside the usual one: is it that; above or below; by how many more. */
static unsigned code_size(tmb_coder *coder, tmb_numbers *numbers, unsigned usual, unsigned size)
{
    unsigned group = usual < SIZES_APART ? usual : SIZES_APART;
    if (tmb_code_bit(coder, &numbers->is_usual_size[group], size == usual))
        return usual;
    unsigned is_above = usual == 0;
    if (usual > 0 && usual < 64)
        is_above = tmb_code_bit(coder, &numbers->is_above[group], size > usual);
    unsigned room = is_above ? 64 - usual : usual, off = 1;
    unsigned wanted = size > usual ? size - usual : usual - size;
    for (; off < room; off++) {
        tmb_bit *model = &numbers->more[group][is_above][off < 16 ? off : 15];
        if (!tmb_code_bit(coder, model, wanted > off))
            break;
    }
    return is_above ? usual + off : usual - off;
}

/* The bits below the highest, which is 1: two of them are worth a model. */
static uint64_t code_rest(tmb_coder *coder, tmb_numbers *numbers, unsigned size, uint64_t value)
{
    if (size < 2)
        return size;
    unsigned top = tmb_code_bit(coder, &numbers->top[size], value >> (size - 2) & 1);
    uint64_t coded = 2 | top;
    if (size < 3)
        return coded;
    coded = coded << 1 | tmb_code_bit(coder, &numbers->second[size][top], value >> (size - 3) & 1);
    unsigned left = size - 3;
    return left == 0 ? coded : coded << left | tmb_code_raw(coder, value, left);
}

static void guess(const tmb_numbers *numbers, const tmb_column *column, int64_t *guesses)
{
    unsigned decimals = column->decimals;
    int64_t here[2] = {0, 0};
    for (unsigned i = 0; i < numbers->before_count; i++)
        here[i] = rescale(numbers->before[i].whole, numbers->before[i].decimals, decimals);
    guesses[SAME_PLACE] = column->last;
    guesses[SAME_RISE] = wrap_add(column->last, column->step);
    guesses[NEIGHBOUR] = here[0];
    guesses[SECOND_NEIGHBOUR] = numbers->before_count > 1 ? here[1] : here[0];
    guesses[RISE_OF_NEIGHBOUR] = column->last;
    if (numbers->before_count > 0)
        guesses[RISE_OF_NEIGHBOUR] = wrap_add(
            column->last, rescale(numbers->before_rise, numbers->before[0].decimals, decimals));
}

static unsigned best_of(const tmb_column *column)
{
    unsigned best = 0;
    for (unsigned i = 1; i < TMB_GUESSES; i++) {
        if (column->score[i] < column->score[best])
            best = i;
    }
    return best;
}

static void keep_score(tmb_column *column, const int64_t *guesses, int64_t whole)
{
    for (unsigned i = 0; i < TMB_GUESSES; i++) {
        unsigned found = 16 * size_of(zigzag(wrap_sub(whole, guesses[i])));
        column->score[i] = (uint16_t)((3u * column->score[i] + found + 2) / 4);
    }
}

/* begin lends a column of which nothing is known what its neighbour has learned. */
static void begin(tmb_column *column, const tmb_numbers *numbers)
{
    const tmb_column *from = numbers->before_column;
    for (unsigned i = 0; i < TMB_GUESSES; i++)
        column->score[i] = SCORE_FIRST;
    if (!from)
        return;
    column->decimals = from->decimals;
    column->ending = from->ending;
    memcpy(column->score, from->score, sizeof column->score);
    column->score[SAME_RISE] = column->score[SAME_PLACE];
    column->score[RISE_OF_NEIGHBOUR] = column->score[SAME_PLACE];
}

static void set_decimals(tmb_column *column, unsigned decimals)
{
    column->last = rescale(column->last, column->decimals, decimals);
    column->step = rescale(column->step, column->decimals, decimals);
    column->decimals = (uint8_t)decimals;
}

static bool fits(tmb_number number, unsigned decimals)
{
    if (number.decimals > decimals)
        return false;
    int64_t most = tens[TMB_NUMBER_DIGITS_MAX - (decimals - number.decimals)];
    return number.whole < most && number.whole > -most;
}

/* In what unit the column goes on. */
static void code_decimals(tmb_coder *coder, tmb_numbers *numbers, tmb_column *column,
                          tmb_number number)
{
    bool is_first_whole = !column->is_begun && number.decimals == 0 && column->decimals > 0;
    bool is_new = !coder->is_reading && (is_first_whole || !fits(number, column->decimals));
    if (!tmb_code_bit(coder, &numbers->is_new_decimals[column->is_begun], is_new))
        return;
    unsigned decimals = tmb_code_tree(coder, numbers->decimals, 5, number.decimals);
    set_decimals(column, decimals <= TMB_NUMBER_DIGITS_MAX ? decimals : TMB_NUMBER_DIGITS_MAX);
}

/* How many decimals a text with this ending has. */
static unsigned decimals_of(int64_t whole, unsigned decimals, unsigned ending)
{
    unsigned least = ending == ENDING_ALL ? decimals : ending == ENDING_ONE && decimals > 0 ? 1 : 0;
    while (decimals > least && whole % 10 == 0) {
        whole /= 10;
        decimals--;
    }
    return decimals;
}

/* code_ending codes the decimals of a text whose number of column->decimals is known. */
static unsigned code_ending(tmb_coder *coder, tmb_numbers *numbers, tmb_column *column,
                            int64_t whole, unsigned decimals)
{
    if (column->decimals == 0 || whole % 10 != 0)
        return column->decimals;
    unsigned usual = decimals_of(whole, column->decimals, column->ending);
    if (tmb_code_bit(coder, &numbers->is_usual_ending, decimals == usual))
        return usual;
    decimals = tmb_code_tree(coder, numbers->ending, 5, decimals);
    if (decimals > column->decimals)
        decimals = column->decimals; /* only in bytes that no coder wrote */
    for (unsigned ending = 0; ending < ENDINGS; ending++) {
        if (decimals_of(whole, column->decimals, ending) == decimals) {
            column->ending = (uint8_t)ending;
            break;
        }
    }
    return decimals;
}

tmb_number tmb_code_number(tmb_coder *coder, tmb_numbers *numbers, tmb_column *column,
                           tmb_number number)
{
    int64_t guesses[TMB_GUESSES];
    if (!column->is_begun)
        begin(column, numbers);
    code_decimals(coder, numbers, column, number);
    guess(numbers, column, guesses);
    unsigned best = best_of(column);

    int64_t whole =
        coder->is_reading ? 0 : rescale(number.whole, number.decimals, column->decimals);
    uint64_t off = zigzag(wrap_sub(whole, guesses[best]));
    unsigned usual = (column->score[best] + 8u) / 16;
    unsigned size = code_size(coder, numbers, usual < 64 ? usual : 64, size_of(off));
    off = code_rest(coder, numbers, size, off);
    whole = wrap_add(guesses[best], unzigzag(off));

    keep_score(column, guesses, whole);
    int64_t rise = wrap_sub(whole, column->last);
    if (column->is_begun)
        column->step = rise;
    column->last = whole;
    column->is_begun = true;
    numbers->before[1] = numbers->before[0];
    numbers->before[0] = (tmb_number){whole, column->decimals};
    numbers->before_count += numbers->before_count < 2;
    numbers->before_rise = rise;
    numbers->before_column = column;

    unsigned decimals = code_ending(coder, numbers, column, whole, number.decimals);
    return (tmb_number){whole / tens[column->decimals - decimals], decimals};
}

uint64_t tmb_code_count(tmb_coder *coder, tmb_numbers *numbers, unsigned kind, uint64_t count)
{
    unsigned size = tmb_code_tree(coder, numbers->bits[kind], 7, size_of(count));
    if (size > 64)
        size = 64; /* only in bytes that no coder wrote */
    if (size < 2)
        return size;
    return UINT64_C(1) << (size - 1) | tmb_code_raw(coder, count, size - 1);
}
