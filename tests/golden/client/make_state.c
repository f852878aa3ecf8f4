// SPDX-License-Identifier: Apache-2.0
/* golden_make_client_state FILE - a state file of libtombolo with one of each record but the window; run
 * by hand, once for each version of the format. The window (128 KiB) is read back by unit.client.kept. */
#include <stdio.h>
#include <string.h>

#include "clients/c/kept_file.h"

static tmb_entry *message(const char *payload, bool is_full)
{
    static const tmb_client_prop props[] = {{"unit", "\xc2\xb0\x43"}, {"empty", ""}};
    tmb_client_publication p = {
        .topic = "line/press/7", .payload = payload, .payload_len = strlen(payload)};
    if (is_full) {
        p.retain = true;
        p.content_type = "text/plain";
        p.props = props;
        p.prop_count = 2;
    }
    tmb_entry *e = NULL;
    TMB_ASSERT(tmb_entry_new(&p, &e) == TMB_OK);
    return e;
}

int main(int argc, char **argv)
{
    tmb_kept k;
    tmb_msgid id = {.node = "s1", .stream = "default", .seq = 1742, .life = 0x9f3a01c2};
    if (argc != 2)
        return 2;
    tmb_err err = tmb_kept_open(&k, tmb_file_port_posix(), argv[1], "run-a", false);
    /* Held when the file is written anew below; the others stay as they were appended. */
    err = err ? err : tmb_kept_add(&k, message("held", false));
    err = err ? err : tmb_kept_hold(&k, k.box.first);
    tmb_kept_close(&k);
    err = err ? err : tmb_kept_open(&k, tmb_file_port_posix(), argv[1], "run-a", true);
    err = err ? err : tmb_kept_add(&k, message("gone", false));
    err = err ? err : tmb_kept_add(&k, message("whole", true));
    err = err ? err : tmb_kept_add(&k, message("refused", false));
    err = err ? err : tmb_kept_forget(&k, k.box.first);
    err = err ? err : tmb_kept_hold(&k, k.box.last);
    err = err ? err : tmb_kept_renumber(&k, k.held->next); /* the older one */
    err = err ? err : tmb_kept_mark(&k, &id);
    if (err)
        fprintf(stderr, "%s: %s\n", argv[1], k.why);
    tmb_kept_close(&k);
    return err ? 1 : 0;
}
