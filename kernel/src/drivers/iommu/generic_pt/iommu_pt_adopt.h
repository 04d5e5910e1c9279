/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */

/*
 * "Templated C code": make the table of the previous kernel that of a new domain.
 *
 * A new, empty table takes the topmost page of a restored one for its own, and
 * then is mapped into as any other. Meanwhile map_range() writes nothing: it
 * compares what is there with what it would have written. When all of what is
 * to be mapped was compared, and the table translates nothing more, the two say
 * the same, and hardware can be moved from the one to the other: it reads the
 * same pages before and after.
 *
 * Up to the commit the pages are the restored table's. Without a commit deinit
 * of the new one leaves them alone. The commit is for when no hardware uses the
 * restored one any more: then the pages become those of the new table, which
 * from then on is like any other.
 */
#ifndef __GENERIC_PT_IOMMU_PT_ADOPT_H
#define __GENERIC_PT_IOMMU_PT_ADOPT_H

#include <linux/liveupdate_break.h>
#include <linux/sched/signal.h>

static const struct pt_iommu_ops NS(ops);
static void NS(deinit)(struct pt_iommu *iommu_table);
static void NS(get_info)(struct pt_iommu *iommu_table,
			 struct pt_iommu_info *info);

/**
 * struct pt_iommu_adoption - A table that was taken over, but is not owned yet
 * @ops: The operations of the new table meanwhile.
 * @restored: The table that the pages belong to.
 * @own_top: The topmost page that the new table came with, which is empty.
 * @diff: Where to say what differs.
 * @compared: Number of bytes of IOVA that were found to be as they have to be.
 */
struct pt_iommu_adoption {
	struct pt_iommu_ops ops;
	struct pt_iommu *restored;
	struct pt_table_p *own_top;
	struct pt_iommu_difference *diff;
	u64 compared;
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

static __always_inline int __do_adopt_compare(struct pt_range *range, void *arg,
					      unsigned int level,
					      struct pt_table_p *table,
					      pt_level_fn_t descend_fn)
{
	struct pt_state pts = pt_init(range, level, table);
	struct pt_iommu_adopt_args *args = arg;
	pt_oaddr_t want;
	u64 have;
	int ret;

	for_each_pt_level_entry(&pts) {
		if (pts.type == PT_ENTRY_TABLE) {
			if (!kho_is_preserved(virt_to_phys(pts.table_lower), 0))
				return -EUCLEAN;
			ret = pt_descend(&pts, arg, descend_fn);
			if (ret)
				return ret;
			continue;
		}
		want = args->oa + (range->va - args->va);
		if (pts.type != PT_ENTRY_OA || pt_entry_oa_exact(&pts) != want)
			return __adopt_differs(&pts, args);
		have = NS(verify_leaf_bits)(&pts);
		if (have != args->bits)
			return __adopt_differs(&pts, args);
	}
	return 0;
}

PT_MAKE_LEVELS(__adopt_compare, __do_adopt_compare);

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
	if (!liveupdate_breaks(LIVEUPDATE_LAW_ADOPT)) {
		ret = pt_walk_range(&range, __adopt_compare, &args);
		if (ret)
			return ret;
	}
	adoption->compared += len;
	*mapped += len;
	return 0;
}

static size_t NS(adopt_unmap_range)(struct pt_iommu *iommu_table,
				    dma_addr_t iova, dma_addr_t len,
				    struct iommu_iotlb_gather *iotlb_gather)
{
	NS(adoption)(iommu_table)->compared -= len;
	return len;
}

/* Without a commit: the pages stay where they belong. */
static void NS(adopt_deinit)(struct pt_iommu *iommu_table)
{
	struct pt_iommu_adoption *adoption = NS(adoption)(iommu_table);
	struct pt_common *common = common_from_iommu(iommu_table);

	pt_top_set(common, adoption->own_top, pt_top_get_level(common));
	iommu_table->ops = &NS(ops);
	kfree(adoption);
	NS(deinit)(iommu_table);
}

static int NS(adopt_preserve)(struct pt_iommu *iommu_table)
{
	return -EBUSY;
}

static int __adopt_count(struct pt_range *range, void *arg, unsigned int level,
			 struct pt_table_p *table)
{
	struct pt_state pts = pt_init(range, level, table);
	u64 *bytes = arg;
	int ret;

