// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Memory of a retrieved memfd
 *
 * Devices that came over a live update write into the pages of a memfd by tables
 * of the previous kernel, for which no page is pinned. Until they have left
 * these tables no page may be freed, moved or swapped out, whatever user space
 * does to the file. Seals do not help: they do not keep user space from punching
 * holes, and mean nothing to reclaim and compaction.
 *
 * So a reference on each folio is kept from the retrieve to the finish of the
 * session, which is possible only when no device is on a restored HWPT any more.
 * A folio that is taken out of the file meanwhile is freed then. A file that is
 * not retrieved is as KHO has preserved it.
 *
 * When the retrieve fails halfway (no memory, or the limits of the process do not
 * allow for the file), the file stays as far as it was filled, and nobody has it.
 * The next retrieve goes on from there. If there is none, the finish of the
 * session frees the file and the folios that did not get into it: a memfd is in
 * one session with the iommufd that maps it, and a session is finished only when
 * its devices have left the tables of the previous kernel.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/memfd.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "memfd_liveupdate.h"

/**
 * struct memfd_held - A file, and the folios that it is made of
 * @list:     In memfd_unfilled, as long as the file is not filled.
 * @data:     Its handle in the handover.
 * @file:     The file; with a reference as long as it is in memfd_unfilled.
 * @array:    Where KHO has @folios.
 * @folios:   The folios.
 * @nr:       Number of @folios.
 * @next:     The folio to go on with; a reference is held on each one before.
 * @restored: A reference is held on that one, too.
 *
 * The file's private_data points here, which shmem has no use for.
 */
struct memfd_held {
	struct list_head list;
	u64 data;
	struct file *file;
	struct kho_vmalloc array;
	struct memfd_luo_folio_ser *folios;
	u64 nr, next;
	bool restored;
};

static LIST_HEAD(memfd_unfilled);
/* Protects the list. What is in it is protected by LUO: one call for a file. */
static DEFINE_MUTEX(memfd_unfilled_lock);

/* From then on the caller has it. */
static struct memfd_held *take_unfilled(u64 data)
{
	struct memfd_held *held;

	guard(mutex)(&memfd_unfilled_lock);
	list_for_each_entry(held, &memfd_unfilled, list) {
		if (held->data != data)
			continue;
		list_del_init(&held->list);
		return held;
	}
	return NULL;
}

/**
 * memfd_liveupdate_resume() - The file that an earlier retrieve has begun
 * @args: The retrieve.
 *
 * Return: the file, or NULL if there is none.
 */
struct file *memfd_liveupdate_resume(struct liveupdate_file_op_args *args)
{
	struct memfd_held *held = take_unfilled(args->serialized_data);

	return held ? held->file : NULL;
}

/* The pages of an array, in order; what does not fit KHO's record is refused. */
static int array_pages(const struct kho_vmalloc *array, struct page **pages)
{
	phys_addr_t pa = array->first.phys;
	unsigned int order = array->order;
	unsigned int n = 0, i, j;

	if (order > MAX_PAGE_ORDER)
		return -EINVAL;
	while (pa) {
		const struct kho_vmalloc_chunk *chunk;

		if (!kho_is_preserved(pa, 0))
			return -EINVAL;
		chunk = phys_to_virt(pa);
		for (i = 0; i < ARRAY_SIZE(chunk->phys) && chunk->phys[i]; i++) {
			/* Also ends a list that goes round. */
			if (n + BIT(order) > array->total_pages ||
			    !kho_is_preserved(chunk->phys[i], order))
				return -EINVAL;
			for (j = 0; j < BIT(order); j++)
				pages[n++] = phys_to_page(chunk->phys[i]) + j;
		}
		/* Only the last one may be empty: KHO begins it when one is full. */
		if (!i && chunk->hdr.next.phys)
			return -EINVAL;
		pa = chunk->hdr.next.phys;
	}
	return n == array->total_pages ? 0 : -EINVAL;
}

/* Is the list as long as it says? */
static bool fits(const struct kho_vmalloc *array, u64 nr)
{
	return nr <= (u64)array->total_pages * PAGE_SIZE /
		     sizeof(struct memfd_luo_folio_ser);
}

/*
 * Unlike kho_restore_vmalloc() it leaves the pages KHO's, so that it can be done
 * again after it has failed.
 */
