/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock of the guest. */
#ifndef RIG_CORE_CLOCK_H
#define RIG_CORE_CLOCK_H

#include <stdint.h>

/* Microseconds since it was booted. */
uint64_t now_us(void);
/* The counter of the processor, which goes on through the jump. */
uint64_t cycle(void);

#endif
