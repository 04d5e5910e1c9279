// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: guestmemfs
 *
 * A file system for the memory of VMs. guestmem=SIZE on the command line sets
 * memory apart before the host's allocator sees it (boot.c): it has no struct
 * page, nothing fragments it, and no shortage on the host reaches it. It is given
 * to files in units of 2 MiB, and of a GiB where it can be, and zeroed first. A
 * file has all its memory from the time on when it gets its size (ftruncate(2),
 * fallocate(2), a write behind the end): there are no holes, and nothing is
 * allocated in a page fault.
 *
 * It persists
 * ~~~~~~~~~~~
 *
 * Directories, names, owners and the places of the memory are in an image
 * (include/linux/kho/abi/guestmemfs.h) that lies in such memory, too, and that is
 * all there is: nothing is written at the jump. KHO says where it is. The next
 * kernel sets the same memory apart, checks the image, file by file, and goes on
 * with it. Each change takes effect with one store, so that a kernel that stops
 * anywhere leaves the state before it or the one after it. If a part of the image was
 * damaged the rest can be used, but no memory is given out in this kernel: nobody
 * knows whose it is.
 *
 * Where the files would not come along, the jump is refused (guestmemfs_kexec()).
 *
 * Who may take memory away
 * ~~~~~~~~~~~~~~~~~~~~~~~~
 *
 * What has a file pinned keeps it from becoming shorter or being removed (EBUSY):
 * iommufd as long as it is mapped, and a live update from the time on when it is
 * preserved until the session is finished in the next kernel. That pin is in the
 * image, so that it holds for whoever opens the file first. For memfds seals and a
 * frozen file do the same. Processes and KVM lose what they have mapped before
 * the file does. VFIO's own containers (type 1) are not told, and so refuse such
 * memory.
 *
 * Bad memory (bad.c) keeps a file from becoming shorter, from being removed and from being
 * preserved, too (EHWPOISON), as long as the kernel knows of it.
 *
 * A file that is removed while somebody has it open has no name any more (an
 * orphan). It keeps its memory, and counts for the limit of its directory, until the
 * last one has closed it, or, with a jump in between, until the next kernel looks at
 * the image.
 */

#define pr_fmt(fmt) "guestmemfs: " fmt

#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/fs_context.h>
#include <linux/init.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/liveupdate_formats.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/suspend.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <linux/xattr.h>

#include "../../kernel/kexec_internal.h"
#include "guestmemfs.h"

struct guestmemfs guestmemfs = {
	.growing = __MUTEX_INITIALIZER(guestmemfs.growing),
	.lock = __MUTEX_INITIALIZER(guestmemfs.lock),
};

static struct super_block *the_sb;

/*
 * A jump was allowed without a question because there are no files; until it is made, or
 * has failed, none is made. Protected by the lock of the file system.
 */
static bool leaving;

static const struct inode_operations guestmemfs_dir_iops;
static const struct inode_operations guestmemfs_file_iops;
static const struct file_operations guestmemfs_dir_ops;

static struct timespec64 time_of(s64 ns)
{
	return ns_to_timespec64(ns);
}

static s64 ns_of(struct timespec64 time)
{
	return timespec64_to_ns(&time);
}

/**
 * guestmemfs_iget() - The VFS's inode of one of the image
 * @index: Its index in the image; it is in use, and was not refused.
 *
 * Return: the inode, with a reference; -ENOMEM.
 */
