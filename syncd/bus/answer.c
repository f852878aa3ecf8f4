// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/answer.c - see answer.h. */
#include "syncd/bus/answer.h"

#include "syncd/bus/text.h"

bool tmb_verdict_is_ok(tmb_verdict verdict)
{
    return verdict == TMB_VERDICT_DONE || verdict == TMB_VERDICT_SAME ||
           verdict == TMB_VERDICT_REPEAT || verdict == TMB_VERDICT_SATURATED;
}

static void put_member(tmb_text *text, const char *name, tmb_bytes value)
{
    if (value.len == 0)
        return;
    tmb_text_format(text, ",\"%s\":", name);
    tmb_text_put_json(text, value);
}

static void put_token(tmb_text *text, tmb_bytes token)
{
    char letters[64];
    if (token.len == 0)
        return;
    tmb_text_put_str(text, ",\"token\":\"");
    for (size_t i = 0; i < token.len; i += 45) { /* whole groups of three */
        size_t len = token.len - i < 45 ? token.len - i : 45;
        len = tmb_token_text(tmb_bytes_of(token.ptr + i, len), letters, sizeof letters);
        tmb_text_put(text, tmb_bytes_of(letters, len));
    }
    tmb_text_put_str(text, "\"");
}

tmb_err tmb_answer_json(const tmb_ask *ask, tmb_verdict verdict, const char *why, tmb_bytes token,
                        char **ret_text)
{
    tmb_text text = {0};
    tmb_text_format(&text, "{\"ok\":%s,\"verdict\":\"%s\"",
                    tmb_verdict_is_ok(verdict) ? "true" : "false", tmb_verdict_str(verdict));
    if (why && strcmp(why, tmb_verdict_str(verdict)) != 0)
        put_member(&text, "why", tmb_bytes_str(why));
    if (ask->op.verb != TMB_VERB_NONE)
        tmb_text_format(&text, ",\"op\":\"%s\"", tmb_verb_str(ask->op.verb));
    put_member(&text, "path", ask->op.path);
    put_member(&text, "id", ask->id);
    put_token(&text, token);
    tmb_text_put_str(&text, "}");
    if (text.is_bad) {
        tmb_text_clear(&text);
        return TMB_ENOMEM;
    }
    *ret_text = text.ptr;
    return TMB_OK;
}
