// SPDX-License-Identifier: Apache-2.0
/* tests/unit/bus/memory.h - allocations that fail after so many (the linker sends malloc and calloc here). */
#ifndef TMB_TESTS_UNIT_BUS_MEMORY_H
#define TMB_TESTS_UNIT_BUS_MEMORY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

static unsigned long memory_left = ULONG_MAX;

static bool memory_fails(void)
{
    if (memory_left == 0)
        return true;
    memory_left--;
    return false;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    return memory_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __real_calloc(count, size);
}

#ifdef WRAP_REALLOC
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_realloc(void *ptr, size_t size)
{
    return memory_fails() ? NULL : __real_realloc(ptr, size);
}
#endif

#endif
