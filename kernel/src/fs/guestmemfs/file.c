// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/* The data of files: memory that is there as long as the file is, and has no struct page */

#define pr_fmt(fmt) "guestmemfs: " fmt

#include <linux/cleanup.h>
#include <linux/falloc.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "guestmemfs.h"

/* The memory at a place in the file, and how much follows it without a gap; 0: none. */
static phys_addr_t find(const struct inode *inode, u64 pos, u64 *len)
{
	const struct guestmemfs_map *map;
	u32 unit = pos >> GUESTMEMFS_UNIT_SHIFT;
	u32 low = 0, high;
	u64 into;

	*len = 0;
	guard(rcu)();
	map = rcu_dereference(info_of(inode)->map);
	/* The last piece that does not begin behind it. */
	for (high = map ? map->nr : 0; high - low > 1;) {
		u32 middle = low + (high - low) / 2;

		if (map->piece[middle].at <= unit)
			low = middle;
		else
			high = middle;
	}
	if (low == high || unit - map->piece[low].at >= map->piece[low].units)
		return 0;
	into = pos - ((u64)map->piece[low].at << GUESTMEMFS_UNIT_SHIFT);
	*len = ((u64)map->piece[low].units << GUESTMEMFS_UNIT_SHIFT) - into;
	return ((phys_addr_t)map->piece[low].start << GUESTMEMFS_UNIT_SHIFT) + into;
}

/**
 * guestmemfs_load_map() - Take over what the image says of a file's memory
 * @inode: The file; nobody else has it yet, or the lock of the file system is held.
 *
 * Return: 0; -ENOMEM.
 */
int guestmemfs_load_map(struct inode *inode)
{
	struct guestmemfs_inode_info *info = info_of(inode);
	struct guestmemfs_map *map, *old;
	int nr;

	nr = guestmemfs_image_pieces(&guestmemfs.image, index_of(inode), NULL, 0);
	if (nr < 0)
		return nr;
	map = kvmalloc_flex(*map, piece, nr);
	if (!map)
		return -ENOMEM;
	map->nr = nr;
	nr = guestmemfs_image_pieces(&guestmemfs.image, index_of(inode), map->piece, nr);
	if (nr < 0) {
		kvfree(map);
		return nr;
	}
	old = rcu_replace_pointer(info->map, map, true);
	guestmemfs_watch(inode);
	kvfree_rcu(old, rcu);
	return 0;
}

/* Of part of a file; it has memory there. */
static void zero_range(struct inode *inode, u64 pos, u64 end)
{
	phys_addr_t phys;
	u64 len;

	while (pos < end) {
		phys = find(inode, pos, &len);
		if (WARN_ON(!phys))
			return;
		len = min(len, end - pos);
		memset(phys_to_virt(phys), 0, len);
		pos += len;
	}
}

/*
 * Memory that is given to a file: nothing of another owner's is in it. This takes
 * long, and is nobody's yet: only others that grow have to wait.
 */
