// SPDX-License-Identifier: Apache-2.0
/* tests/fuzz/props_fuzz.c - any bytes as MQTT 5 properties: those that can be read are written the same. */
#include <stdlib.h>

#include "base/limits.h"
#include "proto/props.h"
#include "tests/fuzz/fuzz.h"

static void check_number(tmb_bytes value)
{
    tmb_bytes run;
    uint64_t number;
    if (tmb_props_number(value, &run, &number))
        return;
    TMB_ASSERT(number > 0 && number <= TMB_SEQ_MAX);
    TMB_ASSERT(run.len <= TMB_RUN_BYTES_MAX && run.len < value.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!data)
        return 0;
    tmb_bytes props = tmb_bytes_of(data, size);
    tmb_bytes value;
    bool is_found = tmb_props_find_user(props, TMB_PROP_SEQ_NAME, &value) == TMB_OK;
    check_number(is_found ? value : props);

    uint8_t *again = malloc(size + 1);
    TMB_ASSERT(again);
    tmb_writer w = tmb_writer_of(again, size);
    tmb_reader r = tmb_reader_of(props);
    tmb_prop prop;
    tmb_err err = TMB_OK;
    while (!err) {
        err = tmb_props_next(&r, &prop);
        if (!err)
            tmb_props_put(&w, &prop);
    }
    size_t read = (size_t)(w.at - again);
    TMB_ASSERT(!w.bad && read <= size);
    TMB_ASSERT(tmb_bytes_eq(tmb_bytes_of(again, read), tmb_bytes_of(data, read)));
    TMB_ASSERT(tmb_props_are_valid(props) == (err == TMB_EAGAIN && read == size));
    TMB_ASSERT(!is_found || err == TMB_EAGAIN);
    free(again);
    return 0;
}
