// SPDX-License-Identifier: Apache-2.0
/* syncd/bus/value_inside.h - what a value has taken in, for the files that write it. */
#ifndef TMB_SYNCD_BUS_VALUE_INSIDE_H
#define TMB_SYNCD_BUS_VALUE_INSIDE_H

#include "syncd/bus/text.h"
#include "syncd/bus/value.h"

/* One concurrent value of a register. */
typedef struct tmb_sibling {
    tmb_hlc stamp;
    tmb_incarnation by;
    tmb_bytes bytes; /* into tmb_value.registers */
    size_t at;
} tmb_sibling;

struct tmb_value {
    uint64_t bytes_max;
    bool has[TMB_TYPES];
    bool is_too_large[TMB_TYPES], has_more[TMB_TYPES]; /* of sets: elements not kept, not counted */
    uint64_t count[TMB_TYPES], bytes[TMB_TYPES];       /* of sets */
    tmb_text elements[TMB_TYPES];                      /* each: u32 length, bytes */
    tmb_text registers;
    tmb_sibling siblings[TMB_SIBLINGS_MAX]; /* the one that is read first */
    unsigned siblings_count;
    int64_t counters[TMB_TYPES];
    bool flags[TMB_TYPES];
    double numbers[TMB_TYPES];
    tmb_value_name_of *name_of; /* NULL: nobody is known */
    void *name_arg;
    tmb_text out;
};

/* The only type there is, counting a map only when it is alone; none: none or several. */
tmb_type tmb_value_type(const tmb_value *value, unsigned *ret_count);

/* tmb_value_shows says whether the type is one of those that are shown. */
bool tmb_value_shows(const tmb_value *value, tmb_type type);

/* tmb_value_element gives the element at *at and moves on; false: the end. */
bool tmb_value_element(const tmb_value *value, tmb_type type, size_t *at, tmb_bytes *ret);

#endif
