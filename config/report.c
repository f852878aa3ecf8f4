// SPDX-License-Identifier: Apache-2.0
/* config/report.c - a sorted list of sentences.
 *
 * Checks run in the order that suits the code: syntax, keys, values, then what two values mean together.
 * People read from top to bottom, so a new mistake is put behind the last one that is not below it.
 */
#include "config/report.h"

#include <stdarg.h>
#include <stdlib.h>

static bool is_below(tmb_place a, tmb_place b)
{
    return a.line > b.line || (a.line == b.line && a.column > b.column);
}

/* Values come from a file that may be hostile to a terminal. */
static void blank_controls(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

void tmb_report_add(tmb_report *report, tmb_place place, const char *format, ...)
{
    tmb_mistake *mistake = malloc(sizeof *mistake);
    if (mistake == NULL) {
        report->is_out_of_memory = true;
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(mistake->text, sizeof mistake->text, format, args);
    va_end(args);
    blank_controls(mistake->text);
    mistake->place = place;

    tmb_mistake **at = &report->first;
    while (*at != NULL && !is_below((*at)->place, place))
        at = &(*at)->next;
    mistake->next = *at;
    *at = mistake;
}

void tmb_report_write(const tmb_report *report, const char *name, FILE *out)
{
    for (const tmb_mistake *m = report->first; m != NULL; m = m->next)
        fprintf(out, "%s:%u:%u: %s\n", name, m->place.line, m->place.column, m->text);
}

void tmb_report_clear(tmb_report *report)
{
    while (report->first != NULL) {
        tmb_mistake *mistake = report->first;
        report->first = mistake->next;
        free(mistake);
    }
}

tmb_shown tmb_show(const char *text, size_t len)
{
    static const char dots[] = "...";
    tmb_shown shown;
    size_t cap = sizeof shown.text - sizeof dots;
    if (len <= cap) {
        if (len > 0)
            memcpy(shown.text, text, len);
        shown.text[len] = '\0';
        return shown;
    }
    size_t cut = cap;
    while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
        cut--;
    memcpy(shown.text, text, cut);
    memcpy(shown.text + cut, dots, sizeof dots);
    return shown;
}
