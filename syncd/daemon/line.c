// SPDX-License-Identifier: Apache-2.0
/* syncd/daemon/line.c - see line.h.
 */
#include "syncd/daemon/line.h"

#include <time.h>

void tmb_line_count(tmb_line *line, tmb_class class_, size_t bytes)
{
    if ((unsigned)class_ < TMB_CLASSES)
        line->class_bytes[class_] += bytes;
}

uint64_t tmb_line_cap(const tmb_config *config)
{
    time_t now = time(NULL);
    struct tm local;
    uint64_t rate = config->rate;
    if (config->schedule.count > 0 && localtime_r(&now, &local))
        rate = tmb_schedule_rate(&config->schedule, rate, (unsigned)(local.tm_wday + 6) % 7,
                                 (unsigned)(local.tm_hour * 60 + local.tm_min));
    return rate / 8;
}

void tmb_line_stats(const tmb_line *line, const tmb_pace *pace, json_t *object)
{
    json_t *classes = json_object();
    for (unsigned i = 0; i < TMB_CLASSES; i++)
        (void)json_object_set_new(classes, tmb_class_str((tmb_class)i),
                                  json_integer((json_int_t)line->class_bytes[i]));
    (void)json_object_set_new(object, "line",
                              json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "bytes_per_s",
                                        (json_int_t)pace->rate, "round_trip_ms",
                                        (json_int_t)(pace->least_us + 500) / 1000, "window_bytes",
                                        (json_int_t)pace->window, "outstanding_bytes",
                                        (json_int_t)tmb_pace_outstanding(pace), "cap_bytes_per_s",
                                        (json_int_t)pace->cap, "class_bytes", classes));
}
