/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RIG_SCENARIOS_BAD_MEMORY_H
#define RIG_SCENARIOS_BAD_MEMORY_H

#include <stdint.h>

/*
 * Where in the machine's memory is a place of the file? A multiple of 2 MiB, and there has to
 * be as much behind it. In guestmemfs: if it is the first file. It is not mapped afterwards.
 */
uint64_t bad_memory_where(int memfd, unsigned long offset);

/* A page of another process goes bad. */
void bad_memory_of_stranger(void);

/*
 * Has the kernel told that it is bad, as by a machine check: 0 or an errno. A child that has
 * asked to be told early (as QEMU does) has it mapped; *child: 0 if it was told where it has
 * that place.
 */
int bad_memory_told(int memfd, unsigned long offset, int *child);

/* How a process ends that was not told, and had nothing to fear. */
#define NOT_TOLD	4

/*
 * The same beside a process that has the block before it mapped, and as eager to be told; then processes that had nothing
 * mapped read both places. Says "among_others": errno, how each of them ended (0: SIGBUS for a memory error, with
 * the address of the place; 3: SIGBUS with that address for want of memory; NOT_TOLD), and how much memory the kernel
 * counts as bad, before and after.
 */
void bad_memory_among_others(int memfd, unsigned long offset);

#endif
