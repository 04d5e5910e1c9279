// SPDX-License-Identifier: GPL-2.0-only
#include "stream.h"

#define MAGIC		0x5145564du	/* "QEVM" */
#define VERSION		3
#define END		0
#define DESCRIPTION	6

/* Messages on the way back: type and length in 16 bits each, and so many bytes. */
enum { WORD_SHUT = 1, WORD_PONG = 2 };

static uint32_t number(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

bool stream_whole(const uint8_t *bytes, size_t size)
{
	if (size < 16 || number(bytes) != MAGIC || number(bytes + 4) != VERSION ||
	    bytes[size - 1] != '}')
		return false;
	/* The description begins behind a 0, a 6, and the number of bytes from there to the end. */
	for (size_t at = size - 2; at >= 14; at--)
		if (bytes[at] == '{' && bytes[at - 6] == END && bytes[at - 5] == DESCRIPTION &&
		    number(bytes + at - 4) == size - at)
			return true;
	return false;
}

enum stream_word stream_hear(const uint8_t *bytes, size_t size, size_t *used)
{
	*used = 0;
	while (size - *used >= 4) {
		const uint8_t *at = bytes + *used;
		unsigned int type = at[0] << 8 | at[1], length = at[2] << 8 | at[3];

		if (length != 4 || (type != WORD_SHUT && type != WORD_PONG))
			return STREAM_UNKNOWN;
		if (size - *used < 8)
			return STREAM_MORE;
		*used += 8;
		if (type == WORD_SHUT)
			return number(at + 4) ? STREAM_FAILED : STREAM_DONE;
	}
	return STREAM_MORE;
}
