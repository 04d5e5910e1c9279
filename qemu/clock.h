/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's wall clock, after its virtual CPUs have stood still. Its monotonic clock goes on where it
 * stopped, which is right, and so does its wall clock, which is wrong then: it is behind by as long as
 * that was, until something in the guest sets it.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#include "args.h"

/* This host's wall clock, in ms. */
int64_t clock_now_ms(void);

/*
 * Has the guest's agent (qemu-ga) set its clock by this host's, if QEMU's arguments have a socket of one that
 * answers within @patience_us; else it is said how far it is behind. @stopped_ms: when the virtual CPUs
 * stopped. A process of its own does that, so that nobody waits for it.
 */
void clock_mend(const struct args *line, int64_t stopped_ms, uint64_t patience_us);

#endif
