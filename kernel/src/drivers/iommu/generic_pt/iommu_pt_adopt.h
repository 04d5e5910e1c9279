/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * "Templated C code": make the table of the previous kernel that of a new domain.
 *
 * A new, empty table takes the topmost page of a restored one for its own, and
 * then is mapped into as any other. Meanwhile map_range() writes nothing: it
 * compares what is there with what it would have written. When all of what is
 * to be mapped was compared, and the table translates nothing in the gaps between,
 * the two say the same, and hardware can be moved from the one to the other: it
 * reads the same pages before and after.
 *
 * Up to the commit the pages are the restored table's. Without a commit deinit
 * of the new one leaves them alone. The commit is for when no hardware uses the
 * restored one any more: then the pages become those of the new table, which
 * from then on is like any other.
 *
 * Or the sizes of the leaves alone are taken over, for hardware that must not see
 * a translation change its size: then map_range() compares in the same way, and
 * writes each translation into the new table with a leaf as large as the restored
 * one's. Nothing is shared, and the commit merely ends this.
 */
#ifndef __GENERIC_PT_IOMMU_PT_ADOPT_H
#define __GENERIC_PT_IOMMU_PT_ADOPT_H

#include <linux/sched/signal.h>

static const struct pt_iommu_ops NS(ops);
static void NS(deinit)(struct pt_iommu *iommu_table);
static void NS(get_info)(struct pt_iommu *iommu_table,
			 struct pt_iommu_info *info);

/**
 * struct pt_iommu_adoption - A table that was taken over, but is not owned yet
 * @ops: The operations of the new table meanwhile.
 * @restored: The table that the pages belong to.
 * @own_top: The topmost page that the new table came with, which is empty. NULL
 *	if only the sizes of the leaves are taken over.
 * @diff: Where to say what differs.
 */
struct pt_iommu_adoption {
	struct pt_iommu_ops ops;
	struct pt_iommu *restored;
	struct pt_table_p *own_top;
	struct pt_iommu_difference *diff;
};

static struct pt_iommu_adoption *NS(adoption)(struct pt_iommu *iommu_table)
{
	return container_of(iommu_table->ops, struct pt_iommu_adoption, ops);
}

/* What a range has to translate to: @oa at @va, with these bits of attributes. */
struct pt_iommu_adopt_args {
	struct pt_iommu_difference *diff;
	pt_vaddr_t va;
	pt_oaddr_t oa;
	u64 bits;
};

/* Does a leaf, from where the walk is, translate to what was asked for? */
static __always_inline bool NS(adopt_right)(const struct pt_state *pts,
					    const struct pt_iommu_adopt_args *args)
{
	u64 bits;

	if (pts->type != PT_ENTRY_OA)
		return false;
	bits = NS(verify_leaf_bits)(pts);
	return bits == args->bits &&
	       pt_entry_oa_exact(pts) ==
		       args->oa + (pts->range->va - args->va);
}

static int __adopt_differs(struct pt_state *pts,
			   struct pt_iommu_adopt_args *args)
{
	struct pt_iommu_difference *diff = args->diff;

	diff->iova = pts->range->va;
	NS(verify_describe)(pts, &diff->side[0]);
	if (pts->type == PT_ENTRY_OA)
		diff->side[0].oa = pt_entry_oa_exact(pts);
	diff->side[1] = (struct pt_iommu_translation) {
		.present = true,
		.oa = args->oa + (pts->range->va - args->va),
		.entry = args->bits,
	};
	return -EILSEQ;
}

/* Down into a table of the previous kernel, if it has handed that over. */
static __always_inline int NS(adopt_descend)(struct pt_state *pts, void *arg,
					     pt_level_fn_t descend_fn)
{
	if (!kho_is_preserved(pt_table_pa(pts), 0))
		return -EUCLEAN;
	return pt_descend(pts, arg, descend_fn);
}

static __always_inline int __do_adopt_compare(struct pt_range *range, void *arg,
					      unsigned int level,
					      struct pt_table_p *table,
					      pt_level_fn_t descend_fn)
{
	struct pt_state pts = pt_init(range, level, table);
	const u64 *item = pt_cur_table(&pts, u64);
	struct pt_iommu_adopt_args *args = arg;
	u64 before = 0, now;
	int ret;

	for_each_pt_level_entry(&pts) {
		if (pts.type == PT_ENTRY_TABLE) {
			ret = NS(adopt_descend)(&pts, arg, descend_fn);
			if (ret)
				return ret;
			before = 0;
			continue;
		}
		if (!NS(adopt_right)(&pts, args))
			return __adopt_differs(&pts, args);

		/* Two neighbours that are right stand for a run: see verify. */
		now = pts.entry & PT_VERIFY_BITS;
		if (pt_entry_num_contig_lg2(&pts)) {
			before = 0;
		} else if (!before) {
			before = now;
		} else {
			pts.index = NS(verify_run)(item, pts.index + 1,
						   pts.end_index,
						   2 * now - before,
						   now - before) - 1;
			before = 0;
		}
	}
	return 0;
}

