// SPDX-License-Identifier: Apache-2.0
/* tests/unit/base/test_err.c - every code has its own number, name and sentence; a broken assertion ends the
 * process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"

static const struct {
    tmb_err err;
    const char *name;
} all[] = {
#define ROW(name, number, text) {TMB_##name, #name},
    TMB_ERR_LIST(ROW)
#undef ROW
};

#define ALL_COUNT (sizeof(all) / sizeof(all[0]))

static void every_code_has_a_name_and_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL_COUNT; i++) {
        assert_string_equal(tmb_err_name(all[i].err), all[i].name);
        assert_true(strlen(tmb_err_str(all[i].err)) > 3);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(all[i].err, all[k].err);
            assert_string_not_equal(tmb_err_str(all[i].err), tmb_err_str(all[k].err));
        }
    }
    assert_int_equal(TMB_OK, 0);
    assert_string_equal(tmb_err_name((tmb_err)-99), "EUNKNOWN");
    assert_string_equal(tmb_err_str((tmb_err)-99), "unknown error code");
}

/* Tools print the numbers: the list may grow, not change. */
static void numbers_are_stable(void **state)
{
    (void)state;
    const char *names[] = {"OK",     "ENOMEM",   "EINVAL",   "EIO",     "ENOSPC",
                           "ENOENT", "ECORRUPT", "EVERSION", "ELIMIT",  "EAGAIN",
                           "EGAP",   "EBUSY",    "ECONFIG",  "EDENIED", "ECLOSED"};
    for (int i = 0; i < 15; i++)
        assert_string_equal(tmb_err_name((tmb_err)-i), names[i]);
}

static void broken_assertion_ends_the_process(void **state)
{
    (void)state;
    TMB_ASSERT(state != &state[1]);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        (void)!freopen("/dev/null", "w", stderr);
        TMB_ASSERT(pid != 0);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_and_a_sentence),
        cmocka_unit_test(numbers_are_stable),
        cmocka_unit_test(broken_assertion_ends_the_process),
    };
    return cmocka_run_group_tests_name("unit.base.err", tests, NULL, NULL);
}
