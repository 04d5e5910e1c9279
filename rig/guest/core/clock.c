// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>
#include <time.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "core/clock.h"

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

uint64_t cycle(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	uint64_t now;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r" (now));
	return now;
#endif
}
