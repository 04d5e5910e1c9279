/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * "Templated C code": what iommu_pt.h needs for a live update, for each format.
 *
 * A table is carried over as it is. The outgoing kernel tells KHO about each of
 * its pages (preserve), the incoming one makes a page table of the topmost page
 * alone (restore): that takes the same time for a table of any size. Only when
 * the restored table is freed are its pages visited again. Each is handed out
 * by KHO before it is read, and KHO hands out a page once: a walk through a
 * damaged table ends, and never leaves the memory that was preserved.
 */
#ifndef __GENERIC_PT_IOMMU_PT_LIVEUPDATE_H
#define __GENERIC_PT_IOMMU_PT_LIVEUPDATE_H

#include "iommu_pt_verify.h"

#ifdef CONFIG_IOMMU_PT_LIVEUPDATE

#include <linux/iommu-liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/sched.h>
#include <linux/kho_native.h>

/*
 * Of a walk through all of a table: go on to the next item that refers to one
 * below it. The leaves between cost next to nothing.
 */
static __always_inline bool NS(next_table)(struct pt_state *pts)
{
	for (; pts->index < pts->end_index; pts->index++) {
		pts->type = pt_load_entry_raw(pts);
		if (pts->type != PT_ENTRY_TABLE)
			continue;
		pts->table_lower = pt_table_ptr(pts);
		pt_index_to_va(pts);
		return true;
	}
	return false;
}

/*
 * @done: Number of tables below the top that were preserved.
 * @undo: Number of them that are to be unpreserved; 0 while preserving. The
 *	order of the walk is the same, so the first ones are meant.
 */
struct pt_iommu_preserve_args {
	unsigned long done;
	unsigned long undo;
};