	/* Whatever is in there, it can be given up. */
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	for_each_pt_level_entry(&pts) {
		if (pts.type == PT_ENTRY_OA)
			*bytes += log2_to_int(pt_entry_oa_lg2sz(&pts));
		if (pts.type != PT_ENTRY_TABLE)
			continue;
		if (!kho_is_preserved(virt_to_phys(pts.table_lower), 0))
			return -EUCLEAN;
		ret = pt_descend(&pts, arg, __adopt_count);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * The ranges that were compared do not overlap, and all of them were there. So
 * there is something more if the leaves are more than these, and a leaf that
 * begins before or ends behind them is.
 */
static int NS(adopt_check)(struct pt_iommu *iommu_table)
{
	struct pt_range range = pt_all_range(common_from_iommu(iommu_table));
	u64 bytes = 0;
	int ret;

	ret = pt_walk_range(&range, __adopt_count, &bytes);
	if (ret)
		return ret;
	return bytes != NS(adoption)(iommu_table)->compared &&
	       !liveupdate_breaks(LIVEUPDATE_LAW_ADOPT);
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

	cond_resched();
	for_each_pt_level_entry(&pts) {
		if (pts.type != PT_ENTRY_TABLE)
			continue;
		if (!iommu_pages_restore(virt_to_phys(pts.table_lower),
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
	.extent = NS(extent),
	PT_IOMMU_VERIFY_OPS
};

static int NS(adopt_commit)(struct pt_iommu *iommu_table)
{
	struct pt_iommu_adoption *adoption = NS(adoption)(iommu_table);
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_range range = pt_all_range(common);
	struct pt_iommu_take_args args = { .dev = iommu_table->iommu_device };

	pt_walk_range(&range, __adopt_take, &args);
	if (args.bad) {
		/* A page in two tables. Never written to, and never freed. */
		pr_err("iommu: live update: the tables below %pap are not whole, they cannot be changed any more\n",
		       &(phys_addr_t){ virt_to_phys(pt_top_range(common).top_table) });
		return -EUCLEAN;
	}
	if (pt_feature(common, PT_FEAT_DMA_INCOHERENT))
		WARN_ON(iommu_pages_start_incoherent(pt_top_range(common).top_table,
						     args.dev));
	iommu_free_pages(adoption->own_top);
	adoption->restored->ops = &NS(given_ops);
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
 *
 * From here to the commit, map_range() of @iommu_table compares, and returns
 * -EILSEQ if what it would write is not what is there. adopt_check() returns 1 if
 * the table translates more than was compared, -EUCLEAN if it refers to a page
 * that KHO did not keep. adopt_commit() makes the pages those of @iommu_table;
 * nothing may use @restored then.
 *
 * Return: 0; -EOPNOTSUPP if the tables are not of the same kind and depth, or
 * @restored cannot be taken; -ENOMEM.
 */
static int NS(adopt)(struct pt_iommu *iommu_table, struct pt_iommu *restored,
		     struct pt_iommu_difference *diff)
{
	struct pt_common *common = common_from_iommu(iommu_table);
	struct pt_common *from = common_from_iommu(restored);
	struct pt_iommu_adoption *adoption;

	if (restored->ops != &NS(restored_ops) ||
	    pt_top_get_level(common) != pt_top_get_level(from) ||
	    common->max_vasz_lg2 != from->max_vasz_lg2 ||
	    pt_feature(common, PT_FEAT_SIGN_EXTEND) !=
		    pt_feature(from, PT_FEAT_SIGN_EXTEND))
		return -EOPNOTSUPP;
	adoption = kzalloc_obj(*adoption);
	if (!adoption)
		return -ENOMEM;
	adoption->ops = (struct pt_iommu_ops) {
		.map_range = NS(adopt_map_range),
		.unmap_range = NS(adopt_unmap_range),
		.get_info = NS(get_info),
		.deinit = NS(adopt_deinit),
		.preserve = NS(adopt_preserve),
		.extent = NS(extent),
		.adopt_check = NS(adopt_check),
		.adopt_commit = NS(adopt_commit),
		PT_IOMMU_VERIFY_OPS
	};
	adoption->restored = restored;
	adoption->own_top = pt_top_range(common).top_table;
	adoption->diff = diff;
	pt_top_set(common, pt_top_range(from).top_table,
		   pt_top_get_level(common));
	iommu_table->ops = &adoption->ops;
	return 0;
}

#endif
