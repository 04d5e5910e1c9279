/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Damage as bytes, which is what a fuzzer makes up. Each damage begins with a
 * byte of the flags below, and the number of a page. Addresses
 * come as the number of the page that they are of, so that a fuzzer need not
 * guess them.
 */
#ifndef INPUT_H
#define INPUT_H

#include "image.h"

#define INPUT_DROP	0x80	/* it was not preserved: nothing follows */
/* Else two bytes of offset, and then */
#define INPUT_ADDRESS	0x40	/* a page number, and two bytes to add */
#define INPUT_WIDE	0x20	/* eight bytes; else one */

struct input {
	u8 bytes[2048];
	size_t len;
};

void input_drop(struct input *in, enum page_name page);
void input_put(struct input *in, enum page_name page, u32 offset,
	       unsigned int len, u64 value);
/* Damage the image as @bytes say; what makes no sense is left out. */
void input_apply(const u8 *bytes, size_t len);

#endif
