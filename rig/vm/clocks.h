/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM's clocks. A thread on each virtual CPU reads all of them, one thread at a time:
 * whichever CPU reads next must not read less.
 */
#ifndef RIG_VM_CLOCKS_H
#define RIG_VM_CLOCKS_H

#include <stdint.h>

struct clocks {
	uint64_t mono_ns, real_ns, tsc;
};

struct clocks clocks_now(void);
/* Starts a thread on each CPU; returns how many there are. */
unsigned int clocks_watch(void);
/* How often a clock was seen to step back so far. */
uint64_t clocks_backwards(void);

#endif
