// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) 2026 The Continuo authors */

/**
 * DOC: Memfds of huge pages
 *
 * A memfd made with MFD_HUGETLB is preserved with the folios that it has, and its
 * holes are filled. Until the session is released nothing may be taken out of the
 * file: fallocate(2) and ftruncate(2) are refused with EPERM, and the folios are
 * pinned, so that they are neither migrated nor demoted.
 *
 * In the next kernel the folios come back to the process that retrieves the file
 * by the way by which it would have got new ones: alloc_hugetlb_folio() charges
 * its cgroups and makes the reservation of the inode, and takes, in place of a
 * folio of the pool, the one that is due (hugetlb_liveupdate_take()). So what is
 * accounted when the file goes is what was accounted when it came.
 *
 * A device may write to a folio until the session is finished. As with other
 * memfds (DOC: Memory of a retrieved memfd) a reference on each folio is kept
 * until then: a hole that is punched meanwhile gives it back to the pool only
 * with the finish. What was not retrieved goes to the pool then, too.
 *
 * What is refused, by name: a folio of which struct pages were freed
 * (hugetlb_free_vmemmap=), one of a CMA area, and one with a page that is known
 * to be bad. A page can go bad after preserve, too, which is noted down for the file
 * (DOC: Memory of a preserved memfd that goes bad), so that the freeze does not have to
 * look at each folio. One that goes bad in the next kernel before it is retrieved is
 * marked when it comes back: the file has it, whoever touches it gets SIGBUS, and
 * the pool gives it to nobody else.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/hugetlb_cgroup.h>
#include <linux/hugetlb_liveupdate.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/hugetlb_memfd.h>
#include <linux/liveupdate.h>
#include <linux/liveupdate_check.h>
#include <linux/liveupdate_retry.h>
#include <linux/liveupdate_rule.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <uapi/linux/memfd.h>

#include "hugetlb_internal.h"
#include "hugetlb_liveupdate_internal.h"
#include "hugetlb_liveupdate_rules.h"
#include "memfd_liveupdate.h"

/* What a rule is said of: offset in the file, and physical address. */
#define HUGE_PAGE "huge page at %#llx of a memfd, %#llx in memory"

#define SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | \
		 F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

/* --- the folios of a file, in order --- */

/**
 * struct runs - A walk over the runs of a file
 * @list: The page of runs that it is at, or NULL at the end.
 * @run:  Index of the run.
 * @at:   Index of the folio in it.
 * @order: Of each folio.
 */
struct runs {
	struct hugetlb_memfd_list *list;
	unsigned int run;
	u32 at;
	unsigned int order;
};

static struct hugetlb_memfd_list *list_at(u64 pa)
{
	return pa ? phys_to_virt(pa) : NULL;
}

static void runs_begin(struct runs *runs, const struct hugetlb_memfd_ser *ser)
{
	*runs = (struct runs){ .list = list_at(ser->list), .order = ser->order };
}

/* The page frame of the next folio; false at the end. */
static bool runs_next(struct runs *runs, unsigned long *pfn)
{
	const struct hugetlb_memfd_run *run;

	while (runs->list && runs->run == runs->list->nr) {
		runs->list = list_at(runs->list->next);
		runs->run = 0;
	}
	if (!runs->list)
		return false;
	run = &runs->list->run[runs->run];
	*pfn = ((unsigned long)run->first + runs->at) << runs->order;
	if (++runs->at == run->nr) {
		runs->run++;
		runs->at = 0;
	}
	return true;
}

/* --- before the jump --- */

/**
 * struct writer - Writes the runs of a file
 * @ser:  Its handover.
 * @last: The page that is being filled, or NULL.
 */
struct writer {
	struct hugetlb_memfd_ser *ser;
	struct hugetlb_memfd_list *last;
};

static int add_list(struct writer *writer)
{
	struct hugetlb_memfd_list *list = kho_alloc_preserve(sizeof(*list));

	if (IS_ERR(list))
		return PTR_ERR(list);
	if (writer->last)
		writer->last->next = virt_to_phys(list);
	else
		writer->ser->list = virt_to_phys(list);
	writer->last = list;
	return 0;
}

