/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_STRING_H
#define SHIM_STRING_H

#include <linux/types.h>
#include <string.h>

static inline const void *memchr_inv(const void *from, int c, size_t len)
{
	const u8 *p = from;

	for (; len; len--, p++)
		if (*p != (u8)c)
			return p;
	return NULL;
}

#endif
