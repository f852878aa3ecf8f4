// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/late.c - see late.h. */
#include "syncd/daemon/late.h"

#include <stdio.h>
#include <time.h>

#include "proto/props.h"

#define TIME_MS_MAX INT64_C(253402300799999) /* the end of the year 9999 */

void tmb_late_time(tmb_hlc stamp, char out[TMB_LATE_TIME_BYTES])
{
    int64_t ms = tmb_hlc_wall(stamp).ms;
    struct tm date;
    char day[TMB_LATE_TIME_BYTES];
    if (ms > TIME_MS_MAX)
        ms = TIME_MS_MAX;
    time_t seconds = (time_t)(ms / 1000);
    (void)gmtime_r(&seconds, &date);
    (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &date);
    (void)snprintf(out, TMB_LATE_TIME_BYTES, "%.19s.%03uZ", day, (unsigned)(ms % 1000));
}

static void put(tmb_writer *w, const char *name, const char *value)
{
    tmb_prop prop = {
        .id = TMB_PROP_USER, .name = tmb_bytes_str(name), .value = tmb_bytes_str(value)};
    tmb_props_put(w, &prop);
}

bool tmb_late_mark(tmb_bytes props, tmb_hlc born, uint8_t *out, size_t cap, tmb_bytes *ret_props)
{
    char time_text[TMB_LATE_TIME_BYTES];
    tmb_reader reader = tmb_reader_of(props);
    tmb_writer w = tmb_writer_of(out, cap);
    tmb_prop prop;
    while (tmb_props_next(&reader, &prop) == TMB_OK)
        if (prop.id != TMB_PROP_USER || !tmb_props_is_late(prop.name))
            tmb_props_put(&w, &prop);
    tmb_late_time(born, time_text);
    put(&w, TMB_PROP_LATE_NAME, "1");
    put(&w, TMB_PROP_TIME_NAME, time_text);
    if (!w.bad)
        *ret_props = tmb_bytes_of(out, (size_t)(w.at - out));
    return !w.bad;
}
