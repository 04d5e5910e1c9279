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
 * What came is checked before anything of it is used, by the first retrieve or, if
 * there is none, by the finish: memfd_ser_check(). What is refused stays with KHO
 * until the next reboot, since nobody knows what its folios are.
 *
 * Memory that is known to be bad is not preserved, and if it goes bad afterwards there
 * is no jump. What goes bad in the next kernel before it is retrieved is marked then.
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
#include <linux/liveupdate.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_retry.h>
#include <linux/liveupdate_rule.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "memfd_liveupdate.h"
#include "memfd_liveupdate_rules.h"

/**
 * struct memfd_held - A file, and the folios that it is made of
 * @unfilled: In the list of those that are not filled, as long as that is so.
 * @file:     The file, or NULL if it was not made yet; with a reference as long as it
 *            is not filled.
 * @array:    Where KHO has @folios.
 * @folios:   The folios.
 * @nr:       Number of @folios.
 * @next:     The folio to go on with; a reference is held on each one before.
 * @restored: A reference is held on that one, too.
 *
 * From when the handover was checked. The private_data of the file, which shmem has
 * no use for, points here, as does that of the arguments of a retrieve.
 */
struct memfd_held {
	struct memfd_unfilled unfilled;
	struct file *file;
	struct kho_vmalloc array;
	struct memfd_luo_folio_ser *folios;
	u64 nr, next;
	bool restored;
};

/**
 * memfd_liveupdate_check() - Can a folio be handed over?
 * @folio: The folio, pinned.
 *
 * Return: 0; -EHWPOISON: a page of it is known to be bad.
 */
int memfd_liveupdate_check(struct folio *folio)
{
	unsigned long at = 0, nr = folio_nr_pages(folio);

	/* There can be millions of them: the rule is asked of those that break it. */
	if (!folio_contain_hwpoisoned_page(folio))
		return 0;
	while (at < nr - 1 && !PageHWPoison(folio_page(folio, at)))
		at++;
	return liveupdate_require(false, &rule_memfd_bad,
				  "page at %#llx of a memfd, %#llx in memory",
				  (u64)(folio->index + at) << PAGE_SHIFT,
				  (u64)PFN_PHYS(folio_pfn(folio) + at));
}

/**
 * memfd_liveupdate_freeze() - Has memory of a file gone bad since it was preserved?
 * @args: The freeze.
 *
 * All VMs wait: folios are looked at only if one of this file has, to name it.
 *
 * Return: 0; -EHWPOISON: it has.
 */
int memfd_liveupdate_freeze(struct liveupdate_file_op_args *args)
{
	const struct memfd_luo_ser *ser = phys_to_virt(args->serialized_data);
	const struct memfd_luo_folio_ser *folios = args->private_data;
	int err = 0;
	u64 i;

	if (!memfd_bad_found(file_inode(args->file)->i_mapping))
		return 0;
	for (i = 0; !err && i < ser->nr_folios; i++) {
		err = memfd_liveupdate_check(pfn_folio(folios[i].pfn));
		cond_resched();
	}
	return err;
}

static const char *check_ser(struct liveupdate_mem *mem, u64 data)
{
	const struct memfd_luo_ser *ser;

	return memfd_ser_check(mem, data, &ser);
}

static struct memfd_kind memfds = {
	.name = "memfd",
	.compatible = MEMFD_LUO_FH_COMPATIBLE,
	.check = check_ser,
	.size = sizeof(struct memfd_held),
	.unfilled = LIST_HEAD_INIT(memfds.unfilled),
	.lock = __MUTEX_INITIALIZER(memfds.lock),
};

static_assert(!offsetof(struct memfd_held, unfilled));

/* The pages of an array, in order */
static void array_pages(const struct kho_vmalloc *array, struct page **pages)
{
	const struct kho_vmalloc_chunk *chunk;
	unsigned int n = 0, i, j;
	phys_addr_t pa;

	for (pa = array->first.phys; pa; pa = chunk->hdr.next.phys) {
		chunk = phys_to_virt(pa);
		for (i = 0; i < ARRAY_SIZE(chunk->phys) && chunk->phys[i]; i++)
			for (j = 0; j < BIT(array->order); j++)
				pages[n++] = phys_to_page(chunk->phys[i]) + j;
	}
}

/*
 * Unlike kho_restore_vmalloc() it leaves the pages KHO's, so that it can be done
 * again after it has failed.
 */
static struct memfd_luo_folio_ser *map_array(const struct kho_vmalloc *array)
{
	unsigned int n = array->total_pages;
	struct memfd_luo_folio_ser *folios;
	struct page **pages;

