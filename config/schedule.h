// SPDX-License-Identifier: Apache-2.0
/* config/schedule.h - how much of a line may be used, and when: parent.rate and parent.schedule.
 *
 * An entry counts on its days from `from` to `to`, local time; one whose `to` is not after its `from` goes
 * over midnight, and belongs to the day it began on. The first entry that counts decides, else parent.rate.
 * Threads: any. Cost: a walk over the entries.
 */
#ifndef TMB_CONFIG_SCHEDULE_H
#define TMB_CONFIG_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Entries of parent.schedule. More: refused by the configuration. */
#define TMB_SCHEDULE_MAX 16

typedef struct tmb_schedule_entry {
    uint8_t days;              /* bit 0: Monday */
    unsigned from_min, to_min; /* of the day, to 1440 */
    uint64_t rate;             /* bits a second; 0: no limit */
} tmb_schedule_entry;

typedef struct tmb_schedule {
    unsigned count;
    tmb_schedule_entry v[TMB_SCHEDULE_MAX];
} tmb_schedule;

/* tmb_schedule_rate gives bits a second, 0 for no limit. day: 0 is Monday; minute: of the day, local time. */
uint64_t tmb_schedule_rate(const tmb_schedule *schedule, uint64_t otherwise, unsigned day,
                           unsigned minute);

#ifdef __cplusplus
}
#endif
#endif
