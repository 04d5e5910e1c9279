/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
/* The image of guestmemfs: what is done to it, with no other state of the kernel */
#ifndef _FS_GUESTMEMFS_IMAGE_H
#define _FS_GUESTMEMFS_IMAGE_H

#include <linux/kho/abi/guestmemfs.h>
#include <linux/limits.h>
#include <linux/types.h>

/* In the place of an inode: it is not known whose it is. */
#define GUESTMEMFS_NOBODY	U32_MAX

/**
 * struct guestmemfs_image - An image in memory
 * @layout:  What memory there is; the copy that is right.
 * @state:   What is used.
 * @inodes:  Files and directories.
 * @extents: Their memory.
 * @damaged: Something was refused, or nothing was checked yet: it is not known which
 *	     memory devices write to, and none is given out.
 */
struct guestmemfs_image {
	const struct guestmemfs_layout *layout;
	struct guestmemfs_state *state;
	struct guestmemfs_inode *inodes;
	struct guestmemfs_extent *extents;
	bool damaged;
};

/**
 * struct guestmemfs_piece - Memory of a file, without a gap
 * @at:    Where in the file, in units.
 * @start: Physical address, in units.
 * @units: Its length.
 */
struct guestmemfs_piece {
	u32 at;
	u32 start;
	u32 units;
};

/**
 * struct guestmemfs_attr - What is changed of an inode at once
 * @mode:  S_IFREG or S_IFDIR, and the permissions.
 * @uid:   The owner.
 * @gid:   Its group.
 * @mtime: In ns since 1970.
 * @ctime: In ns since 1970.
 */
struct guestmemfs_attr {
	u32 mode;
	u32 uid;
	u32 gid;
	s64 mtime;
	s64 ctime;
};

u64 guestmemfs_image_bytes(u64 units);
void guestmemfs_image_make(struct guestmemfs_image *image, void *mem, u64 phys,
			   const struct guestmemfs_range *range, u32 nr_ranges,
			   s64 now);
const char *guestmemfs_image_open(struct guestmemfs_image *image, void *mem,
				  u64 phys, u64 bytes);
const char *guestmemfs_layout_check(const struct guestmemfs_layout *layout,
				    u64 phys, u64 bytes);
int guestmemfs_image_check(struct guestmemfs_image *image,
			   unsigned long *refused,
			   void (*say)(void *arg, u32 inode, const char *why),
			   void *arg);

int guestmemfs_image_lookup(const struct guestmemfs_image *image, u32 parent,
			    const char *name, u32 len, u32 *inode);
bool guestmemfs_image_next(const struct guestmemfs_image *image, u32 parent,
			   u32 *inode);
int guestmemfs_image_create(struct guestmemfs_image *image, u32 parent,
			    const char *name, u32 len,
			    const struct guestmemfs_attr *attr, u32 *inode);
void guestmemfs_image_orphan(struct guestmemfs_image *image, u32 inode);
void guestmemfs_image_remove(struct guestmemfs_image *image, u32 inode);
void guestmemfs_image_rename(struct guestmemfs_image *image, u32 inode,
			     u32 parent, const char *name, u32 len,
			     const u32 *replaced, s64 now);
void guestmemfs_image_setattr(struct guestmemfs_image *image, u32 inode,
			      const struct guestmemfs_attr *attr);
void guestmemfs_image_set_limit(struct guestmemfs_image *image, u32 inode,
				u64 limit);
void guestmemfs_image_set_pins(struct guestmemfs_image *image, u32 inode,
			       u32 pins);
int guestmemfs_image_grow(struct guestmemfs_image *image, u32 inode, u64 size,
			  u32 nid, int (*zero)(void *arg, u32 start, u32 units),
			  void *arg);
void guestmemfs_image_shrink(struct guestmemfs_image *image, u32 inode, u64 size);
int guestmemfs_image_pieces(const struct guestmemfs_image *image, u32 inode,
			    struct guestmemfs_piece *piece, u32 nr);
int guestmemfs_image_fits(const struct guestmemfs_image *image, u32 inode,
			  u32 parent);
u64 guestmemfs_image_units(const struct guestmemfs_image *image);
u64 guestmemfs_image_used(const struct guestmemfs_image *image, u32 directory);

#endif /* _FS_GUESTMEMFS_IMAGE_H */