static int zero_units(void *arg, u32 start, u32 units)
{
	int err = 0;

	mutex_unlock(&guestmemfs.lock);
	for (; units && !err; start++, units--) {
		memset(unit_to_virt(start), 0, UNIT_SIZE);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	mutex_lock(&guestmemfs.lock);
	return err;
}

static int grow(struct inode *inode, loff_t size)
{
	u64 old = i_size_read(inode);
	int err;

	/* A process may have written to the rest of the last page. */
	zero_range(inode, old, PAGE_ALIGN(old));
	err = mutex_lock_killable(&guestmemfs.growing);
	if (err)
		return err;
	scoped_guard(mutex, &guestmemfs.lock) {
		err = guestmemfs_image_grow(&guestmemfs.image, index_of(inode), size,
					    numa_mem_id(), zero_units, NULL);
		if (!err) {
			err = guestmemfs_load_map(inode);
			if (err)
				guestmemfs_image_shrink(&guestmemfs.image,
							index_of(inode), old);
		}
		if (!err)
			i_size_write(inode, size);
	}
	mutex_unlock(&guestmemfs.growing);
	return err;
}

/* No page table has what goes when it goes, and no device. */
static int shrink(struct inode *inode, loff_t size)
{
	struct address_space *mapping = inode->i_mapping;
	loff_t old = i_size_read(inode);
	struct guestmemfs_map *map;
	int err = 0;

	filemap_invalidate_lock(mapping);
	mutex_lock(&guestmemfs.lock);
	if (info_of(inode)->pins) {
		err = -EBUSY;
		goto unlock;
	}
	if (READ_ONCE(info_of(inode)->bad)) {
		err = -EHWPOISON;
		goto unlock;
	}
	i_size_write(inode, size);
	unmap_mapping_range(mapping, round_up(size, PAGE_SIZE), 0, 1);
	/* And what a process may have written behind the end, in the last page. */
	zero_range(inode, size, min_t(u64, PAGE_ALIGN(old), round_up(size, UNIT_SIZE)));
	guestmemfs_image_shrink(&guestmemfs.image, index_of(inode), size);
	/*
	 * What is behind the end is not used, so that the old one does as well. But that
	 * memory may become another file's, which is then to hear of it if it goes bad.
	 */
	if (guestmemfs_load_map(inode)) {
		map = rcu_dereference_protected(info_of(inode)->map, true);
		pr_debug("inode %llu keeps a map of %u pieces\n", (u64)inode->i_ino, map->nr);
		guestmemfs_unwatch(inode);
	}
unlock:
	mutex_unlock(&guestmemfs.lock);
	filemap_invalidate_unlock(mapping);
	return err;
}

/**
 * guestmemfs_set_size() - Make a file longer or shorter
 * @inode: The file; its i_rwsem is held for write.
 * @size:  In bytes. Memory that is added is zero.
 *
 * Return: 0; -EBUSY: it would become shorter, and is pinned; -EHWPOISON: it would become
 * shorter, and memory of it is bad; -ENOSPC; -EDQUOT: the
 * limit of a directory that it is in; -EUCLEAN: something was refused, and no memory is
 * given out; -EFBIG; -ENOMEM; -EINTR: a fatal signal.
 */
int guestmemfs_set_size(struct inode *inode, loff_t size)
{
	loff_t old = i_size_read(inode);
	int err = 0;

	if (size > old)
		err = grow(inode, size);
	else if (size < old)
		err = shrink(inode, size);
	inode->i_blocks = round_up(i_size_read(inode), UNIT_SIZE) >> 9;
	return err;
}

static ssize_t copy(struct inode *inode, u64 pos, u64 end, struct iov_iter *iter,
		    bool to_file)
{
	phys_addr_t phys;
	size_t n, done = 0;
	u64 len;

	while (pos < end && iov_iter_count(iter)) {
		phys = find(inode, pos, &len);
		if (!phys)
			break;
		/* So many at a time: others want to run, too. */
		len = min3(len, end - pos, SZ_2M);
		if (to_file)
			n = copy_from_iter(phys_to_virt(phys), len, iter);
		else
			n = _copy_mc_to_iter(phys_to_virt(phys), len, iter);
		done += n;
		pos += n;
		if (!n)
			return done ?: -EFAULT;
		if (fatal_signal_pending(current))
			return done;
		cond_resched();
	}
	return done;
}

static ssize_t guestmemfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t n;

	/* So that none of it becomes another's meanwhile. */
	inode_lock_shared(inode);
	n = copy(inode, iocb->ki_pos, i_size_read(inode), to, false);
	inode_unlock_shared(inode);
	if (n > 0)
		iocb->ki_pos += n;
	file_accessed(iocb->ki_filp);
	return n;
}

static ssize_t guestmemfs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t old;
	ssize_t n;
	u64 end;

	inode_lock(inode);
	old = i_size_read(inode);
	n = generic_write_checks(iocb, from);
	if (n <= 0)
		goto unlock;
	n = file_modified(iocb->ki_filp);
	if (n)
		goto unlock;
	end = iocb->ki_pos + iov_iter_count(from);
	if (end > old) {
		n = guestmemfs_set_size(inode, end);
		if (n)
			goto unlock;
	}
	n = copy(inode, iocb->ki_pos, end, from, true);
	if (n > 0)
		iocb->ki_pos += n;
	/* What could not be copied is not in the file; if it was pinned meanwhile it is zero. */
	if (end > old && iocb->ki_pos < end)
		guestmemfs_set_size(inode, n > 0 ? max(old, iocb->ki_pos) : old);
