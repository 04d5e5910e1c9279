// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print the frequency of the TSC in kHz, by the kernel's unslewed clock. Both are read one
 * right after the other, and again if something came in between.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define SPAN_NS		500000000ull
#define TRIES		1000

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Of several readings the one that took least. */
static uint64_t read_both(uint64_t *tsc)
{
	uint64_t least = UINT64_MAX, ns = 0;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), now = now_ns(), after = __rdtsc();

		if (after - before < least) {
			least = after - before;
			*tsc = before + least / 2;
			ns = now;
		}
	}
	return ns;
}

int main(void)
{
	const struct timespec span = { .tv_nsec = SPAN_NS };
	uint64_t tsc[2], ns[2];

	ns[0] = read_both(&tsc[0]);
	nanosleep(&span, NULL);
	ns[1] = read_both(&tsc[1]);
	printf("%llu\n", (unsigned long long)((tsc[1] - tsc[0]) * 1000000 / (ns[1] - ns[0])));
	return 0;
}
