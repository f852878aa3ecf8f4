// SPDX-License-Identifier: Apache-2.0
/* tests/fault/short_memory.c - memory that runs out for the plugin alone, for LD_PRELOAD.
 *
 * TMB_FAILING names the file with the orders (failing.h). A call counts when the plugin has a frame on the
 * stack: then it asked, or the broker, the C library or another asked on its behalf. What the broker asks for
 * itself is let be, since a stock broker that has no memory is nobody's to mend here; so are the thousands of
 * calls that OpenSSL makes at its first use.
 */
#include "tests/fault/failing.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STANDS_FOR(name) __asm__(name) __attribute__((visibility("default")))
#define PLUGIN           "tombolo-mosquitto.so"
#define FRAMES_MAX       24

static failing_control *orders;
static uintptr_t plugin_from, plugin_to; /* where its code is; 0: not loaded yet */
static uintptr_t crypto_from, crypto_to;
static __thread bool is_inside;

void *short_libc_malloc(size_t bytes) __asm__("__libc_malloc");
void *short_libc_calloc(size_t count, size_t bytes) __asm__("__libc_calloc");
void *short_libc_realloc(void *at, size_t bytes) __asm__("__libc_realloc");

__attribute__((constructor)) static void begin(void)
{
    void *frames[1];
    const char *file = getenv("TMB_FAILING");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    (void)backtrace(frames, 1); /* takes what memory it needs at its first call */
    void *map = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (map != MAP_FAILED && ((failing_control *)map)->magic == FAILING_MAGIC)
        orders = map;
}

static void note_code(const struct dl_phdr_info *info, uintptr_t *ret_from, uintptr_t *ret_to)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X)) {
            *ret_to = info->dlpi_addr + part->p_vaddr + part->p_memsz;
            *ret_from = info->dlpi_addr + part->p_vaddr;
        }
    }
}

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    if (strstr(info->dlpi_name, "libcrypto.so"))
        note_code(info, &crypto_from, &crypto_to);
    if (strstr(info->dlpi_name, PLUGIN))
        note_code(info, &plugin_from, &plugin_to);
    return 0;
}

void *short_dlopen(const char *path, int flags) STANDS_FOR("dlopen");
void *short_dlopen(const char *path, int flags)
{
    void *(*real)(const char *, int);
    void *symbol = dlsym(RTLD_NEXT, "dlopen");
    memcpy(&real, &symbol, sizeof symbol); /* ISO C knows no cast for it */
    void *library = real(path, flags);
    if (library && path && strstr(path, PLUGIN))
        (void)dl_iterate_phdr(look_at, NULL);
    return library;
}

static bool is_for_plugin(void)
{
    void *frames[FRAMES_MAX];
    is_inside = true;
    int count = backtrace(frames, FRAMES_MAX);
    is_inside = false;
    for (int i = 0; i < count; i++) {
        uintptr_t at = (uintptr_t)frames[i];
        if (at >= crypto_from && at < crypto_to)
            return false;
        if (at >= plugin_from && at < plugin_to)
            return true;
    }
    return false;
}

/* fires says whether memory is to run out for this call. */
static bool fires(void)
{
    if (!orders || plugin_from == 0 || is_inside || !is_for_plugin())
        return false;
    atomic_fetch_add(&orders->calls[FAILING_MEMORY], 1);
    if (!(atomic_load(&orders->armed) & 1u << FAILING_MEMORY))
        return false;
    uint32_t number = atomic_fetch_add(&orders->seen, 1) + 1;
    if (number < orders->at || (orders->count > 0 && number - orders->at >= orders->count))
        return false;
    atomic_fetch_add(&orders->fired, 1);
    errno = ENOMEM;
    return true;
}

void *short_malloc(size_t bytes) STANDS_FOR("malloc");
void *short_calloc(size_t count, size_t bytes) STANDS_FOR("calloc");
void *short_realloc(void *at, size_t bytes) STANDS_FOR("realloc");

void *short_malloc(size_t bytes)
{
    return fires() ? NULL : short_libc_malloc(bytes);
}

void *short_calloc(size_t count, size_t bytes)
{
    return fires() ? NULL : short_libc_calloc(count, bytes);
}

void *short_realloc(void *at, size_t bytes)
{
    return fires() ? NULL : short_libc_realloc(at, bytes);
}
