// SPDX-License-Identifier: Apache-2.0
/* tests/e2e/hold_sync.c - a disk that is as slow as a test wants it, for LD_PRELOAD.
 *
 * While the file named by TMB_HOLD_SYNC exists, fdatasync() does not come back. So a test can see what a
 * broker says before its data are on the disk, and what only after.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By its label, so that the C library may name the parameter as it likes. */
__attribute__((visibility("default"))) int hold_fdatasync(int fd) __asm__("fdatasync");

int hold_fdatasync(int fd)
{
    const char *hold = getenv("TMB_HOLD_SYNC");
    while (hold && access(hold, F_OK) == 0)
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    return (int)syscall(SYS_fdatasync, fd);
}
