// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* See include/linux/liveupdate_check.h for what may and may not be done here. */

#include <linux/export.h>
#include <linux/liveupdate_check.h>
#include <linux/mm.h>

/**
 * liveupdate_check_sized() - Get a structure of variable length
 * @mem: How to get at memory.
 * @pa: Physical address of the structure.
 * @size: On success, the number of bytes of memory it is in.
 *
 * Return: the structure, or NULL if no memory was preserved from @pa on.
 */
const void *liveupdate_check_sized(struct liveupdate_mem *mem, u64 pa,
				   size_t *size)
{
	unsigned int order;
	const void *p;

	for (order = 0; order <= LIVEUPDATE_CHECK_MAX_ORDER; order++) {
		p = mem->get(mem, pa, order);
		if (p) {
			*size = PAGE_SIZE << order;
			return p;
		}
	}
	return NULL;
}
EXPORT_SYMBOL_GPL(liveupdate_check_sized);
