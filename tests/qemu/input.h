/* SPDX-License-Identifier: GPL-2.0-only */
/* A CPR channel as a QEMU writes it, made from the same descriptions that the parser has. */
#ifndef INPUT_H
#define INPUT_H

#include "channel.h"

/* What there is at a byte: a field of a record, or one of these. */
enum { INPUT_MAGIC = 100, INPUT_VERSION, INPUT_MORE, INPUT_LAST, INPUT_MARK, INPUT_SECTION, INPUT_SECTION_VERSION };

struct input {
	uint8_t bytes[CHANNEL_BYTES];
	size_t size;
	uint32_t carried[CHANNEL_FDS + 1];
	unsigned int nr;
	unsigned int marks;
	struct {
		int what;
		size_t at;
	} mark[8 * CHANNEL_FDS + 8];
};

void input_channel(const struct channel_format *format, const struct channel *c, struct input *in);
/* So many descriptors and devices, with names of their own. */
void input_example(struct channel *c, unsigned int fds, unsigned int devices);

#endif
