// SPDX-License-Identifier: Apache-2.0
/* tests/e2e/hold_sync.c - a disk that is as slow, or as bad, as a test wants it, for LD_PRELOAD.
 *
 * While the file named by TMB_HOLD_SYNC exists, fdatasync() does not come back. So a test can see what a
 * broker says before its data are on the disk, and what only after. While the file named by TMB_SLOW_SYNC
 * exists, each fdatasync() takes as many milliseconds more as it says. While the one named by TMB_FAIL_SYNC
 * exists, it fails; each failure adds a byte to that file, so that a test can tell that it happened.
 * Each sync that went well adds a line to the file named by TMB_SYNC_LOG: inode, and how many bytes of that
 * file are on the disk now, which is what a power cut would leave of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By its label, so that the C library may name the parameter as it likes. */
__attribute__((visibility("default"))) int hold_fdatasync(int fd) __asm__("fdatasync");

static long read_delay_ms(void)
{
    const char *name = getenv("TMB_SLOW_SYNC");
    FILE *file = name ? fopen(name, "re") : NULL;
    if (file == NULL)
        return 0;
    char text[16] = "";
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    return strtol(text, NULL, 10);
}

static int sync_and_tell(int fd)
{
    struct stat before;
    int stat_rc = fstat(fd, &before);
    int rc = (int)syscall(SYS_fdatasync, fd);
    const char *name = getenv("TMB_SYNC_LOG");
    int log = rc == 0 && stat_rc == 0 && name
                  ? open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
                  : -1;
    if (log < 0)
        return rc;
    (void)dprintf(log, "%llu %lld\n", (unsigned long long)before.st_ino, (long long)before.st_size);
    close(log);
    return rc;
}

int hold_fdatasync(int fd)
{
    const char *hold = getenv("TMB_HOLD_SYNC");
    const char *fail = getenv("TMB_FAIL_SYNC");
    while (hold && access(hold, F_OK) == 0)
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    long delay_ms = read_delay_ms();
    if (delay_ms > 0)
        (void)nanosleep(
            &(struct timespec){.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000},
            NULL);
    int told = fail ? open(fail, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (told < 0)
        return sync_and_tell(fd);
    ssize_t n = write(told, "x", 1);
    (void)n;
    close(told);
    errno = EIO;
    return -1;
}
