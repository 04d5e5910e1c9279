// SPDX-License-Identifier: GPL-2.0-only
#include "core/pattern.h"

/*
 * The left channel takes each of the 65536 values once in a period, so that every sample says
 * where it belongs; the two channels are never silent together.
 */
void pattern_fill(uint16_t pcm[2 * PATTERN_FRAMES])
{
	for (uint32_t i = 0; i < PATTERN_FRAMES; i++) {
		uint16_t left = i * 40503u + 12345u;

		pcm[2 * i] = left;
		pcm[2 * i + 1] = left ^ 0xa5c3u;
	}
}
