// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_crc32c.c - the known vectors, and the processor's instruction against the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/rng.h"

/* RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms. */
static void gives_the_known_values(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    for (uint8_t i = 0; i < 32; i++) {
        ones[i] = 0xff;
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    const struct {
        tmb_bytes bytes;
        uint32_t crc;
    } known[] = {
        {tmb_bytes_str("123456789"), 0xe3069283}, {tmb_bytes_of(NULL, 0), 0},
        {tmb_bytes_of(zeros, 32), 0x8a9136aa},    {tmb_bytes_of(ones, 32), 0x62a8ab43},
        {tmb_bytes_of(up, 32), 0x46dd794e},       {tmb_bytes_of(down, 32), 0x113fdb5c},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(tmb_crc32c(0, known[i].bytes), known[i].crc);
        assert_int_equal(tmb_crc32c_by_table(0, known[i].bytes), known[i].crc);
    }
}

/* Every start within a word and every length: the instruction takes eight bytes at a time. */
static void instruction_and_table_agree(void **state)
{
    (void)state;
    uint8_t bytes[128];
    tmb_rng rng = {1};
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)tmb_rng_next(&rng);
    for (size_t start = 0; start < 9; start++) {
        for (size_t len = 0; len <= sizeof(bytes) - start; len++) {
            tmb_bytes b = tmb_bytes_of(bytes + start, len);
            assert_int_equal(tmb_crc32c(7, b), tmb_crc32c_by_table(7, b));
        }
    }
}

static void goes_on_where_it_stopped(void **state)
{
    (void)state;
    tmb_bytes whole = tmb_bytes_str("tombolo carries a message once");
    for (size_t cut = 0; cut <= whole.len; cut++) {
        uint32_t crc = tmb_crc32c(0, tmb_bytes_of(whole.ptr, cut));
        crc = tmb_crc32c(crc, tmb_bytes_of(whole.ptr + cut, whole.len - cut));
        assert_int_equal(crc, tmb_crc32c(0, whole));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_known_values),
        cmocka_unit_test(instruction_and_table_agree),
        cmocka_unit_test(goes_on_where_it_stopped),
    };
    return cmocka_run_group_tests_name("unit.base.crc32c", tests, NULL, NULL);
}