struct inode *guestmemfs_iget(u32 index)
{
	const struct guestmemfs_inode *from = &guestmemfs.image.inodes[index];
	struct inode *inode = iget_locked(the_sb, index + 1);
	int err = 0;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (!(inode_state_read_once(inode) & I_NEW))
		return inode;
	inode->i_mode = from->mode;
	i_uid_write(inode, from->uid);
	i_gid_write(inode, from->gid);
	inode_set_mtime_to_ts(inode, time_of(from->mtime));
	inode_set_atime_to_ts(inode, time_of(from->mtime));
	inode_set_ctime_to_ts(inode, time_of(from->ctime));
	inode->i_mapping->a_ops = &guestmemfs_aops;
	info_of(inode)->pins = !!from->pins;
	/* Of directories: it is not known how many are in it. */
	set_nlink(inode, !index || from->name_len);
	if (S_ISDIR(inode->i_mode)) {
		inode->i_op = &guestmemfs_dir_iops;
		inode->i_fop = &guestmemfs_dir_ops;
	} else {
		inode->i_op = &guestmemfs_file_iops;
		inode->i_fop = &guestmemfs_file_ops;
		i_size_write(inode, from->size);
		inode->i_blocks = round_up(from->size, UNIT_SIZE) >> 9;
		err = guestmemfs_load_map(inode);
	}
	if (err) {
		iget_failed(inode);
		return ERR_PTR(err);
	}
	unlock_new_inode(inode);
	return inode;
}

/* What the VFS says of it, into the image. */
static void save_attr(struct inode *inode)
{
	struct guestmemfs_attr attr = {
		.mode = inode->i_mode,
		.uid = i_uid_read(inode),
		.gid = i_gid_read(inode),
		.mtime = ns_of(inode_get_mtime(inode)),
		.ctime = ns_of(inode_get_ctime(inode)),
	};

	lockdep_assert_held(&guestmemfs.lock);
	guestmemfs_image_setattr(&guestmemfs.image, index_of(inode), &attr);
}

static void dir_changed(struct inode *dir)
{
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
	save_attr(dir);
}

static struct dentry *guestmemfs_lookup(struct inode *dir, struct dentry *dentry,
					unsigned int flags)
{
	struct inode *inode = NULL;
	u32 index;

	if (dentry->d_name.len >= GUESTMEMFS_NAME)
		return ERR_PTR(-ENAMETOOLONG);
	scoped_guard(mutex, &guestmemfs.lock) {
		if (!guestmemfs_image_lookup(&guestmemfs.image, index_of(dir),
					     dentry->d_name.name, dentry->d_name.len,
					     &index))
			inode = test_bit(index, guestmemfs.refused) ?
				ERR_PTR(-EUCLEAN) : guestmemfs_iget(index);
	}
	return d_splice_alias(inode, dentry);
}

/* Whoever jumps holds the lock of kexec all the time. */
static bool is_leaving(void)
{
	lockdep_assert_held(&guestmemfs.lock);
	leaving = leaving && atomic_read(&__kexec_lock);
	return leaving;
}