unlock:
	inode_unlock(inode);
	return n;
}

static long guestmemfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	long err;

	/* A file has no holes, so that there is nothing to be done but to make it longer. */
	if (mode & ~FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	inode_lock(inode);
	err = inode_newsize_ok(inode, offset + len);
	if (err || offset + len <= i_size_read(inode))
		goto unlock;
	/* There is no memory behind the end. */
	err = mode & FALLOC_FL_KEEP_SIZE ? -EOPNOTSUPP : file_modified(file);
	if (!err)
		err = guestmemfs_set_size(inode, offset + len);
unlock:
	inode_unlock(inode);
	return err;
}

static vm_fault_t guestmemfs_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct inode *inode = file_inode(vma->vm_file);
	unsigned long size = PAGE_SIZE << order;
	unsigned long addr = ALIGN_DOWN(vmf->address, size);
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	phys_addr_t phys;
	u64 pos, len;

	if (addr < vma->vm_start || vma->vm_end - addr < size)
		return VM_FAULT_FALLBACK;
	pos = (u64)linear_page_index(vma, addr) << PAGE_SHIFT;

	filemap_invalidate_lock_shared(inode->i_mapping);
	phys = 0;
	if (pos < i_size_read(inode))
		phys = find(inode, pos, &len);
	if (!phys) {
		ret = order ? VM_FAULT_FALLBACK : VM_FAULT_SIGBUS;
		goto unlock;
	}
	/* A leaf may reach behind the end by less than a unit, which is zero. */
	if (!IS_ALIGNED(phys, size) || len < size)
		goto unlock;
	if (order && round_up(i_size_read(inode), PAGE_SIZE) - pos < size)
		goto unlock;
	switch (order) {
	case 0:
		ret = vmf_insert_pfn(vma, addr, PHYS_PFN(phys));
		break;
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	case PMD_ORDER:
		ret = vmf_insert_pfn_pmd(vmf, PHYS_PFN(phys), write);
		break;
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	case PUD_ORDER:
		ret = vmf_insert_pfn_pud(vmf, PHYS_PFN(phys), write);
		break;
#endif
	}
unlock:
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return ret;
}

static vm_fault_t guestmemfs_fault(struct vm_fault *vmf)
{
	return guestmemfs_huge_fault(vmf, 0);
}

/* For debuggers. */
static int guestmemfs_access(struct vm_area_struct *vma, unsigned long addr, void *buf,
			     int len, int write)
{
	struct inode *inode = file_inode(vma->vm_file);
	u64 pos = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	phys_addr_t phys;
	int done = 0;
	u64 n;

	/* The caller has not looked at the rights if there is no struct page. */
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EFAULT;
	len = min_t(unsigned long, len, vma->vm_end - addr);
	filemap_invalidate_lock_shared(inode->i_mapping);
	while (done < len && pos < i_size_read(inode)) {
		phys = find(inode, pos, &n);
		if (!phys)
			break;
		n = min3(n, (u64)(len - done), i_size_read(inode) - pos);
		if (write)
			memcpy(phys_to_virt(phys), buf + done, n);
		else
			memcpy(buf + done, phys_to_virt(phys), n);
		done += n;
		pos += n;
	}
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return done ?: -EFAULT;
}

static const struct vm_operations_struct guestmemfs_vm_ops = {
	.fault		= guestmemfs_fault,
	.huge_fault	= guestmemfs_huge_fault,
	.access		= guestmemfs_access,
};

static int guestmemfs_mmap_prepare(struct vm_area_desc *desc)
{
	/*
	 * There is no page cache to copy from. A shared mapping of what is open for
	 * reading only has VM_MAYSHARE and not VM_SHARED.
	 */
	if (!vma_desc_test(desc, VMA_MAYSHARE_BIT))
		return -EINVAL;
	vma_desc_set_flags(desc, VMA_PFNMAP_BIT, VMA_DONTDUMP_BIT, VMA_DONTEXPAND_BIT);
	desc->vm_ops = &guestmemfs_vm_ops;
	file_accessed(desc->file);
	return 0;
}