PT_MAKE_LEVELS(__adopt_compare, __do_adopt_compare);

/*
 * A run of leaves that follow each other, of one size, is mapped together.
 *
 * @want: What the range that the walk goes through has to translate to.
 * @to: The table to map it into.
 * @mapped: Number of bytes at the begin of the range that were mapped.
 * @run_lg2sz: Size of the leaves of the run, which begins there; 0 without one.
 */
struct pt_iommu_adopt_sizes {
	struct pt_iommu_adopt_args want;
	struct pt_iommu *to;
	unsigned int prot;
	gfp_t gfp;
	size_t mapped;
	unsigned int run_lg2sz;
};

/* Map the run, which ends before @va. */
static int NS(adopt_sizes_flush)(struct pt_iommu_adopt_sizes *sizes,
				 pt_vaddr_t va)
{
	unsigned long *pgsizes = &sizes->to->domain.pgsize_bitmap;
	pt_vaddr_t begin = sizes->want.va + sizes->mapped;
	unsigned long all = *pgsizes;
	int ret;

	if (!sizes->run_lg2sz || va == begin)
		return 0;
	/* The table is under construction: nobody else asks for its sizes. */
	*pgsizes &= GENMASK(sizes->run_lg2sz, 0);
	ret = NS(map_range)(sizes->to, begin, sizes->want.oa + sizes->mapped,
			    va - begin, sizes->prot, sizes->gfp,
			    &sizes->mapped);
	*pgsizes = all;
	return ret;
}

static __always_inline int __do_adopt_sizes(struct pt_range *range, void *arg,
					    unsigned int level,
					    struct pt_table_p *table,
					    pt_level_fn_t descend_fn)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_iommu_adopt_sizes *sizes = arg;
	struct pt_iommu_adopt_args *want = &sizes->want;
	unsigned int lg2sz;
	int ret;

	for_each_pt_level_entry(&pts) {
		if (pts.type == PT_ENTRY_TABLE) {
			ret = NS(adopt_descend)(&pts, arg, descend_fn);
			if (ret)
				return ret;
			continue;
		}
		if (!NS(adopt_right)(&pts, want))
			return __adopt_differs(&pts, want);

		/* A part of a leaf cannot be a leaf of that size. */
		lg2sz = pt_entry_oa_lg2sz(&pts);
		if (log2_mod(range->va, lg2sz) ||
		    range->last_va - range->va < log2_to_max_int(lg2sz) ||
		    !(sizes->to->domain.pgsize_bitmap & BIT(lg2sz))) {
			want->diff->sizes_differ = true;
			want->diff->size_iova = range->va;
			return __adopt_differs(&pts, want);
		}
		if (lg2sz != sizes->run_lg2sz) {
			ret = NS(adopt_sizes_flush)(sizes, range->va);
			if (ret)
				return ret;
			sizes->run_lg2sz = lg2sz;
		}
	}
	return 0;
}

PT_MAKE_LEVELS(__adopt_sizes, __do_adopt_sizes);

static int NS(adopt_sizes_map_range)(struct pt_iommu *iommu_table,
				     dma_addr_t iova, phys_addr_t paddr,
				     dma_addr_t len, unsigned int prot,
				     gfp_t gfp, size_t *mapped)
{
	struct pt_iommu_adoption *adoption = NS(adoption)(iommu_table);
	struct pt_iommu_adopt_sizes sizes = {
		.want = { .diff = adoption->diff, .oa = paddr },
		.to = iommu_table,
		.prot = prot,
		.gfp = gfp,
	};
	struct pt_write_attrs attrs = {};
	struct pt_range range;
	int ret;

	ret = pt_iommu_set_prot(common_from_iommu(iommu_table), &attrs, prot);
	if (ret)
		return ret;
	ret = make_range(common_from_iommu(adoption->restored), &range, iova,
			 len);
	if (ret)
		return ret;
	sizes.want.va = range.va;
	sizes.want.bits = attrs.descriptor_bits & PT_VERIFY_BITS;
	ret = pt_walk_range(&range, __adopt_sizes, &sizes);
	if (!ret)
		ret = NS(adopt_sizes_flush)(&sizes, sizes.want.va + len);
	*mapped += sizes.mapped;
	return ret;
}

