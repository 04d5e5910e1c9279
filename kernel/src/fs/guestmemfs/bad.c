// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/*
 * Memory that the hardware says is bad. There is no struct page that could be marked. mm is
 * told which memory a file has as long as its inode is in use, so that the processes that
 * have it mapped get SIGBUS with the address, as for other memory, and mm asks here where
 * in a mapping it is. That question is how we hear of it: of memory that no process has
 * mapped we do not.
 *
 * A file with bad memory keeps all of its memory in this kernel: it cannot become shorter
 * or be removed, so that nobody else gets the memory, nor be preserved. The next kernel
 * does not know of it until the hardware says so again.
 */

#define pr_fmt(fmt) "guestmemfs: " fmt

#include <linux/err.h>
#include <linux/memory-failure.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "guestmemfs.h"

#define UNIT_PAGES	BIT(GUESTMEMFS_UNIT_SHIFT - PAGE_SHIFT)

/**
 * struct guestmemfs_watch - The memory of a file that mm was told of
 * @nr:    Number of entries of @space that mm has.
 * @space: One for each piece of its map.
 */
struct guestmemfs_watch {
	u32 nr;
	struct pfn_address_space space[];
};

/* Called by mm for each mapping of the file, under RCU. */
static int pfn_to_pgoff(struct vm_area_struct *vma, unsigned long pfn, pgoff_t *pgoff)
{
	struct inode *inode = file_inode(vma->vm_file);
	const struct guestmemfs_map *map = rcu_dereference(info_of(inode)->map);
	const struct guestmemfs_piece *piece;
	u32 i;

	for (i = 0; map && i < map->nr; i++) {
		piece = &map->piece[i];
		if (pfn / UNIT_PAGES >= piece->start &&
		    pfn / UNIT_PAGES - piece->start < piece->units)
			break;
	}
	if (!map || i == map->nr)
		return -ENOENT;
	*pgoff = pfn - piece->start * UNIT_PAGES + piece->at * UNIT_PAGES;
	/* The inode stays in use, or this would be forgotten. */
	if (!cmpxchg(&info_of(inode)->bad, 0, *pgoff + 1)) {
		ihold(inode);
		pr_err("memory at %#llx is bad, %#llx in the file with inode %llu; the file can be neither cut, removed nor preserved in this kernel\n",
		       (u64)PFN_PHYS(pfn), (u64)*pgoff << PAGE_SHIFT, (u64)inode->i_ino);
	}
	return *pgoff - vma->vm_pgoff < vma_pages(vma) ? 0 : -EFAULT;
}

/**
 * guestmemfs_watch() - Have mm report bad memory of a file
 * @inode: The file; its map is what it is to be.
 *
 * What was watched of it before is so no more. What mm does not take is not watched, which
 * the log says.
 *
 * Context: may sleep; nobody changes the map meanwhile.
 */
void guestmemfs_watch(struct inode *inode)
{
	struct guestmemfs_inode_info *info = info_of(inode);
	const struct guestmemfs_map *map = rcu_dereference_protected(info->map, true);
	struct guestmemfs_watch *watch;
	int err = -ENOMEM;
	u32 i;

	guestmemfs_unwatch(inode);
	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE) || !map->nr)
		return;
	watch = kvzalloc(struct_size(watch, space, map->nr), GFP_KERNEL);
	for (i = 0; watch && i < map->nr; i++) {
		struct pfn_address_space *space = &watch->space[i];

		space->node.start = map->piece[i].start * UNIT_PAGES;
		space->node.last = space->node.start + map->piece[i].units * UNIT_PAGES - 1;
		space->mapping = inode->i_mapping;
		space->pfn_to_vma_pgoff = pfn_to_pgoff;
		err = register_pfn_address_space(space);
		if (err)
			break;
		watch->nr++;
	}
	info->watch = watch;
	if (err)
		pr_warn("bad memory of inode %llu is not looked for: %pe\n", (u64)inode->i_ino,
			ERR_PTR(err));
}

/**
 * guestmemfs_unwatch() - A file is about to get other memory, or its inode goes
 * @inode: The file.
 *
 * Context: may sleep.
 */
void guestmemfs_unwatch(struct inode *inode)
{
	struct guestmemfs_watch *watch = info_of(inode)->watch;

	info_of(inode)->watch = NULL;
	if (!watch)
		return;
	while (watch->nr)
		unregister_pfn_address_space(&watch->space[--watch->nr]);
	kvfree(watch);
}
