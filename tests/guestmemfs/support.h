/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the image have in common. */
#ifndef GUESTMEMFS_SUPPORT_H
#define GUESTMEMFS_SUPPORT_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/bitmap.h>
#include <linux/compiler.h>
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "../../kernel/src/fs/guestmemfs/image.h"

#define UNIT		(1ull << GUESTMEMFS_UNIT_SHIFT)
#define PHYS		0x7000ull

#define die(...)	(printf(__VA_ARGS__), putchar('\n'), exit(1))
#define must(...)	((__VA_ARGS__) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #__VA_ARGS__))

/**
 * struct stores - What is done with the stores to an image
 * @mem: The image; a store elsewhere, or one that is not of a whole word, ends the test.
 * @bytes: Its length.
 * @shadow: Where each store is made once more, or NULL.
 * @nr: How many there were.
 * @stop_at: The store before which shim_store() jumps to @stop; ULONG_MAX for none.
 * @stop: Where to.
 */
struct stores {
	u8 *mem;
	u64 bytes;
	u8 *shadow;
	unsigned long nr;
	unsigned long stop_at;
	jmp_buf stop;
};

extern struct stores stores;
extern u64 held;		/* units that devices write to; see bits_of() */
extern long allocs_left;	/* fail all after so many; negative: none fails */

unsigned int forget_allocs(void);

void *new_memory(u64 bytes);
u64 units_in(const struct guestmemfs_range *range, u32 nr);
void make(struct guestmemfs_image *image, const struct guestmemfs_range *range, u32 nr);
u32 layout_crc(const struct guestmemfs_layout *layout);
void repair(struct guestmemfs_image *image);
u32 create(struct guestmemfs_image *image, u32 parent, const char *name, u32 mode);
int zero_nothing(void *arg, u32 start, u32 units);
u64 bits_of(const struct guestmemfs_image *image, u32 inode);
int zero_unheld(void *arg, u32 start, u32 units);
void say_nothing(void *arg, u32 inode, const char *why);
void dump(const struct guestmemfs_image *image, char *out, size_t size);
const char *untidy(const struct guestmemfs_image *image);

#endif
