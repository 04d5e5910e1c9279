/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_CRASH_DUMP_H
#define RIG_SCENARIOS_CRASH_DUMP_H

/*
 * In a crash kernel: says "dumped" for each piece of the crashed kernel's memory that a dump would have, with
 * its physical address and its length in bytes, and "dump" with their number.
 */
void crash_dump_memory(void);

#endif
