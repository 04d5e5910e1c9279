// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include <linux/mm.h>

#include "input.h"

static void byte(struct input *in, u8 value)
{
	if (in->len < sizeof(in->bytes))
		in->bytes[in->len++] = value;
}

void input_drop(struct input *in, enum page_name page)
{
	byte(in, INPUT_DROP);
	byte(in, page);
}

static void place(struct input *in, enum page_name page, u32 offset, u8 flags)
{
	byte(in, flags);
	byte(in, page);
	byte(in, offset);
	byte(in, offset >> 8);
}

void input_put(struct input *in, enum page_name page, u32 offset,
	       unsigned int len, u64 value)
{
	if (len == 8) {
		for (unsigned int i = 0; i < P_NR; i++) {
			if (value - PAGE_PA(i) >= 0x10000)
				continue;
			place(in, page, offset, INPUT_ADDRESS);
			byte(in, i);
			byte(in, value - PAGE_PA(i));
			byte(in, (value - PAGE_PA(i)) >> 8);
			return;
		}
		place(in, page, offset, INPUT_WIDE);
		for (unsigned int i = 0; i < 8; i++)
			byte(in, value >> 8 * i);
		return;
	}
	for (unsigned int i = 0; i < len; i++) {
		place(in, page, offset + i, 0);
		byte(in, value >> 8 * i);
	}
}

void input_apply(const u8 *bytes, size_t len)
{
	const u8 *end = bytes + len;

	while (end - bytes >= 2) {
		u8 head = *bytes++;
		enum page_name page = *bytes++;
		u64 value = 0;
		u32 offset;

		if (page >= P_NR)
			continue;
		if (head & INPUT_DROP) {
			image_drop(page);
			continue;
		}
		if (end - bytes < 3)
			return;
		offset = bytes[0] | bytes[1] << 8;
		bytes += 2;
		if (head & INPUT_ADDRESS) {
			if (end - bytes < 3)
				return;
			value = PAGE_PA(bytes[0] % P_NR) + bytes[1] + (bytes[2] << 8);
			bytes += 3;
			image_put(page, offset, 8, value);
		} else if (head & INPUT_WIDE) {
			if (end - bytes < 8)
				return;
			memcpy(&value, bytes, 8);
			bytes += 8;
			image_put(page, offset, 8, value);
		} else {
			image_put(page, offset, 1, *bytes++);
		}
	}
}