static struct inode *create(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct guestmemfs_attr attr;
	struct timespec64 now;
	struct inode *inode;
	kuid_t uid = current_fsuid();
	kgid_t gid = current_fsgid();
	u32 index;
	int err;

	if (dir->i_mode & S_ISGID) {
		gid = dir->i_gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	ktime_get_coarse_real_ts64(&now);
	attr = (struct guestmemfs_attr) {
		.mode = mode,
		.uid = from_kuid(&init_user_ns, uid),
		.gid = from_kgid(&init_user_ns, gid),
		.mtime = ns_of(now),
		.ctime = ns_of(now),
	};
	guard(mutex)(&guestmemfs.lock);
	if (is_leaving())
		return ERR_PTR(-EBUSY);
	err = guestmemfs_image_create(&guestmemfs.image, index_of(dir),
				      dentry->d_name.name, dentry->d_name.len,
				      &attr, &index);
	if (err)
		return ERR_PTR(err);
	inode = guestmemfs_iget(index);
	if (IS_ERR(inode)) {
		guestmemfs_image_remove(&guestmemfs.image, index);
		return inode;
	}
	dir_changed(dir);
	return inode;
}

static int guestmemfs_create(struct mnt_idmap *idmap, struct inode *dir,
			     struct dentry *dentry, umode_t mode)
{
	struct inode *inode = create(dir, dentry, mode | S_IFREG);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	d_instantiate(dentry, inode);
	return 0;
}

static struct dentry *guestmemfs_mkdir(struct mnt_idmap *idmap, struct inode *dir,
				       struct dentry *dentry, umode_t mode)
{
	struct inode *inode = create(dir, dentry, mode | S_IFDIR);

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	d_instantiate(dentry, inode);
	return NULL;
}

static bool is_empty(struct inode *dir)
{
	u32 index = 0;

	return !guestmemfs_image_next(&guestmemfs.image, index_of(dir), &index);
}

/* May it go? */
static int check_removable(struct inode *inode)
{
	lockdep_assert_held(&guestmemfs.lock);
	if (S_ISDIR(inode->i_mode))
		return is_empty(inode) ? 0 : -ENOTEMPTY;
	if (info_of(inode)->pins)
		return -EBUSY;
	return READ_ONCE(info_of(inode)->bad) ? -EHWPOISON : 0;
}

static int guestmemfs_unlink(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	int err;

	guard(mutex)(&guestmemfs.lock);
	err = check_removable(inode);
	if (err)
		return err;
	guestmemfs_image_orphan(&guestmemfs.image, index_of(inode));
	clear_nlink(inode);
	inode_set_ctime_current(inode);
	dir_changed(dir);
	return 0;
}

static int guestmemfs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
			     struct dentry *old_dentry, struct inode *new_dir,
			     struct dentry *new_dentry, unsigned int flags)
{
	struct inode *inode = d_inode(old_dentry), *replaced = d_inode(new_dentry);
	u32 index = replaced ? index_of(replaced) : 0;
	struct timespec64 now;
	int err = 0;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	/* A file that is being given memory was judged by the limits of where it is. */
	err = mutex_lock_killable(&guestmemfs.growing);
	if (err)
		return err;
	mutex_lock(&guestmemfs.lock);
	if (replaced)
		err = check_removable(replaced);
	if (!err)
		err = guestmemfs_image_fits(&guestmemfs.image, index_of(inode),
					    index_of(new_dir));
	if (err)
		goto unlock;
	now = inode_set_ctime_current(inode);
	guestmemfs_image_rename(&guestmemfs.image, index_of(inode), index_of(new_dir),
				new_dentry->d_name.name, new_dentry->d_name.len,
				replaced ? &index : NULL, ns_of(now));
	if (replaced)
		clear_nlink(replaced);
	dir_changed(old_dir);
	dir_changed(new_dir);
unlock:
	mutex_unlock(&guestmemfs.lock);
	mutex_unlock(&guestmemfs.growing);
	return err;
}

static int guestmemfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			      struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (!err && attr->ia_valid & ATTR_SIZE) {
		err = guestmemfs_set_size(inode, attr->ia_size);
		if (!err)
			inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	}
	if (err)
		return err;
	setattr_copy(idmap, inode, attr);
	guard(mutex)(&guestmemfs.lock);
	save_attr(inode);
	return 0;
}

/* Nobody has to write an inode: its change is in the image at once. */
static int guestmemfs_update_time(struct inode *inode, enum fs_update_time type,
				  unsigned int flags)
{
	int err;

	if (flags & IOCB_NOWAIT)
		return -EAGAIN;
	err = inode_update_time(inode, type, flags);
	if (err <= 0)
		return err;
	guard(mutex)(&guestmemfs.lock);
	save_attr(inode);
	return 0;
}

static int guestmemfs_readdir(struct file *file, struct dir_context *ctx)
{
	struct guestmemfs_inode inode;
	u32 index;

	if (!dir_emit_dots(file, ctx))
		return 0;
	/* The root is in no directory. */
	index = ctx->pos - 2;
	for (;;) {
		/* Not while something is copied to the process, who may make that last. */
		scoped_guard(mutex, &guestmemfs.lock) {
			do {
				if (!guestmemfs_image_next(&guestmemfs.image,
							   index_of(file_inode(file)), &index))
					return 0;
			} while (test_bit(index, guestmemfs.refused));
			inode = guestmemfs.image.inodes[index];
		}
		ctx->pos = index + 1;
		if (!dir_emit(ctx, inode.name, inode.name_len, index + 1,
			      fs_umode_to_dtype(inode.mode)))
			return 0;
		ctx->pos = index + 2;
	}
}

