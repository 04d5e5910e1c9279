/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _FS_GUESTMEMFS_H
#define _FS_GUESTMEMFS_H

#include <linux/bits.h>
#include <linux/fs.h>
#include <linux/guestmemfs.h>
#include <linux/io.h>
#include <linux/mutex.h>

#include "image.h"

#define GUESTMEMFS_MAGIC	0x67736d66

#define UNIT_SIZE		BIT(GUESTMEMFS_UNIT_SHIFT)

/**
 * struct guestmemfs - The file system; there is one
 * @image:   All that is kept of it; @lock is held to change it.
 * @refused: One bit for each inode that failed the checks.
 * @growing: Held by the file that is being given memory; taken before @lock, which
 *           is given up meanwhile. So what was free for it stays free.
 * @lock:    Protects the image, and the pins of the inodes.
 * @unusable: There is an image, which is not @image, because it cannot be used.
 * @handed:  KHO was told of it, for the next kernel.
 * @mnt:     Our own mount, so that it is always there.
 */
struct guestmemfs {
	struct guestmemfs_image image;
	unsigned long *refused;
	struct mutex growing;	/* who grows */
	struct mutex lock;	/* the image */
	bool unusable;
	bool handed;
	struct vfsmount *mnt;
};

extern struct guestmemfs guestmemfs;

/**
 * struct guestmemfs_map - The memory of a file, for those who must not sleep
 * @rcu:   To free it.
 * @nr:    Number of entries of @piece.
 * @piece: By their place in the file; each begins where the one before ends.
 */
struct guestmemfs_map {
	struct rcu_head rcu;
	u32 nr;
	struct guestmemfs_piece piece[] __counted_by(nr);
};

/**
 * struct guestmemfs_inode_info - An inode that is in use
 * @map:   Its memory; replaced under the lock of the file system.
 * @pins:  How many have it pinned, those that preserved it among them.
 * @bad:   1 more than the page of it that was found bad first, or 0.
 * @watch: What mm was told of its memory, or NULL.
 * @inode: The VFS's.
 */
struct guestmemfs_inode_info {
	struct guestmemfs_map __rcu *map;
	unsigned long pins;
	pgoff_t bad;
	struct guestmemfs_watch *watch;
	struct inode inode;
};

static inline struct guestmemfs_inode_info *info_of(const struct inode *inode)
{
	return container_of(inode, struct guestmemfs_inode_info, inode);
}

/* Its index in the image. */
static inline u32 index_of(const struct inode *inode)
{
	return inode->i_ino - 1;
}

static inline struct guestmemfs_inode *image_of(const struct inode *inode)
{
	return &guestmemfs.image.inodes[index_of(inode)];
}

static inline void *unit_to_virt(u64 unit)
{
	return phys_to_virt(unit << GUESTMEMFS_UNIT_SHIFT);
}

/* bad.c */
void guestmemfs_watch(struct inode *inode);
void guestmemfs_unwatch(struct inode *inode);

/* boot.c */
void *guestmemfs_found(phys_addr_t *phys, u64 *bytes);

/* file.c */
extern const struct file_operations guestmemfs_file_ops;
extern const struct address_space_operations guestmemfs_aops;
int guestmemfs_load_map(struct inode *inode);
int guestmemfs_set_size(struct inode *inode, loff_t size);

/* super.c */
struct inode *guestmemfs_iget(u32 index);

#endif /* _FS_GUESTMEMFS_H */