static int NS(adopt_map_range)(struct pt_iommu *iommu_table, dma_addr_t iova,
			       phys_addr_t paddr, dma_addr_t len,
			       unsigned int prot, gfp_t gfp, size_t *mapped)
{
	struct pt_iommu_adoption *adoption = NS(adoption)(iommu_table);
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_iommu_adopt_args args = { .diff = adoption->diff };
	struct pt_write_attrs attrs = {};
	struct pt_range range;
	int ret;

	ret = pt_iommu_set_prot(common, &attrs, prot);
	if (ret)
		return ret;
	ret = make_range(common, &range, iova, len);
	if (ret)
		return ret;
	args.va = range.va;
	args.oa = paddr;
	args.bits = attrs.descriptor_bits & PT_VERIFY_BITS;
	ret = pt_walk_range(&range, __adopt_compare, &args);
	if (ret)
		return ret;
	*mapped += len;
	return 0;
}

static size_t NS(adopt_unmap_range)(struct pt_iommu *iommu_table,
				    dma_addr_t iova, dma_addr_t len,
				    struct iommu_iotlb_gather *iotlb_gather)
{
	return len;
}

/* Without a commit: the pages stay where they belong. */
static void NS(adopt_deinit)(struct pt_iommu *iommu_table)
{
	struct pt_iommu_adoption *adoption = NS(adoption)(iommu_table);
	struct pt_common *common = common_from_iommu(iommu_table);

	if (adoption->own_top)
		pt_top_set(common, adoption->own_top, pt_top_get_level(common));
	iommu_table->ops = &NS(ops);
	kfree(adoption);
	NS(deinit)(iommu_table);
}

static int NS(adopt_preserve)(struct pt_iommu *iommu_table)
{
	return -EBUSY;
}

static __always_inline int __do_adopt_nothing(struct pt_range *range, void *arg,
					      unsigned int level,
					      struct pt_table_p *table,
					      pt_level_fn_t descend_fn)
{
	struct pt_state pts = pt_init(range, level, table);
	const u64 *item = pt_cur_table(&pts, u64);
	int ret;

	/* Whatever is in there, it can be given up. */
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	for_each_pt_level_entry(&pts) {
		if (pts.type == PT_ENTRY_OA)
			return 1;
		if (NS(verify_reserved)(pts.type, pts.entry))
			return -EUCLEAN;
		if (pts.type == PT_ENTRY_EMPTY) {
			pts.index = NS(verify_run)(item, pts.index + 1,
						   pts.end_index, 0, 0) - 1;
			continue;
		}
		ret = NS(adopt_descend)(&pts, arg, descend_fn);
		if (ret)
			return ret;
	}
	return 0;
}

PT_MAKE_LEVELS(__adopt_nothing, __do_adopt_nothing);

/* What is mapped was compared. What is not must not be translated. */
static int NS(adopt_check)(struct pt_iommu *iommu_table, u64 first, u64 last)
{
	struct pt_common *common =
		common_from_iommu(NS(adoption)(iommu_table)->restored);
	struct pt_range half[] = { pt_top_range(common),
				   pt_upper_range(common) };
	unsigned int i;
	int ret;

	for (i = 0; i <= pt_feature(common, PT_FEAT_SIGN_EXTEND); i++) {
		half[i].va = max_t(u64, half[i].va, first);
		half[i].last_va = min_t(u64, half[i].last_va, last);
		if (half[i].va > half[i].last_va)
			continue;
		ret = pt_walk_range(&half[i], __adopt_nothing, NULL);
		if (ret)
			return ret;
	}
	return 0;
}

struct pt_iommu_take_args {
	struct device *dev;
	bool bad;
};

static int __adopt_take(struct pt_range *range, void *arg, unsigned int level,
			struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_iommu_take_args *args = arg;
	int ret;

	if (!pt_can_have_table(&pts))
		return 0;

	cond_resched();
	for (_pt_iter_first(&pts); NS(next_table)(&pts); pts.index++) {
		if (!iommu_pages_adopt(pt_table_pa(&pts),
				       log2_to_int(PT_TABLEMEM_LG2SZ))) {
			args->bad = true;
			continue;
		}
		if (pt_feature(range->common, PT_FEAT_DMA_INCOHERENT))
			WARN_ON(iommu_pages_start_incoherent(pts.table_lower,
							     args->dev));
		ret = pt_descend(&pts, arg, __adopt_take);
		if (ret)
			return ret;
	}
	return 0;
}

