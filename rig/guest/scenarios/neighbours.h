/* SPDX-License-Identifier: GPL-2.0-only */
/* Two VMs that do the same at once, in place of rig_start(). */
#ifndef RIG_SCENARIOS_NEIGHBOURS_H
#define RIG_SCENARIOS_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>

bool neighbours_wanted(void);
void neighbours_start(void);
/*
 * Says "waits": how long each call of the small VM took at most, while the large one,
 * with @tables tables and as many pages, was preserved, that was undone, and its HWPT
 * was replaced.
 */
void neighbours_measure(uint64_t tables);

#endif
