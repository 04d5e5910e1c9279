/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that a test can refuse, and free for a function that never returned. */
#ifndef SHIM_SLAB_H
#define SHIM_SLAB_H

#include <stddef.h>

#define GFP_KERNEL	0

void *shim_alloc(size_t n, size_t size);
void shim_free(const void *mem);

#define kvmalloc_array(n, size, gfp)	shim_alloc(n, size)
#define kvcalloc(n, size, gfp)		shim_alloc(n, size)
#define kvfree(mem)			shim_free(mem)

#endif