	pages = kvmalloc_objs(*pages, n);
	if (!pages)
		return NULL;
	array_pages(array, pages);
	folios = vmap(pages, n, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	return folios;
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

/* Check what came, and get ready for filling a file. */
static int get_ready(struct memfd_held *held)
{
	const struct memfd_luo_ser *ser;
	int err;

	err = memfd_check(&memfds, held->unfilled.data, GFP_KERNEL);
	if (err)
		return err;
	ser = phys_to_virt(held->unfilled.data);
	if (!ser->nr_folios)
		return 0;
	held->folios = map_array(&ser->folios);
	if (!held->folios)
		return -ENOMEM;
	held->array = ser->folios;
	held->nr = ser->nr_folios;
	return 0;
}

/**
 * memfd_liveupdate_ser() - What came in the handover, when it was checked
 * @args: The retrieve.
 *
 * Nothing of it is used before. If it cannot be used, it stays as it is until the
 * next reboot.
 *
 * Return: what came; -EINVAL if it cannot be used; -ENOMEM, and the retrieve may
 * be called again.
 */
struct memfd_luo_ser *memfd_liveupdate_ser(struct liveupdate_file_op_args *args)
{
	struct memfd_held *held = memfd_unfilled_begin(&memfds, args->serialized_data, GFP_KERNEL);
	int err = IS_ERR(held) ? PTR_ERR(held) : 0;

	if (!err && !held->folios) {
		err = get_ready(held);
		/* Nothing is kept of a file that has no folios, either. */
		if (!held->folios) {
			memfd_unfilled_end(&memfds, &held->unfilled, true);
			kfree(held);
			held = NULL;
		}
	}
	if (err) {
		args->retry = liveupdate_transient(err);
		return ERR_PTR(err);
	}
	args->private_data = held;
	return phys_to_virt(args->serialized_data);
}

/**
 * memfd_liveupdate_resume() - The file that an earlier retrieve has begun
 * @args: The retrieve.
 *
 * Return: the file, with a reference for the caller, or NULL if there is none.
 */
struct file *memfd_liveupdate_resume(struct liveupdate_file_op_args *args)
{
	struct memfd_held *held = args->private_data;

	return held && held->file ? get_file(held->file) : NULL;
}

/**
 * memfd_liveupdate_folios() - The folios that a file is to be filled with
 * @args: The retrieve of a memfd that has folios.
 * @file: The file, from memfd_liveupdate_resume() or a new one.
 *
 * Return: the list, which was checked.
 */
struct memfd_luo_folio_ser *
memfd_liveupdate_folios(struct liveupdate_file_op_args *args, struct file *file)
{
	struct memfd_held *held = args->private_data;

	if (!held->file) {
		held->file = get_file(file);
		file->private_data = held;
	}
	return held->folios;
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

/* Nobody took notice of it when KHO had it: whoever touches it gets SIGBUS from now on. */
static void note_bad(struct folio *folio)
{
	long bad = memfd_bad_page(folio);

	if (bad < 0)
		return;
	if (folio_test_large(folio))
		folio_set_has_hwpoisoned(folio);
	pr_err("page of a memfd at %#llx in memory went bad before it was retrieved\n",
	       (u64)PFN_PHYS(folio_pfn(folio) + bad));
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
	if (folio) {
		folio_get(folio);
		note_bad(folio);
	}
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
		memfd_unfilled_end(&memfds, &held->unfilled, true);
		fput(file);
	} else if (held->restored) {
		/* The process that gets the file in the end is charged. */
		mem_cgroup_uncharge(pfn_folio(held->folios[held->next].pfn));
	}
}

/**
 * memfd_liveupdate_failed() - A retrieve has failed; keep what there is of the file
 * @args: The retrieve.
 * @err:  Why.
 *
 * Return: true if the retrieve may be called again.
 */
bool memfd_liveupdate_failed(struct liveupdate_file_op_args *args, int err)
{
	struct memfd_held *held = args->private_data;

	if (held) {
		if (held->file)
			pr_warn("memfd cannot be retrieved: %llu of its %llu folios are in it; its memory is kept until the session is finished\n",
				held->next, held->nr);
		memfd_unfilled_end(&memfds, &held->unfilled, false);
	}
	return liveupdate_transient(err);
}

/* The references that this file has; all folios then are the file's alone. */
static void put_folios(struct memfd_held *held)
{
	u64 end = held->next + held->restored, i;

	for (i = 0; i < end; i++) {
		folio_put(pfn_folio(held->folios[i].pfn));
		cond_resched();
	}
}

/* The session of a retrieved file is finished. It may have no folios. */
static void release(struct file *file)
{
	struct memfd_held *held = file->private_data;

	if (!held)
		return;
	file->private_data = NULL;
	put_folios(held);
	free_array(held);
	kfree(held);
}

/* The session of a file is finished that was not filled. */
static void discard(struct memfd_held *held)
{
	u64 i;

	memfd_unfilled_end(&memfds, &held->unfilled, true);
	put_folios(held);
	if (held->file) {
		held->file->private_data = NULL;
		fput(held->file);
	}
	for (i = held->next + held->restored; i < held->nr; i++) {
		struct folio *folio;

		folio = kho_restore_folio(PFN_PHYS(held->folios[i].pfn));
		if (folio)
			folio_put(folio);
		cond_resched();
	}
	free_array(held);
	kho_restore_free(phys_to_virt(held->unfilled.data));
	kfree(held);
}

/**
 * memfd_liveupdate_finish() - The session of a file is finished
 * @args: The finish.
 *
 * What came and cannot be used stays as it is until the next reboot.
 *
 * Context: No device can reach the memory any more.
 * Return: true if nothing is left to be done; false if it is in order, and
 * nobody has begun to retrieve the file.
 */
bool memfd_liveupdate_finish(struct liveupdate_file_op_args *args)
{
	struct memfd_held *held;

	if (args->retrieve_status > 0) {
		release(args->file);
		return true;
	}
	held = memfd_unfilled_begin(&memfds, args->serialized_data, 0);
	/* It is another file's, too, which has it. */
	if (IS_ERR(held))
		return true;
	if (held) {
		discard(held);
		return true;
	}
	return args->retrieve_status ||
	       memfd_check(&memfds, args->serialized_data, GFP_KERNEL | __GFP_NOFAIL);
}