static int add_folio(struct writer *writer, struct folio *folio)
{
	u64 first = folio_pfn(folio) >> writer->ser->order;
	struct hugetlb_memfd_run *run;
	int err;

	if (writer->last && writer->last->nr) {
		run = &writer->last->run[writer->last->nr - 1];
		if (run->first + run->nr == first && run->nr < HUGETLB_MEMFD_RUN_MAX) {
			run->nr++;
			return 0;
		}
	}
	if (!writer->last || writer->last->nr == HUGETLB_MEMFD_RUNS) {
		err = add_list(writer);
		if (err)
			return err;
	}
	run = &writer->last->run[writer->last->nr++];
	run->first = first;
	run->nr = 1;
	return 0;
}

static int check_not_bad(struct folio *folio, loff_t at)
{
	return liveupdate_require(!folio_test_hwpoison(folio), &rule_hugetlb_bad,
				  HUGE_PAGE, at, PFN_PHYS(folio_pfn(folio)));
}

static int check_not_cma(struct folio *folio, loff_t at)
{
	return liveupdate_require(!folio_test_hugetlb_cma(folio), &rule_hugetlb_cma,
				  HUGE_PAGE, at, PFN_PHYS(folio_pfn(folio)));
}

/* Can the folio at this offset of the file be handed over? */
static int check_folio(struct folio *folio, loff_t at)
{
	u64 pa = PFN_PHYS(folio_pfn(folio));
	int err;

	err = liveupdate_require(!folio_test_hugetlb_vmemmap_optimized(folio),
				 &rule_hugetlb_vmemmap, HUGE_PAGE, at, pa);
	if (!err)
		err = check_not_cma(folio, at);
	if (!err)
		err = check_not_bad(folio, at);
	return err;
}

/*
 * A folio of a CMA area is not pinned for long: it is moved, and if there is nowhere to move it to
 * that is all that the caller is told.
 */
