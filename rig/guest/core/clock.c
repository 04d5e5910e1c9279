// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>
#include <time.h>

#include "core/clock.h"

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}