/* So that leaves can be as large as can be. */
static unsigned long guestmemfs_get_unmapped_area(struct file *file, unsigned long addr,
						  unsigned long len, unsigned long pgoff,
						  unsigned long flags)
{
	unsigned long align = len >= PUD_SIZE ? PUD_SIZE : PMD_SIZE;
	unsigned long at;

	if (addr || flags & MAP_FIXED || len < PMD_SIZE || len + align < len)
		return mm_get_unmapped_area(file, addr, len, pgoff, flags);
	at = mm_get_unmapped_area(file, 0, len + align, pgoff, flags);
	if (IS_ERR_VALUE(at))
		return mm_get_unmapped_area(file, addr, len, pgoff, flags);
	return at + (((pgoff << PAGE_SHIFT) - at) & (align - 1));
}

const struct file_operations guestmemfs_file_ops = {
	.llseek			= generic_file_llseek,
	.read_iter		= guestmemfs_read_iter,
	.write_iter		= guestmemfs_write_iter,
	.mmap_prepare		= guestmemfs_mmap_prepare,
	.get_unmapped_area	= guestmemfs_get_unmapped_area,
	.fsync			= noop_fsync,
	.splice_read		= copy_splice_read,
	.splice_write		= iter_file_splice_write,
	.fallocate		= guestmemfs_fallocate,
};

const struct address_space_operations guestmemfs_aops = {
	.dirty_folio	= noop_dirty_folio,
};

/* --- for those who give it to devices --- */

/**
 * guestmemfs_file() - Is it a file of guestmemfs?
 * @file: Any file.
 *
 * Return: true if it has memory without struct page, to be asked for here.
 */
bool guestmemfs_file(const struct file *file)
{
	return file->f_op == &guestmemfs_file_ops;
}
EXPORT_SYMBOL_GPL(guestmemfs_file);

/**
 * guestmemfs_vma() - Is it a mapping of a file of guestmemfs?
 * @vma: Any.
 *
 * For those who would use its memory and not be told when it goes.
 *
 * Return: true if it is one.
 */
bool guestmemfs_vma(const struct vm_area_struct *vma)
{
	return vma->vm_ops == &guestmemfs_vm_ops;
}
EXPORT_SYMBOL_GPL(guestmemfs_vma);

/**
 * guestmemfs_pin() - Keep a file's memory where it is
 * @file: A file of guestmemfs; the caller keeps a reference on it.
 * @end:  Up to where it has to be there, in bytes.
 *
 * From now on it cannot become shorter, or be removed (EBUSY). Each call is undone
 * by one of guestmemfs_unpin().
 *
 * Context: may sleep.
 * Return: 0; -EINVAL: @end is behind the end of the file, rounded up to a page.
 */
int guestmemfs_pin(struct file *file, u64 end)
{
	struct inode *inode = file_inode(file);

	guard(mutex)(&guestmemfs.lock);
	if (end > PAGE_ALIGN(i_size_read(inode)))
		return -EINVAL;
	info_of(inode)->pins++;
	return 0;
}
EXPORT_SYMBOL_GPL(guestmemfs_pin);

/**
 * guestmemfs_unpin() - No device can reach it any more
 * @file: A file that was pinned.
 *
 * Context: may sleep.
 */
void guestmemfs_unpin(struct file *file)
{
	guard(mutex)(&guestmemfs.lock);
	info_of(file_inode(file))->pins--;
}
EXPORT_SYMBOL_GPL(guestmemfs_unpin);

/**
 * guestmemfs_phys() - Where is the memory of a file?
 * @file:   A file that is pinned.
 * @offset: Where in the file, in bytes; within what is pinned.
 * @len:    Set to the number of bytes from there that follow each other.
 *
 * Context: any.
 * Return: the physical address.
 */
phys_addr_t guestmemfs_phys(const struct file *file, u64 offset, u64 *len)
{
	return find(file_inode(file), offset, len);
}
EXPORT_SYMBOL_GPL(guestmemfs_phys);
