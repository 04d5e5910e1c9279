/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/types.h>

u32 crc32_le(u32 crc, const u8 *p, size_t len);
