// SPDX-License-Identifier: Apache-2.0
/* base/err.h - the error codes of every library here, and assertions.
 *
 * Codes are for the world (disk, peer, configuration); TMB_ASSERT is for the programmer. Bytes from
 * disk or network are never asserted, they are validated and answered with a code.
 */
#ifndef TMB_BASE_ERR_H
#define TMB_BASE_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

/* code, number, sentence. Numbers are stable: tools print them with -o json. */
/* clang-format off */
#define TMB_ERR_LIST(X)                                                                            \
    X(OK,         0, "success")                                                                    \
    X(ENOMEM,    -1, "out of memory")                                                              \
    X(EINVAL,    -2, "the caller broke the contract in the header")                                \
    X(EIO,       -3, "the operating system refused a read, write or sync")                         \
    X(ENOSPC,    -4, "no space left on the device")                                                \
    X(ENOENT,    -5, "not found")                                                                  \
    X(ECORRUPT,  -6, "bytes that fail their checksum or their format")                             \
    X(EVERSION,  -7, "written by a version that this build does not read")                         \
    X(ELIMIT,    -8, "a limit of base/limits.h or of the configuration is reached")                \
    X(EAGAIN,    -9, "nothing now; ask again when there is news")                                  \
    X(EGAP,     -10, "records are missing between what was read and what comes next")              \
    X(EBUSY,    -11, "another process holds it")                                                   \
    X(ECONFIG,  -12, "the configuration is wrong")                                                 \
    X(EDENIED,  -13, "permission denied, or not allowed for this identity")                        \
    X(ECLOSED,  -14, "closed or not connected")
/* clang-format on */

typedef enum tmb_err {
#define TMB_ERR_ENUM(name, number, text) TMB_##name = (number),
    TMB_ERR_LIST(TMB_ERR_ENUM)
#undef TMB_ERR_ENUM
} tmb_err;

#define TMB_MUST_USE __attribute__((warn_unused_result))

/* tmb_err_str gives the sentence for err, tmb_err_name its name ("ENOSPC"); static text, never NULL. */
const char *tmb_err_str(tmb_err err);
const char *tmb_err_name(tmb_err err);

/* TMB_ASSERT stays on in every build: a broken invariant stops the process, its supervisor starts it
 * again, and the journal replays. */
void tmb_assert_failed(const char *text, const char *file, int line) __attribute__((noreturn));
#define TMB_ASSERT(x) ((x) ? (void)0 : tmb_assert_failed(#x, __FILE__, __LINE__))

#ifdef __cplusplus
}
#endif
#endif