static int __preserve_tables(struct pt_range *range, void *arg,
			     unsigned int level, struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_iommu_preserve_args *args = arg;
	int ret;

	if (!pt_can_have_table(&pts))
		return 0;

	cond_resched();
	for (_pt_iter_first(&pts); NS(next_table)(&pts); pts.index++) {
		struct folio *folio = virt_to_folio(pts.table_lower);

		if (args->undo) {
			kho_unpreserve_folio(folio);
			if (!--args->undo)
				return -ECANCELED;
		} else {
			ret = kho_preserve_folio(folio);
			if (ret)
				return ret;
			args->done++;
		}
		ret = pt_descend(&pts, arg, __preserve_tables);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * unpreserve() - Undo preserve()
 * @iommu_table: Table that did not change since.
 */
static void NS(unpreserve)(struct pt_iommu *iommu_table)
{
	struct pt_range range = pt_all_range(common_from_iommu(iommu_table));
	struct pt_iommu_preserve_args args = { .undo = ULONG_MAX };

	pt_walk_range(&range, __preserve_tables, &args);
	kho_unpreserve_folio(virt_to_folio(range.top_table));
}

/**
 * preserve() - Have KHO keep all pages of a table
 * @iommu_table: Table to preserve
 *
 * Context: The caller must keep the table from changing until unpreserve().
 * Return: 0, or -ENOMEM, with nothing preserved.
 */
static int NS(preserve)(struct pt_iommu *iommu_table)
{
	struct pt_range range = pt_all_range(common_from_iommu(iommu_table));
	struct pt_iommu_preserve_args args = {};
	int ret;

	ret = kho_preserve_folio(virt_to_folio(range.top_table));
	if (ret)
		return ret;
	ret = pt_walk_range(&range, __preserve_tables, &args);
	if (!ret)
		return 0;

	/* The walk has moved the range to where it ended. */
	range = pt_all_range(common_from_iommu(iommu_table));
	args.undo = args.done;
	if (args.undo)
		pt_walk_range(&range, __preserve_tables, &args);
	kho_unpreserve_folio(virt_to_folio(range.top_table));
	return ret;
}

struct pt_iommu_leaves_args {
	pt_iommu_leaf_fn_t fn;
	void *arg;
};

static __always_inline int __do_leaves(struct pt_range *range, void *arg,
				       unsigned int level,
				       struct pt_table_p *table,
				       pt_level_fn_t descend_fn)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_iommu_leaves_args *args = arg;
	unsigned int lg2sz;
	int ret;

	for_each_pt_level_entry(&pts) {
		switch (pts.type) {
		case PT_ENTRY_TABLE:
			ret = pt_descend(&pts, arg, descend_fn);
			break;
		case PT_ENTRY_OA:
			lg2sz = pt_entry_oa_lg2sz(&pts);
			ret = args->fn(args->arg, range->va,
				       pt_entry_oa_exact(&pts),
				       log2_to_int(lg2sz) -
					       log2_mod(range->va, lg2sz));
			break;
		default:
			return -ENOENT;
		}
		if (ret)
			return ret;
	}
	return 0;
}

PT_MAKE_LEVELS(__leaves, __do_leaves);

/**
 * leaves() - Go through the leaves of a range
 * @iommu_table: Table to query
 * @first: First IO virtual address
 * @last: Last one
 * @fn: Called for each leaf in turn, see pt_iommu_leaf_fn_t
 * @arg: For @fn
 *
 * Context: The caller must hold a read range lock that includes the range.
 * Return: 0, or what @fn returned last, if not 0; -ENOENT at the first address
 * that has no translation; -ERANGE and the like if the range is outside of the
 * table.
 */
static int NS(leaves)(struct pt_iommu *iommu_table, u64 first, u64 last,
		      pt_iommu_leaf_fn_t fn, void *arg)
{
	struct pt_iommu_leaves_args args = { .fn = fn, .arg = arg };
	struct pt_range range;
	int ret;

	ret = make_range(common_from_iommu(iommu_table), &range, first,
			 last - first + 1);
	if (ret)
		return ret;
	return pt_walk_range(&range, __leaves, &args);
}

/*
 * @free_list: Tables that were taken over, to be freed.
 * @bad: One could not be: it was not preserved, or is there twice.
 */
struct pt_iommu_restore_args {
	struct iommu_pages_list free_list;
	bool bad;
};

static int __restore_tables(struct pt_range *range, void *arg,
			    unsigned int level, struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_iommu_restore_args *args = arg;
	int ret;

	if (!pt_can_have_table(&pts))
		return 0;

	cond_resched();
	for (_pt_iter_first(&pts); NS(next_table)(&pts); pts.index++) {
		if (!iommu_pages_restore(pt_table_pa(&pts),
					 log2_to_int(PT_TABLEMEM_LG2SZ))) {
			args->bad = true;
			continue;
		}
		iommu_pages_list_add(&args->free_list, pts.table_lower);
		ret = pt_descend(&pts, arg, __restore_tables);
		if (ret)
			return ret;
	}
	return 0;
}

static void NS(restored_deinit)(struct pt_iommu *iommu_table)
{
	struct pt_range range = pt_all_range(common_from_iommu(iommu_table));
	struct pt_iommu_restore_args args = {
		.free_list = IOMMU_PAGES_LIST_INIT(args.free_list),
	};

	iommu_pages_list_add(&args.free_list, range.top_table);
	pt_walk_range(&range, __restore_tables, &args);
	if (args.bad) {
		/* Then any of them can be the memory of somebody else. */
		pr_err("liveupdate: the tables below %pap are not whole, none of them can be freed\n",
		       &(phys_addr_t){ virt_to_phys(range.top_table) });
		return;
	}
	iommu_put_pages_list(&args.free_list);
}

static int NS(restored_map_range)(struct pt_iommu *iommu_table, dma_addr_t iova,
				  phys_addr_t paddr, dma_addr_t len,
				  unsigned int prot, gfp_t gfp, size_t *mapped)
{
	return -EPERM;
}

static size_t NS(restored_unmap_range)(struct pt_iommu *iommu_table,
				       dma_addr_t iova, dma_addr_t len,
				       struct iommu_iotlb_gather *iotlb_gather)
{
	return 0;
}

/* A restored table is never written to. */
static const struct pt_iommu_ops NS(restored_ops) = {
	.map_range = NS(restored_map_range),
	.unmap_range = NS(restored_unmap_range),
	.get_info = NS(get_info),
	.deinit = NS(restored_deinit),
	.leaves = NS(leaves),
	PT_IOMMU_VERIFY_OPS
};

#include "iommu_pt_adopt.h"

#define PT_IOMMU_LIVEUPDATE_OPS         \
	.adopt = NS(adopt),             \
	.preserve = NS(preserve),       \
	.unpreserve = NS(unpreserve),   \
	.leaves = NS(leaves),           \
	PT_IOMMU_VERIFY_OPS

#define PT_IOMMU_NS(fn) CONCATENATE(CONCATENATE(pt_iommu_, PTPFX), fn)
/* iommu_pt.h defines pt_iommu_table_cfg after this. */
#define pt_iommu_restore_cfg CONCATENATE(pt_iommu_table, _cfg)

/**
 * restore() - Make a page table of the tables of the previous kernel
 * @fmt_table: Page table to set up, as for init()
 * @cfg: Configuration, as for init()
 * @top: Physical address of the topmost table, which was preserved; the others
 *	are those that it refers to
 *
 * The table can be used by hardware and be queried, but neither be mapped into
 * nor unmapped from. Deinit frees all of it.
 *
 * Return: 0, -EINVAL if @top was not preserved, or what init() returns.
 */
int PT_IOMMU_NS(restore)(struct pt_iommu_table *fmt_table,
			 const struct pt_iommu_restore_cfg *cfg,
			 phys_addr_t top)
{
	struct pt_iommu *iommu_table = &fmt_table->iommu;
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_table_p *table;
	int ret;

	ret = PT_IOMMU_NS(init)(fmt_table, cfg, GFP_KERNEL);
	if (ret)
		return ret;
	table = iommu_pages_restore(top, log2_to_int(PT_TABLEMEM_LG2SZ));
	if (!table) {
		pt_iommu_deinit(iommu_table);
		return -EINVAL;
	}
	iommu_pages_free_incoherent(pt_top_range(common).top_table,
				    iommu_table->iommu_device);
	pt_top_set(common, table, pt_top_get_level(common));
	iommu_table->ops = &NS(restored_ops);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(PT_IOMMU_NS(restore), "GENERIC_PT_IOMMU");

#else
#define PT_IOMMU_LIVEUPDATE_OPS PT_IOMMU_VERIFY_OPS
#endif

#endif