static struct memfd_luo_folio_ser *map_array(const struct kho_vmalloc *array,
					     u64 nr)
{
	unsigned int n = array->total_pages;
	struct memfd_luo_folio_ser *folios;
	struct page **pages;
	int err;

	if (!fits(array, nr))
		return ERR_PTR(-EINVAL);
	pages = kvmalloc_objs(*pages, n);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	err = array_pages(array, pages);
	folios = err ? NULL : vmap(pages, n, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	return folios ?: ERR_PTR(err ?: -ENOMEM);
}

static void free_array(struct memfd_held *held)
{
	phys_addr_t pa = held->array.first.phys;
	unsigned int n = 1 << held->array.order;
	unsigned int i, j;

	vunmap(held->folios);
	while (pa) {
		struct kho_vmalloc_chunk *chunk = phys_to_virt(pa);
		struct page *page;

		for (i = 0; i < ARRAY_SIZE(chunk->phys) && chunk->phys[i]; i++) {
			page = kho_restore_pages(chunk->phys[i], n);
			for (j = 0; page && j < n; j++)
				__free_page(page + j);
		}
		page = kho_restore_pages(pa, 1);
		pa = chunk->hdr.next.phys;
		if (page)
			__free_page(page);
	}
}

/**
 * memfd_liveupdate_folios() - The folios that a file is to be filled with
 * @file: The file, from memfd_liveupdate_resume() or a new one.
 * @ser:  What came in the handover.
 *
 * Return: the list; -ENOMEM, or -EINVAL if it is damaged.
 */
struct memfd_luo_folio_ser *
memfd_liveupdate_folios(struct file *file, const struct memfd_luo_ser *ser)
{
	struct memfd_held *held = file->private_data;
	struct memfd_luo_folio_ser *folios;

	if (held)
		return held->folios;
	held = kzalloc_obj(*held);
	if (!held)
		return ERR_PTR(-ENOMEM);
	folios = map_array(&ser->folios, ser->nr_folios);
	if (IS_ERR(folios)) {
		kfree(held);
		return folios;
	}
	INIT_LIST_HEAD(&held->list);
	held->file = file;
	held->array = ser->folios;
	held->folios = folios;
	held->nr = ser->nr_folios;
	file->private_data = held;
	return folios;
}

/**
 * memfd_liveupdate_next() - The folio that a file is to be filled with next
 * @file: The file.
 *
 * Return: its index in the list.
 */
u64 memfd_liveupdate_next(struct file *file)
{
	struct memfd_held *held = file->private_data;

	return held->next;
}

/**
 * memfd_liveupdate_folio() - Take a folio, to put it into a file
 * @file: The file.
 * @i:    Index of the folio in the list.
 * @phys: Its physical address.
 *
 * One reference is for the file, another one is kept until the session is finished.
 *
 * Return: the folio, or NULL if the previous kernel did not hand it over.
 */
struct folio *memfd_liveupdate_folio(struct file *file, u64 i,
				     phys_addr_t phys)
{
	struct memfd_held *held = file->private_data;
	struct folio *folio;

	if (held->restored && held->next == i)
		folio = pfn_folio(PHYS_PFN(phys));
	else
		folio = kho_restore_folio(phys);
	held->next = i;
	held->restored = folio;
	if (folio)
		folio_get(folio);
	return folio;
}

/**
 * memfd_liveupdate_hold() - A file was filled, or it was not
 * @file: The file.
 * @err:  0, or why the folio that was taken last could not be put into it.
 */
void memfd_liveupdate_hold(struct file *file, int err)
{
	struct memfd_held *held = file->private_data;

	if (!err) {
		held->next = held->nr;
		held->restored = false;
	} else if (held->restored) {
		/* The process that gets the file in the end is charged. */
		mem_cgroup_uncharge(pfn_folio(held->folios[held->next].pfn));
	}
}

/**
 * memfd_liveupdate_keep() - A retrieve has failed; keep what there is of the file
 * @args: The retrieve.
 * @file: The file; consumed.
 */
void memfd_liveupdate_keep(struct liveupdate_file_op_args *args,
			   struct file *file)
{
	struct memfd_held *held = file->private_data;

	if (!held) {
		fput(file);
		return;
	}
	pr_warn("memfd cannot be retrieved: %llu of its %llu folios are in it; its memory is kept until the session is finished\n",
		held->next, held->nr);
	held->data = args->serialized_data;
	guard(mutex)(&memfd_unfilled_lock);
	list_add(&held->list, &memfd_unfilled);
}

/* The references that this file has; all folios then are the file's alone. */
static void put_folios(struct memfd_held *held)
{
	u64 end = held->next + held->restored, i;

	for (i = 0; i < end; i++) {
		if (held->folios[i].pfn)
			folio_put(pfn_folio(held->folios[i].pfn));
		cond_resched();
	}
}

/**
 * memfd_liveupdate_release() - The session of a retrieved file is finished
 * @file: The memfd. It may have no folios.
 */
void memfd_liveupdate_release(struct file *file)
{
	struct memfd_held *held = file->private_data;

	if (!held)
		return;
	file->private_data = NULL;
	put_folios(held);
	free_array(held);
	kfree(held);
}

/**
 * memfd_liveupdate_discard() - The session of an unfilled file is finished
 * @args: The finish.
 *
 * Context: No device can reach the memory any more.
 * Return: true if there was one; it is freed, with all that belongs to it. True,
 * too, if what came was refused, or would be: it stays as it is until the next
 * reboot. False if it is in order and nothing of it was touched so far.
 */
bool memfd_liveupdate_discard(struct liveupdate_file_op_args *args)
{
	struct memfd_held *held = take_unfilled(args->serialized_data);
	const struct memfd_luo_ser *ser;
	u64 i;

	if (!held) {
		ser = phys_to_virt(args->serialized_data);
		return args->retrieve_status ||
		       !kho_is_preserved(args->serialized_data, 0) ||
		       !fits(&ser->folios, ser->nr_folios);
	}
	put_folios(held);
	held->file->private_data = NULL;
	fput(held->file);
	for (i = held->next + held->restored; i < held->nr; i++) {
		struct folio *folio = NULL;

		if (held->folios[i].pfn)
			folio = kho_restore_folio(PFN_PHYS(held->folios[i].pfn));
		if (folio)
			folio_put(folio);
		cond_resched();
	}
	free_array(held);
	kfree(held);
	kho_restore_free(phys_to_virt(args->serialized_data));
	return true;
}
