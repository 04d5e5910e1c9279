// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * A file of guestmemfs in a session: which one it is, and that nothing is taken from
 * it before the session is finished. The memory comes over by itself.
 */

#define pr_fmt(fmt) "guestmemfs: " fmt

#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/init.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_back.h>
#include <linux/liveupdate_retry.h>
#include <linux/liveupdate_rule.h>
#include <linux/mount.h>

#include "guestmemfs.h"
#include "liveupdate_rules.h"

static bool guestmemfs_can_preserve(struct liveupdate_file_handler *handler,
				    struct file *file)
{
	return guestmemfs_file(file);
}

static void set_pins(struct inode *inode, u32 pins)
{
	lockdep_assert_held(&guestmemfs.lock);
	guestmemfs_image_set_pins(&guestmemfs.image, index_of(inode), pins);
	info_of(inode)->pins += pins ? 1 : -1;
}

static int check_not_bad(struct file *file)
{
	pgoff_t bad = READ_ONCE(info_of(file_inode(file))->bad);

	return liveupdate_require(!bad, &rule_guestmemfs_bad,
				  "file %pD of guestmemfs, at %#llx in it", file,
				  (u64)(bad - 1) << PAGE_SHIFT);
}

static int guestmemfs_preserve(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	int err;

	/* Where KHO was not told may_be_lost would allow a jump under the device. */
	if (!guestmemfs.handed)
		return -EOPNOTSUPP;
	err = check_not_bad(args->file);
	if (err)
		return err;
	guard(mutex)(&guestmemfs.lock);
	/* The session that it came with is not finished, or its devices were left to themselves. */
	if (image_of(inode)->pins)
		return -EBUSY;
	set_pins(inode, GUESTMEMFS_PIN_OUT);
	args->serialized_data = image_of(inode)->id << 2;
	if (args->file->f_mode & FMODE_READ)
		args->serialized_data |= 1;
	if (args->file->f_mode & FMODE_WRITE)
		args->serialized_data |= 2;
	return 0;
}

static void guestmemfs_unpreserve(struct liveupdate_file_op_args *args)
{
	guard(mutex)(&guestmemfs.lock);
	set_pins(file_inode(args->file), 0);
}

/*
 * The image is used in place: the next kernel writes to it whom files belong to, and one that is
 * gone back to would find that.
 */
static int guestmemfs_freeze(struct liveupdate_file_op_args *args)
{
	return liveupdate_require(!luo_back_parked(), &rule_guestmemfs_no_way_back,
				  "file %pD of guestmemfs", args->file) ?:
	       check_not_bad(args->file);
}

/* The file with an id, if the previous kernel has preserved it. */
static int find_preserved(u64 id, u32 *index)
{
	struct guestmemfs_image *image = &guestmemfs.image;
	u32 i;

	lockdep_assert_held(&guestmemfs.lock);
	for (i = 0; image->state && id && i < image->state->used_inodes; i++) {
		if (image->inodes[i].id != id)
			continue;
		if (image->inodes[i].pins != GUESTMEMFS_PIN_IN || test_bit(i, guestmemfs.refused))
			break;
		*index = i;
		return 0;
	}
	return -ENOENT;
}

static int guestmemfs_retrieve(struct liveupdate_file_op_args *args)
{
	static const int flags[] = { -1, O_RDONLY, O_WRONLY, O_RDWR };
	u64 id = args->serialized_data >> 2;
	int mode = flags[args->serialized_data & 3];
	struct inode *inode;
	struct file *file;
	struct path path;
	u32 index;
	int err;

	if (mode < 0) {
		pr_err("file %llu cannot be retrieved: it was open without access\n", id);
		return -EINVAL;
	}
	scoped_guard(mutex, &guestmemfs.lock) {
		err = find_preserved(id, &index);
		inode = err ? ERR_PTR(err) : guestmemfs_iget(index);
	}
	if (IS_ERR(inode)) {
		args->retry = PTR_ERR(inode) == -ENOMEM;
		pr_err("file %llu cannot be retrieved: %pe\n", id, inode);
		return PTR_ERR(inode);
	}
	path.mnt = guestmemfs.mnt;
	path.dentry = d_obtain_alias(inode);
	if (IS_ERR(path.dentry)) {
		args->retry = true;
		return PTR_ERR(path.dentry);
	}
	file = dentry_open(&path, mode | O_LARGEFILE, current_cred());
	dput(path.dentry);
	if (IS_ERR(file)) {
		/* EROFS: somebody has mounted it for reading only. */
		args->retry = liveupdate_transient(PTR_ERR(file)) || PTR_ERR(file) == -EROFS;
		return PTR_ERR(file);
	}
	args->file = file;
	return 0;
}

/* No device can reach it any more; what nobody has, and nobody can find, goes. */
static void guestmemfs_finish(struct liveupdate_file_op_args *args)
{
	struct guestmemfs_image *image = &guestmemfs.image;
	struct inode *inode;
	u32 index;

	mutex_lock(&guestmemfs.lock);
	if (find_preserved(args->serialized_data >> 2, &index)) {
		mutex_unlock(&guestmemfs.lock);
		return;
	}
	inode = ilookup(guestmemfs.mnt->mnt_sb, index + 1);
	if (inode) {
		set_pins(inode, 0);
	} else {
		guestmemfs_image_set_pins(image, index, 0);
		if (!image->inodes[index].name_len)
			guestmemfs_image_remove(image, index);
	}
	mutex_unlock(&guestmemfs.lock);
	iput(inode);
}

/* It is in one session at most, however often it is open. */
static unsigned long guestmemfs_get_id(struct file *file)
{
	return (unsigned long)file_inode(file);
}

static const struct liveupdate_file_ops guestmemfs_liveupdate_ops = {
	.can_preserve	= guestmemfs_can_preserve,
	.preserve	= guestmemfs_preserve,
	.unpreserve	= guestmemfs_unpreserve,
	.freeze		= guestmemfs_freeze,
	.retrieve	= guestmemfs_retrieve,
	.finish		= guestmemfs_finish,
	.get_id		= guestmemfs_get_id,
	.owner		= THIS_MODULE,
};

static struct liveupdate_file_handler handler = {
	.ops = &guestmemfs_liveupdate_ops,
	.compatible = GUESTMEMFS_FH_COMPATIBLE,
};

static int __init guestmemfs_liveupdate_init(void)
{
	int err;

	if (!guestmemfs.mnt || !liveupdate_enabled())
		return 0;
	err = liveupdate_register_file_handler(&handler);
	if (err)
		pr_err("its files cannot be preserved: %pe\n", ERR_PTR(err));
	return err;
}
late_initcall(guestmemfs_liveupdate_init);
