// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_time.c - times as people type and read them, UTC. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/cli/journal_cli.h"

/* Days since 1970 of a date of the Gregorian calendar. Source: H. Hinnant, "chrono-compatible low-level
 * date algorithms", days_from_civil. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void cli_time_print(tmb_wall wall, char out[CLI_TIME_BYTES])
{
    time_t seconds = (time_t)(wall.ms / 1000);
    struct tm tm;
    if (wall.ms < 0 || !gmtime_r(&seconds, &tm)) {
        snprintf(out, CLI_TIME_BYTES, "%" PRId64 " ms", wall.ms);
        return;
    }
    snprintf(out, CLI_TIME_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall.ms % 1000));
}

static bool parse_ago(const char *text, tmb_wall now, tmb_wall *ret_wall)
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, 86400};
    char *end;
    long long n = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (end == text || !unit || end[1] != '\0' || n < 0 || n > 1000000000)
        return false;
    ret_wall->ms = now.ms - n * seconds[unit - units] * 1000;
    return true;
}

/* Exactly count digits behind an optional mark, as a number in [low, high]. */
static bool take(const char **at, char mark, int count, int64_t low, int64_t high, int64_t *ret)
{
    const char *c = *at;
    int64_t n = 0;
    if (mark && *c++ != mark)
        return false;
    for (int i = 0; i < count; i++, c++) {
        if (*c < '0' || *c > '9')
            return false;
        n = n * 10 + (*c - '0');
    }
    if (n < low || n > high)
        return false;
    *ret = n;
    *at = c;
    return true;
}

/* ".5" or ".123": up to three digits count, the others are passed over. */
static int64_t take_fraction_ms(const char **at)
{
    int64_t ms = 0, unit = 100;
    if (**at != '.')
        return 0;
    for (++*at; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        ms += unit * (**at - '0');
    return ms;
}

bool cli_time_parse(const char *text, tmb_wall now, tmb_wall *ret_wall)
{
    int64_t year, month, day, hour = 0, minute = 0, second = 0, ms = 0;
    const char *at = text;
    if (parse_ago(text, now, ret_wall))
        return true;
    if (!take(&at, 0, 4, 1970, 9999, &year) || !take(&at, '-', 2, 1, 12, &month) ||
        !take(&at, '-', 2, 1, 31, &day))
        return false;
    if (take(&at, *at == ' ' ? ' ' : 'T', 2, 0, 23, &hour) && take(&at, ':', 2, 0, 59, &minute) &&
        take(&at, ':', 2, 0, 60, &second))
        ms = take_fraction_ms(&at);
    if (*at == 'Z')
        at++;
    if (*at != '\0')
        return false;
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    ret_wall->ms = seconds * 1000 + ms;
    return true;
}
