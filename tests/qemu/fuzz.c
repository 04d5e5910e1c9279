// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: whatever QEMU or an earlier broker has written, it is read within its
 * bounds, or refused with a reason. The first byte says what it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "input.h"
#include "map.h"
#include "state.h"
#include "stream.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* Descriptors came where a QEMU sends them with: at each blank. What is taken can be written again. */
static void fuzz_channel(const struct channel_format *format, const uint8_t *bytes, size_t size)
{
	static struct channel c;
	static struct input in;
	static uint32_t carried[CHANNEL_FDS];
	struct channel_why why;
	unsigned int nr = 0;

	for (size_t i = 0; i < size && nr < CHANNEL_FDS; i++)
		if (bytes[i] == ' ' && i + 1 < size && bytes[i + 1] <= 1)
			carried[nr++] = i;
	if (channel_parse(format, bytes, size, carried, nr, &c, &why)) {
		if (!*why.text)
			abort();
		return;
	}
	input_channel(format, &c, &in);
	if (in.size != size || memcmp(in.bytes, bytes, size) || in.nr != nr)
		abort();
}

static void fuzz_map(const uint8_t *bytes, size_t size)
{
	static struct map_piece piece[MAP_PIECES];
	char *text = malloc(size + 1), why[200] = "";
	int n;

	memcpy(text, bytes, size);
	text[size] = 0;
	n = map_read(text, piece, why, sizeof(why));
	if (n < 0 && !*why)
		abort();
	for (int i = 0; i < n; i++)
		if (piece[i].last < piece[i].first || (piece[i].first & 4095) || (~piece[i].last & 4095) ||
		    (i && piece[i].first <= piece[i - 1].last) || !memchr(piece[i].name, 0, MAP_NAME))
			abort();
	free(text);
}

/* With a sum that fits, or nothing would ever be looked at. */
static void fuzz_state(const uint8_t *bytes, size_t size)
{
	size_t whole = state_size(4096);
	uint8_t *at = calloc(1, whole);
	struct state_head *h = (struct state_head *)at;
	struct state_view view;
	char why[200] = "";

	memcpy(at, bytes, size < whole ? size : whole);
	h->size = whole;
	state_seal(at);
	if (state_read(at, whole, &view, why, sizeof(why))) {
		if (!*why)
			abort();
	} else {
		for (int i = 0; i < STATE_PARTS; i++)
			if ((const uint8_t *)view.part[i] < at + STATE_HEAD ||
			    (const uint8_t *)view.part[i] + view.length[i] > at + whole)
				abort();
	}
	free(at);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	uint8_t *copy;
	size_t used;

	if (!size)
		return 0;
	/* Of just that size, so that what is read behind its end is found. */
	copy = malloc(size > 1 ? size - 1 : 1);
	memcpy(copy, data + 1, size - 1);
	switch (data[0]) {
	case 0:
		fuzz_channel(channel_format(10, 2), copy, size - 1);
		break;
	case 1:
		fuzz_channel(channel_format(11, 1), copy, size - 1);
		break;
	case 2:
		fuzz_map(copy, size - 1);
		break;
	case 3:
		stream_whole(copy, size - 1);
		break;
	case 4:
		stream_hear(copy, size - 1, &used);
		if (used > size - 1)
			abort();
		break;
	case 5:
		fuzz_state(copy, size - 1);
		break;
	}
	free(copy);
	return 0;
}