static int not_pinned(struct file *file, loff_t at, int err)
{
	struct hstate *h = hstate_file(file);
	struct folio *folio;

	folio = filemap_lock_hugetlb_folio(h, file->f_mapping, at >> huge_page_shift(h));
	if (IS_ERR(folio))
		return err;
	err = check_not_cma(folio, at) ?: err;
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

/* One that is not there yet is made; it is pinned. */
static int preserve_folio(struct file *file, loff_t at, struct writer *writer)
{
	unsigned long size = huge_page_size(hstate_file(file));
	struct folio *folio;
	pgoff_t offset;
	long nr;
	int err;

	nr = memfd_pin_folios(file, at, at + size - 1, &folio, 1, &offset);
	if (nr != 1)
		return not_pinned(file, at, nr < 0 ? nr : -EIO);
	err = check_folio(folio, at);
	if (err)
		goto unpin;
	err = kho_preserve_folio(folio);
	if (err)
		goto unpin;
	err = liveupdate_require(!hugetlb_liveupdate_count(folio, true),
				 &rule_hugetlb_pools, HUGE_PAGE, at,
				 PFN_PHYS(folio_pfn(folio)));
	if (err)
		goto unpreserve;
	err = add_folio(writer, folio);
	if (!err)
		return 0;
	hugetlb_liveupdate_count(folio, false);
unpreserve:
	kho_unpreserve_folio(folio);
unpin:
	unpin_folio(folio);
	return err;
}

static void unpreserve_all(struct hugetlb_memfd_ser *ser)
{
	struct hugetlb_memfd_list *list, *next;
	unsigned long pfn;
	struct runs runs;

	runs_begin(&runs, ser);
	while (runs_next(&runs, &pfn)) {
		hugetlb_liveupdate_count(pfn_folio(pfn), false);
		kho_unpreserve_folio(pfn_folio(pfn));
		unpin_folio(pfn_folio(pfn));
		cond_resched();
	}
	for (list = list_at(ser->list); list; list = next) {
		next = list_at(list->next);
		kho_unpreserve_free(list);
	}
	kho_unpreserve_free(ser);
}

static void freeze(struct inode *inode, bool frozen)
{
	lockdep_assert_held_write(&inode->i_rwsem);
	/* hugetlbfs has no use for it. */
	WRITE_ONCE(inode->i_private, frozen ? inode : NULL);
}

/**
 * hugetlb_liveupdate_frozen() - May nothing be taken out of a file, or put into it?
 * @inode: The file; its i_rwsem is held.
 *
 * Return: true as long as it is preserved.
 */
bool hugetlb_liveupdate_frozen(struct inode *inode)
{
	return READ_ONCE(inode->i_private);
}

static int preserve_all(struct file *file, struct writer *writer)
{
	unsigned long size = huge_page_size(hstate_file(file));
	loff_t at;
	int err;

	for (at = 0; at < writer->ser->size; at += size) {
		err = preserve_folio(file, at, writer);
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int hugetlb_memfd_preserve(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct writer writer = {};
	int seals, err;

	guard(rwsem_write)(&inode->i_rwsem);
	seals = memfd_get_seals(args->file);
	if (seals < 0)
		return seals;
	err = liveupdate_require(!(seals & ~SEALS), &rule_hugetlb_seals,
				 "memfd of huge pages with the seals %#x", seals);
	if (err)
		return err;
	writer.ser = kho_alloc_preserve(sizeof(*writer.ser));
	if (IS_ERR(writer.ser))
		return PTR_ERR(writer.ser);
	writer.ser->pos = args->file->f_pos;
	writer.ser->size = i_size_read(inode);
	writer.ser->seals = seals;
	writer.ser->order = huge_page_order(hstate_inode(inode));
	freeze(inode, true);
	memfd_bad_watch(inode->i_mapping);
	err = preserve_all(args->file, &writer);
	if (err) {
		memfd_bad_forget(inode->i_mapping);
		freeze(inode, false);
		unpreserve_all(writer.ser);
		return err;
	}
	args->serialized_data = virt_to_phys(writer.ser);
	return 0;
}

static void hugetlb_memfd_unpreserve(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);

	guard(rwsem_write)(&inode->i_rwsem);
	memfd_bad_forget(inode->i_mapping);
	freeze(inode, false);
	unpreserve_all(phys_to_virt(args->serialized_data));
}

static int check_none_bad(const struct hugetlb_memfd_ser *ser)
{
	unsigned long pfn;
	struct runs runs;
	loff_t at = 0;
	int err;

	runs_begin(&runs, ser);
	while (runs_next(&runs, &pfn)) {
		err = check_not_bad(pfn_folio(pfn), at);
		if (err)
			return err;
		at += PAGE_SIZE << ser->order;
		cond_resched();
	}
	return 0;
}

static int hugetlb_memfd_freeze(struct liveupdate_file_op_args *args)
{
	struct hugetlb_memfd_ser *ser = phys_to_virt(args->serialized_data);

	ser->pos = args->file->f_pos;
	/* Nothing else can have changed since, but for memory that went bad. */
	if (!memfd_bad_found(file_inode(args->file)->i_mapping))
		return 0;
	return check_none_bad(ser);
}

/* --- after it --- */

/**
 * struct held - A file, and the folios that it is made of
 * @unfilled: In the list of those that are not filled, as long as that is so.
 * @ser:      The handover, checked.
 * @file:     The file, or NULL if it was not made yet; with a reference as long as
 *            it is not filled.
 * @runs:     What comes behind @folio.
 * @folio:    The folio that is due, KHO's no more, or NULL; we have a reference.
 * @taken:    It was taken, and is charged.
 * @filled:   Number of folios before it; we have a reference on each.
 */
struct held {
	struct memfd_unfilled unfilled;
	const struct hugetlb_memfd_ser *ser;
	struct file *file;
	struct runs runs;
	struct folio *folio;
	bool taken;
	u64 filled;
};

static const char *check_ser(struct liveupdate_mem *mem, u64 data)
{
	const struct hugetlb_memfd_ser *ser;

	return hugetlb_memfd_ser_check(mem, data, &ser);
}

static struct memfd_kind memfds = {
	.name = "memfd of huge pages",
	.compatible = HUGETLB_MEMFD_FH_COMPATIBLE,
	.check = check_ser,
	.size = sizeof(struct held),
	.unfilled = LIST_HEAD_INIT(memfds.unfilled),
	.lock = __MUTEX_INITIALIZER(memfds.lock),
};

static_assert(!offsetof(struct held, unfilled));

/* Who is to get which folio; protected by hugetlb_lock, but for the lock below. */
static struct {
	struct task_struct *task;
	struct held *held;
} filling;

/* One file is filled at a time. */
static DEFINE_MUTEX(filling_lock);

/**
 * hugetlb_liveupdate_take() - The folio that a process is to get in place of a new one
 * @h: The pool that it asks.
 *
 * Context: hugetlb_lock is held.
 * Return: the folio, with a reference for the caller, or NULL.
 */
struct folio *hugetlb_liveupdate_take(struct hstate *h)
{
	struct folio *folio;

	lockdep_assert_held(&hugetlb_lock);
	if (likely(filling.task != current))
		return NULL;
	folio = filling.held->folio;
	folio_get(folio);
	filling.held->taken = true;
	return folio;
}

/*
 * Nobody took notice of it when KHO had it. The pool does not give such a folio to anybody
 * else, nor does it break it up.
 */
static void note_bad(struct folio *folio)
{
	long bad = memfd_bad_page(folio);

	if (bad < 0)
		return;
	folio_set_hwpoison(folio);
	folio_set_hugetlb_raw_hwp_unreliable(folio);
	pr_err("huge page at %#llx in memory, which went bad at %#llx before it was retrieved, stays so\n",
	       (u64)PFN_PHYS(folio_pfn(folio)), (u64)PFN_PHYS(folio_pfn(folio) + bad));
}

/*
 * Make a folio that KHO has kept one of the pool's that is in use; we have the
 * only reference.
 */
static struct folio *come_back(struct hstate *h, unsigned long pfn)
{
	struct folio *folio = kho_restore_folio(PFN_PHYS(pfn));
	int nid;

	if (!folio)
		return NULL;
	nid = folio_nid(folio);
	init_new_hugetlb_folio(folio);
	note_bad(folio);
	spin_lock_irq(&hugetlb_lock);
	hugetlb_liveupdate_arrived(h, nid);
	list_add(&folio->lru, &h->hugepage_activelist);
	spin_unlock_irq(&hugetlb_lock);
	return folio;
}

/* The last of our references, of one that nobody has ever taken: as if one had been its user. */
static void to_pool(struct hstate *h, struct folio *folio)
{
	lruvec_stat_mod_folio(folio, NR_HUGETLB, pages_per_huge_page(h));
	folio_put(folio);
}

/* The process that gets the file in the end is charged. */
static void uncharge(struct hstate *h, struct held *held)
{
	struct folio *folio = held->folio;

	if (!held->taken)
		return;
	held->taken = false;
	spin_lock_irq(&hugetlb_lock);
	hugetlb_cgroup_uncharge_folio(hstate_index(h), pages_per_huge_page(h), folio);
	hugetlb_cgroup_uncharge_folio_rsvd(hstate_index(h), pages_per_huge_page(h), folio);
	spin_unlock_irq(&hugetlb_lock);
	lruvec_stat_mod_folio(folio, NR_HUGETLB, -pages_per_huge_page(h));
	mem_cgroup_uncharge(folio);
}

/* Put the folio that is due into the file, at @index in units of folios. */
static int fill_one(struct held *held, struct vm_area_struct *vma, pgoff_t index)
{
	struct address_space *mapping = held->file->f_mapping;
	struct hstate *h = hstate_file(held->file);
	u32 hash = hugetlb_fault_mutex_hash(mapping, index);
	struct folio *folio;
	int err;

	guard(mutex)(&hugetlb_fault_mutex_table[hash]);
	spin_lock_irq(&hugetlb_lock);
	filling.task = current;
	filling.held = held;
	spin_unlock_irq(&hugetlb_lock);
	folio = alloc_hugetlb_folio(vma, index << huge_page_shift(h), false);
	spin_lock_irq(&hugetlb_lock);
	filling.task = NULL;
	spin_unlock_irq(&hugetlb_lock);
	if (IS_ERR(folio)) {
		uncharge(h, held);
		return PTR_ERR(folio);
	}
	__folio_mark_uptodate(folio);
	err = hugetlb_add_to_page_cache(folio, mapping, index);
	if (err) {
		restore_reserve_on_error(h, vma, index << huge_page_shift(h), folio);
		folio_put(folio);
		uncharge(h, held);
		return err;
	}
	folio_set_hugetlb_migratable(folio);
	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

static int fill(struct held *held)
{
	struct hstate *h = hstate_file(held->file);
	struct vm_area_struct vma;
	unsigned long pfn;
	int err;

	guard(mutex)(&filling_lock);
	vma_init(&vma, current->mm);
	vm_flags_init(&vma, VM_HUGETLB | VM_MAYSHARE | VM_SHARED);
	vma.vm_file = held->file;
	for (;;) {
		if (!held->folio) {
			if (!runs_next(&held->runs, &pfn))
				return 0;
			held->folio = come_back(h, pfn);
			if (!held->folio) {
				pr_err("folio at %#llx cannot be restored\n", (u64)PFN_PHYS(pfn));
				return -EIO;
			}
		}
		err = fill_one(held, &vma, held->filled);
		if (err)
			return err;
		held->folio = NULL;
		held->taken = false;
		held->filled++;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* Check what came, once. */
static int get_ready(struct held *held, gfp_t gfp)
{
	int err;

	if (held->ser)
		return 0;
	err = memfd_check(&memfds, held->unfilled.data, gfp);
	if (!err)
		held->ser = phys_to_virt(held->unfilled.data);
	return err;
}

static int make_file(struct held *held)
{
	const struct hugetlb_memfd_ser *ser = held->ser;
	unsigned int shift = PAGE_SHIFT + ser->order;
	struct file *file;
	int err;

	if (ser->seals & ~SEALS)
		return -EOPNOTSUPP;
	file = memfd_alloc_file("", MFD_HUGETLB | MFD_ALLOW_SEALING |
				    shift << MFD_HUGE_SHIFT);
	if (IS_ERR(file)) {
		pr_err("memfd with pages of %lu KiB cannot be made: %pe\n",
		       BIT(shift - 10), file);
		return PTR_ERR(file);
	}
	err = memfd_add_seals(file, ser->seals);
	if (err) {
		fput(file);
		return err;
	}
	vfs_setpos(file, ser->pos, MAX_LFS_FILESIZE);
	i_size_write(file_inode(file), ser->size);
	runs_begin(&held->runs, ser);
	file->private_data = held;
	held->file = file;
	return 0;
}

static int hugetlb_memfd_retrieve(struct liveupdate_file_op_args *args)
{
	struct held *held = memfd_unfilled_begin(&memfds, args->serialized_data, GFP_KERNEL);
	int err;

	if (IS_ERR(held)) {
		args->retry = liveupdate_transient(PTR_ERR(held));
		return PTR_ERR(held);
	}
	err = get_ready(held, GFP_KERNEL);
	if (!err && !held->file)
		err = make_file(held);
	if (!err)
		err = fill(held);
	memfd_unfilled_end(&memfds, &held->unfilled, !err);
	if (err) {
		args->retry = liveupdate_transient(err);
		return err;
	}
	/* The reference that we had is the caller's now. */
	args->file = held->file;
	return 0;
}

/* Pages of runs, and what points to them; all folios have come back. */
static void free_ser(struct held *held)
{
	struct hugetlb_memfd_list *list, *next;

	for (list = list_at(held->ser->list); list; list = next) {
		next = list_at(list->next);
		kho_restore_free(list);
	}
	kho_restore_free((void *)held->ser);
}

/* The references on those that are in the file, or were. */
static void put_filled(struct held *held)
{
	unsigned long pfn;
	struct runs runs;
	u64 i;

	runs_begin(&runs, held->ser);
	for (i = 0; i < held->filled && runs_next(&runs, &pfn); i++) {
		folio_put(pfn_folio(pfn));
		cond_resched();
	}
}

/* Those that never got into a file go to the pool, if this kernel has one for them. */
static void discard(struct held *held)
{
	struct hstate *h = size_to_hstate(PAGE_SIZE << held->ser->order);
	struct folio *folio;
	unsigned long pfn;

	if (!held->file)
		runs_begin(&held->runs, held->ser);
	if (held->folio)
		to_pool(h, held->folio);
	while (runs_next(&held->runs, &pfn)) {
		if (h) {
			folio = come_back(h, pfn);
			if (folio)
				to_pool(h, folio);
		} else {
			folio = kho_restore_folio(PFN_PHYS(pfn));
			if (folio)
				folio_put(folio);
		}
		cond_resched();
	}
}

static void finish_held(struct held *held, bool filled)
{
	put_filled(held);
	if (!filled) {
		discard(held);
		if (held->file) {
			held->file->private_data = NULL;
			fput(held->file);
		}
	}
	free_ser(held);
	kfree(held);
}

/* No device can reach the memory any more. */
static void hugetlb_memfd_finish(struct liveupdate_file_op_args *args)
{
	struct held *held;
	int err;

	if (args->retrieve_status > 0) {
		held = args->file->private_data;
		args->file->private_data = NULL;
		finish_held(held, true);
		return;
	}
	held = memfd_unfilled_begin(&memfds, args->serialized_data,
				    GFP_KERNEL | __GFP_NOFAIL);
	/* It is another file's, too, which has it. */
	if (IS_ERR(held))
		return;
	err = get_ready(held, GFP_KERNEL | __GFP_NOFAIL);
	memfd_unfilled_end(&memfds, &held->unfilled, true);
	/* What cannot be used stays as it is until the next reboot. */
	if (err)
		kfree(held);
	else
		finish_held(held, false);
}

static bool hugetlb_memfd_can_preserve(struct liveupdate_file_handler *handler,
				       struct file *file)
{
	return is_file_hugepages(file) && !file_inode(file)->i_nlink;
}

static unsigned long hugetlb_memfd_get_id(struct file *file)
{
	return (unsigned long)file_inode(file);
}

static const struct liveupdate_file_ops hugetlb_memfd_ops = {
	.can_preserve = hugetlb_memfd_can_preserve,
	.preserve = hugetlb_memfd_preserve,
	.unpreserve = hugetlb_memfd_unpreserve,
	.freeze = hugetlb_memfd_freeze,
	.retrieve = hugetlb_memfd_retrieve,
	.finish = hugetlb_memfd_finish,
	.get_id = hugetlb_memfd_get_id,
	.owner = THIS_MODULE,
};

static struct liveupdate_file_handler hugetlb_memfd_handler = {
	.ops = &hugetlb_memfd_ops,
	.compatible = HUGETLB_MEMFD_FH_COMPATIBLE,
};

static int __init hugetlb_memfd_init(void)
{
	int err = liveupdate_register_file_handler(&hugetlb_memfd_handler);

	if (!err) {
		err = hugetlb_liveupdate_register(&hugetlb_memfd_handler);
		if (err)
			liveupdate_unregister_file_handler(&hugetlb_memfd_handler);
	}
	if (err && err != -EOPNOTSUPP)
		pr_err("memfds of huge pages cannot be preserved: %pe\n", ERR_PTR(err));
	return err == -EOPNOTSUPP ? 0 : err;
}
late_initcall(hugetlb_memfd_init);
