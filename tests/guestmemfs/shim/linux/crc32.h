/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_CRC32_H
#define SHIM_CRC32_H

#include <linux/types.h>

static inline u32 crc32_le(u32 crc, const u8 *p, size_t len)
{
	int bit;

	for (; len; len--)
		for (crc ^= *p++, bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	return crc;
}

#endif
