// SPDX-License-Identifier: Apache-2.0
/* base/err.c - texts for error codes, and the end of a process whose invariant broke. */
#undef NDEBUG /* <assert.h> hides its reporter otherwise */
#include "base/err.h"

#include <assert.h>

const char *tmb_err_str(tmb_err err)
{
    switch (err) {
#define TMB_ERR_TEXT(name, number, text)                                                           \
    case TMB_##name:                                                                               \
        return text;
        TMB_ERR_LIST(TMB_ERR_TEXT)
#undef TMB_ERR_TEXT
    }
    return "unknown error code";
}

const char *tmb_err_name(tmb_err err)
{
    switch (err) {
#define TMB_ERR_NAME(name, number, text)                                                           \
    case TMB_##name:                                                                               \
        return #name;
        TMB_ERR_LIST(TMB_ERR_NAME)
#undef TMB_ERR_NAME
    }
    return "EUNKNOWN";
}

/* libc's own reporter (declared by <assert.h>): the one line that a core file and a log both show,
 * and no stdio in a PURE room. */
void tmb_assert_failed(const char *text, const char *file, int line)
{
    __assert_fail(text, file, (unsigned)line, "tombolo");
}