/* --- the limit of a directory --- */

static bool is_limit(struct inode *inode)
{
	return S_ISDIR(inode->i_mode);
}

static bool limit_list(struct dentry *dentry)
{
	return is_limit(d_inode(dentry)) && image_of(d_inode(dentry))->limit;
}

static int limit_get(const struct xattr_handler *handler, struct dentry *dentry,
		     struct inode *inode, const char *name, void *buffer, size_t size)
{
	char text[24];
	int len;
	u64 limit;

	limit = is_limit(inode) ? READ_ONCE(image_of(inode)->limit) : 0;
	if (!limit)
		return -ENODATA;
	len = scnprintf(text, sizeof(text), "%llu", limit);
	if (!buffer)
		return len;
	if (size < len)
		return -ERANGE;
	memcpy(buffer, text, len);
	return len;
}

static int limit_set(const struct xattr_handler *handler, struct mnt_idmap *idmap,
		     struct dentry *dentry, struct inode *inode, const char *name,
		     const void *buffer, size_t size, int flags)
{
	char text[24], *end;
	u64 limit = 0;

	if (!is_limit(inode))
		return -ENOTDIR;
	if (buffer) {
		if (size >= sizeof(text))
			return -EINVAL;
		memcpy(text, buffer, size);
		text[size] = 0;
		limit = memparse(text, &end);
		if (end == text || *end || !limit)
			return -EINVAL;
	}
	guard(mutex)(&guestmemfs.lock);
	if (image_of(inode)->limit ? flags & XATTR_CREATE : flags & XATTR_REPLACE)
		return image_of(inode)->limit ? -EEXIST : -ENODATA;
	if (!buffer && !image_of(inode)->limit)
		return -ENODATA;
	guestmemfs_image_set_limit(&guestmemfs.image, index_of(inode), limit);
	return 0;
}

static const struct xattr_handler limit_handler = {
	.name	= "trusted.guestmemfs.limit",
	.list	= limit_list,
	.get	= limit_get,
	.set	= limit_set,
};

static const struct xattr_handler * const guestmemfs_xattrs[] = {
	&limit_handler,
	NULL,
};

static const struct inode_operations guestmemfs_dir_iops = {
	.lookup		= guestmemfs_lookup,
	.create		= guestmemfs_create,
	.mkdir		= guestmemfs_mkdir,
	.unlink		= guestmemfs_unlink,
	.rmdir		= guestmemfs_unlink,
	.rename		= guestmemfs_rename,
	.setattr	= guestmemfs_setattr,
	.update_time	= guestmemfs_update_time,
	.listxattr	= generic_listxattr,
};

static const struct inode_operations guestmemfs_file_iops = {
	.setattr	= guestmemfs_setattr,
	.update_time	= guestmemfs_update_time,
};

static const struct file_operations guestmemfs_dir_ops = {
	.llseek		= generic_file_llseek,
	.read		= generic_read_dir,
	.iterate_shared	= guestmemfs_readdir,
	.fsync		= noop_fsync,
};

/* --- the file system as a whole --- */

static struct kmem_cache *inode_cache;

static struct inode *guestmemfs_alloc_inode(struct super_block *sb)
{
	struct guestmemfs_inode_info *info;

	info = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);
	if (!info)
		return NULL;
	RCU_INIT_POINTER(info->map, NULL);
	info->pins = 0;
	info->bad = 0;
	info->watch = NULL;
	return &info->inode;
}

static void guestmemfs_free_inode(struct inode *inode)
{
	kvfree(rcu_dereference_protected(info_of(inode)->map, true));
	kmem_cache_free(inode_cache, info_of(inode));
}

/* Nobody has it any more, nor a name for it. */
static void guestmemfs_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	guestmemfs_unwatch(inode);
	if (inode->i_nlink || is_bad_inode(inode))
		return;
	guard(mutex)(&guestmemfs.lock);
	/* Preserved by the previous kernel: the finish of the session removes it. */
	if (info_of(inode)->pins)
		return;
	guestmemfs_image_remove(&guestmemfs.image, index_of(inode));
}

