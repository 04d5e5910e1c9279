// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "end.h"
#include "memory.h"

#define BYTES	(8u << 20)
#define WORDS	(BYTES / sizeof(uint32_t))

static uint32_t *memory;

/* No page is like another one. */
static uint32_t next(uint32_t x)
{
	return x * 1664525 + 1013904223;
}

void memory_fill(void)
{
	uint32_t x = 1;

	memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("%u MiB of memory: %m", BYTES >> 20);
	for (size_t i = 0; i < WORDS; i++)
		memory[i] = x = next(x);
}

void memory_check(void)
{
	size_t bad = 0, first = 0;
	uint32_t x = 1;

	for (size_t i = 0; i < WORDS; i++) {
		x = next(x);
		if (memory[i] == x)
			continue;
		if (!bad++)
			first = i;
	}
	if (bad)
		die("%zu of %zu words of memory have changed, first word %zu", bad, WORDS, first);
	say("%u MiB of memory are as they were filled", BYTES >> 20);
}