/* Its pages are another table's now. */
static void NS(given_deinit)(struct pt_iommu *iommu_table)
{
}

static const struct pt_iommu_ops NS(given_ops) = {
	.map_range = NS(restored_map_range),
	.unmap_range = NS(restored_unmap_range),
	.get_info = NS(get_info),
	.deinit = NS(given_deinit),
	.leaves = NS(leaves),
	PT_IOMMU_VERIFY_OPS
};

static int NS(adopt_commit)(struct pt_iommu *iommu_table)
{
	struct pt_iommu_adoption *adoption = NS(adoption)(iommu_table);
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_range range = pt_all_range(common);
	struct pt_iommu_take_args args = { .dev = iommu_table->iommu_device };

	if (!adoption->own_top)
		goto out_own;

	pt_walk_range(&range, __adopt_take, &args);
	if (args.bad) {
		/* A page in two tables. Never written to, and never freed. */
		pr_err("liveupdate: the tables below %pap are not whole, they cannot be changed any more\n",
		       &(phys_addr_t){ virt_to_phys(pt_top_range(common).top_table) });
		return -EUCLEAN;
	}
	if (pt_feature(common, PT_FEAT_DMA_INCOHERENT))
		WARN_ON(iommu_pages_start_incoherent(pt_top_range(common).top_table,
						     args.dev));
	iommu_pages_free_incoherent(adoption->own_top,
				    iommu_table->iommu_device);
	adoption->restored->ops = &NS(given_ops);
out_own:
	iommu_table->ops = &NS(ops);
	kfree(adoption);
	return 0;
}

/**
 * adopt() - Let a new table begin with the contents of a restored one
 * @iommu_table: A table that nothing was mapped into yet.
 * @restored: A table of the same format, from restore().
 * @diff: Filled in when a map_range() fails with -EILSEQ: what the restored table
 *	says (side 0) and what was to be mapped. Valid until the commit.
 * @sizes: Take over the sizes of the leaves alone.
 *
 * From here to the commit, map_range() of @iommu_table compares, and returns
 * -EILSEQ if what it would write is not what is there. adopt_check() is for the
 * gaps: it returns 1 if the restored table translates an IOVA from @first to @last,
 * -EUCLEAN if it refers to a page that KHO did not keep or has an item of a reserved
 * encoding, -EINTR if the caller is about to die. adopt_commit() makes the pages those
 * of @iommu_table; nothing may use @restored then.
 *
 * With @sizes map_range() writes, too, and the commit only makes @iommu_table a
 * table like any other. A leaf that cannot have its size, because a map_range()
 * covers a part of it, gives -EILSEQ with @diff->sizes_differ.
 *
 * Return: 0; -EOPNOTSUPP if the tables are not of the same kind and depth, or
 * @restored cannot be taken; -ENOMEM.
 */
static int NS(adopt)(struct pt_iommu *iommu_table, struct pt_iommu *restored,
		     struct pt_iommu_difference *diff, bool sizes)
{
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_common *from = common_from_iommu(restored);
	struct pt_iommu_adoption *adoption;

	if (restored->ops != &NS(restored_ops) ||
	    (!sizes && pt_top_get_level(common) != pt_top_get_level(from)) ||
	    common->max_vasz_lg2 != from->max_vasz_lg2 ||
	    pt_feature(common, PT_FEAT_SIGN_EXTEND) !=
		    pt_feature(from, PT_FEAT_SIGN_EXTEND))
		return -EOPNOTSUPP;
	adoption = kzalloc_obj(*adoption);
	if (!adoption)
		return -ENOMEM;
	adoption->ops = (struct pt_iommu_ops) {
		.map_range = sizes ? NS(adopt_sizes_map_range) :
				     NS(adopt_map_range),
		.unmap_range = sizes ? NS(unmap_range) : NS(adopt_unmap_range),
		.get_info = NS(get_info),
		.deinit = NS(adopt_deinit),
		.preserve = NS(adopt_preserve),
		.leaves = NS(leaves),
		.adopt_check = NS(adopt_check),
		.adopt_commit = NS(adopt_commit),
		PT_IOMMU_VERIFY_OPS
	};
	adoption->restored = restored;
	adoption->diff = diff;
	*diff = (struct pt_iommu_difference){};
	if (!sizes) {
		adoption->own_top = pt_top_range(common).top_table;
		pt_top_set(common, pt_top_range(from).top_table,
			   pt_top_get_level(common));
	}
	iommu_table->ops = &adoption->ops;
	return 0;
}

#endif