static int guestmemfs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	u64 all = guestmemfs.image.layout->max_extents;
	const struct guestmemfs_inode *inodes = guestmemfs.image.inodes;
	u64 used, i, free;

	guard(mutex)(&guestmemfs.lock);
	used = guestmemfs_image_units(&guestmemfs.image);
	free = guestmemfs.image.layout->max_inodes;
	for (i = 0; i < guestmemfs.image.state->used_inodes; i++)
		free -= !!inodes[i].id;
	buf->f_type = GUESTMEMFS_MAGIC;
	buf->f_bsize = UNIT_SIZE;
	buf->f_blocks = all;
	buf->f_bfree = all - used;
	buf->f_bavail = all - used;
	buf->f_files = guestmemfs.image.layout->max_inodes;
	buf->f_ffree = free;
	buf->f_namelen = GUESTMEMFS_NAME - 1;
	return 0;
}

static const struct super_operations guestmemfs_super_ops = {
	.alloc_inode	= guestmemfs_alloc_inode,
	.free_inode	= guestmemfs_free_inode,
	.evict_inode	= guestmemfs_evict_inode,
	.statfs		= guestmemfs_statfs,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;

	sb->s_magic = GUESTMEMFS_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_op = &guestmemfs_super_ops;
	sb->s_xattr = guestmemfs_xattrs;
	sb->s_time_gran = 1;
	sb->s_iflags |= SB_I_NOEXEC | SB_I_NODEV;
	sb->s_flags |= SB_NOATIME;
	the_sb = sb;
	root = guestmemfs_iget(0);
	if (IS_ERR(root))
		return PTR_ERR(root);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int get_tree(struct fs_context *fc)
{
	if (guestmemfs.unusable)
		return invalf(fc, "guestmemfs: what has come over cannot be used; see the log");
	if (!guestmemfs.image.state)
		return invalf(fc, "guestmemfs: no memory was set apart; boot with guestmem=SIZE");
	return get_tree_single(fc, fill_super);
}

static const struct fs_context_operations guestmemfs_context_ops = {
	.get_tree	= get_tree,
};

static int init_fs_context(struct fs_context *fc)
{
	fc->ops = &guestmemfs_context_ops;
	return 0;
}

static struct file_system_type guestmemfs_type = {
	.name			= "guestmemfs",
	.init_fs_context	= init_fs_context,
	.kill_sb		= kill_anon_super,
};

static void init_once(void *info)
{
	inode_init_once(&((struct guestmemfs_inode_info *)info)->inode);
}

/* Does anything get lost if the image does? */
static bool has_files(void)
{
	u32 index = 0;

	if (guestmemfs.unusable)
		return true;
	return guestmemfs.image.state &&
	       (guestmemfs.image.damaged || guestmemfs_image_units(&guestmemfs.image) ||
		guestmemfs_image_next(&guestmemfs.image, 0, &index));
}

static bool may_be_lost;
module_param(may_be_lost, bool, 0644);
MODULE_PARM_DESC(may_be_lost, "jump into kernels that do not get the files, too");

/**
 * guestmemfs_kexec() - Does the loaded kernel get the files?
 *
 * Context: reboot(2), under the lock of kexec, before anything is taken down.
 * If there are none, none is made before the jump, or before it is known to have failed.
 *
 * Return: 0 if it does, if there are none, or if they may be lost; -ENOEXEC if not,
 * which the log explains.
 */
int guestmemfs_kexec(void)
{
	guard(mutex)(&guestmemfs.lock);
	leaving = !has_files();
	if (leaving || may_be_lost)
		return 0;
	if (!guestmemfs.handed) {
		pr_err("no jump: %s, so the next kernel does not get the files; remove them, or allow it by guestmemfs.may_be_lost=1\n",
		       kho_is_enabled() ? "KHO could not be told of them" :
					  "without kho=on nothing is handed over");
		return -ENOEXEC;
	}
	return luo_format_ask(KHO_FDT_COMPATIBLE) ?: luo_format_ask(GUESTMEMFS_COMPATIBLE);
}

/* Hibernation writes what has a struct page. */
static int before_hibernation(struct notifier_block *nb, unsigned long event, void *data)
{
	if (event != PM_HIBERNATION_PREPARE || !has_files())
		return NOTIFY_OK;
	pr_err("no hibernation: it does not save the files; remove them first\n");
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block pm_notifier = {
	.notifier_call = before_hibernation,
};

static void say_refused(void *arg, u32 index, const char *why)
{
	const struct guestmemfs_inode *inode = &guestmemfs.image.inodes[index];

	if (index == GUESTMEMFS_NOBODY) {
		pr_err("image damaged: %s\n", why);
		return;
	}
	pr_err("inode %u (\"%*pE\") refused: %s; its memory is kept\n", index + 1,
	       (int)min_t(u32, inode->name_len, GUESTMEMFS_NAME), inode->name, why);
}

/*
 * What was preserved for this kernel is to be retrieved in it. What the kernel before the
 * previous one has preserved, and nobody has retrieved, no device reaches any more: it was
 * not handed over again, and so was stopped at the jump. Orphans that nobody has open go.
 */
static void take_over(void)
{
	struct guestmemfs_image *image = &guestmemfs.image;
	u32 i, pins;

	for (i = 1; i < image->state->used_inodes; i++) {
		if (!image->inodes[i].id || test_bit(i, guestmemfs.refused))
			continue;
		pins = image->inodes[i].pins == GUESTMEMFS_PIN_OUT ? GUESTMEMFS_PIN_IN : 0;
		if (pins != image->inodes[i].pins)
			guestmemfs_image_set_pins(image, i, pins);
		if (!image->inodes[i].name_len && !pins)
			guestmemfs_image_remove(image, i);
	}
}

/* Use what the previous kernel has left, or boot.c has made. */
static int __init open_image(void)
{
	struct guestmemfs_image *image = &guestmemfs.image;
	const char *why;
	phys_addr_t phys;
	u64 bytes;
	void *mem;
	int err;

	mem = guestmemfs_found(&phys, &bytes);
	if (IS_ERR_OR_NULL(mem))
		return PTR_ERR_OR_ZERO(mem);
	why = guestmemfs_image_open(image, mem, phys, bytes);
	if (why) {
		pr_err("image at %pa refused: %s; the memory is kept\n", &phys, why);
		return -EUCLEAN;
	}
	guestmemfs.refused = bitmap_zalloc(image->layout->max_inodes, GFP_KERNEL);
	err = guestmemfs.refused ?
	      guestmemfs_image_check(image, guestmemfs.refused, say_refused, NULL) : -ENOMEM;
	if (err) {
		pr_err("image at %pa cannot be used: %pe; the memory is kept\n", &phys,
		       ERR_PTR(err));
		return err;
	}
	take_over();
	if (image->damaged)
		pr_err("no memory is given out in this kernel: it is not known which memory devices write to\n");
	return 0;
}

static int __init guestmemfs_init(void)
{
	int err;

	if (open_image()) {
		guestmemfs.image = (struct guestmemfs_image){};
		guestmemfs.unusable = true;
	}
	inode_cache = kmem_cache_create("guestmemfs_inode", sizeof(struct guestmemfs_inode_info),
					0, SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT, init_once);
	if (!inode_cache)
		return -ENOMEM;
	err = register_pm_notifier(&pm_notifier) ?: register_filesystem(&guestmemfs_type);
	if (err || !guestmemfs.image.state)
		return err;
	guestmemfs.mnt = kern_mount(&guestmemfs_type);
	if (IS_ERR(guestmemfs.mnt)) {
		err = PTR_ERR(guestmemfs.mnt);
		pr_err("cannot be mounted: %pe\n", guestmemfs.mnt);
		guestmemfs.mnt = NULL;
		return err;
	}
	return 0;
}
fs_initcall(guestmemfs_init);
