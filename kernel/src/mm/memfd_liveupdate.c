// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Memory of a retrieved memfd
 *
 * Devices that came over a live update write into the pages of a memfd by tables
 * of the previous kernel, which no page is pinned for. Until they have left those
 * tables no page may be freed, moved or swapped out, whatever user space does to
 * the file: seals do not keep it from punching holes. Nor do they matter to
 * reclaim and compaction.
 *
 * So a reference on each folio is kept from the retrieve to the finish of the
 * session, which is possible only when no device is on a restored HWPT any more.
 * A folio that is taken out of the file meanwhile is freed then. A file that is
 * not retrieved is as KHO has preserved it.
 *
 * When the retrieve fails (no memory, or the limits of the process do not allow
 * for the file), it is not known who writes to the folios for how long. They stay
 * where they are until the next reboot.
 */

#define pr_fmt(fmt) "memfd: liveupdate: " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kho/abi/memfd.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "memfd_liveupdate.h"

/* A retrieved file, and the folios that it was retrieved with. */
struct memfd_held {
	struct list_head list;
	struct inode *inode;
	struct memfd_luo_folio_ser *folios;
	u64 nr;
};

static LIST_HEAD(memfd_held);
static DEFINE_MUTEX(memfd_held_lock);

/**
 * memfd_liveupdate_hold() - Keep the folios of a file that was retrieved
 * @file:   The memfd.
 * @folios: Its folios, from kho_restore_vmalloc(); consumed.
 * @nr:     How many.
 * @err:    What became of putting them into the file. There is a reference on
 *	    each that was put there, or tried to.
 *
 * Return: 0, or @err, or -ENOMEM; then the folios are never freed.
 */
int memfd_liveupdate_hold(struct file *file,
			  struct memfd_luo_folio_ser *folios, u64 nr, int err)
{
	struct memfd_held *held;

	if (err)
		goto out_free;

	held = kzalloc_obj(*held);
	if (!held) {
		err = -ENOMEM;
		goto out_free;
	}
	held->inode = file_inode(file);
	held->folios = folios;
	held->nr = nr;
	mutex_lock(&memfd_held_lock);
	list_add(&held->list, &memfd_held);
	mutex_unlock(&memfd_held_lock);
	return 0;

out_free:
	pr_err("file cannot be retrieved: %pe; its memory is not used until the next reboot\n",
	       ERR_PTR(err));
	vfree(folios);
	return err;
}

/**
 * memfd_liveupdate_release() - The session of a retrieved file is finished
 * @file: The memfd. It may have no folios.
 */
void memfd_liveupdate_release(struct file *file)
{
	struct memfd_held *held, *found = NULL;
	u64 i;

	mutex_lock(&memfd_held_lock);
	list_for_each_entry(held, &memfd_held, list) {
		if (held->inode == file_inode(file)) {
			found = held;
			list_del(&held->list);
			break;
		}
	}
	mutex_unlock(&memfd_held_lock);
	if (!found)
		return;

	for (i = 0; i < found->nr; i++) {
		if (found->folios[i].pfn)
			folio_put(pfn_folio(found->folios[i].pfn));
		cond_resched();
	}
	vfree(found->folios);
	kfree(found);
}
