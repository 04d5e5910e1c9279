/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __GENERIC_PT_VERIFY_H
#define __GENERIC_PT_VERIFY_H

#include <linux/types.h>

/**
 * struct pt_iommu_translation - What a page table says of one IOVA
 * @oa: Output address, if @present.
 * @entry: The leaf as hardware reads it, if @present.
 * @lg2sz: log2 of the size of the leaf in bytes, if @present.
 * @present: There is a translation.
 */
struct pt_iommu_translation {
	u64 oa;
	u64 entry;
	u8 lg2sz;
	bool present;
};

/**
 * struct pt_iommu_window - IOVAs of which one of two tables may know more
 * @first: The lowest one.
 * @last: The highest one.
 */
struct pt_iommu_window {
	u64 first;
	u64 last;
};

/* There are none. */
#define PT_IOMMU_NO_WINDOW	((struct pt_iommu_window){ .first = 1 })

/**
 * struct pt_iommu_difference - Where two page tables differ
 * @iova: The lowest IOVA that they translate differently; valid if they do.
 * @side: What each of them says there.
 * @size_iova: The lowest IOVA up to @iova that has leaves of different sizes;
 *	valid if @sizes_differ.
 * @sizes_differ: A translation has leaves of different sizes. This is no
 *	difference by itself.
 */
struct pt_iommu_difference {
	u64 iova;
	struct pt_iommu_translation side[2];
	u64 size_iova;
	bool sizes_differ;
};

/**
 * typedef pt_iommu_leaf_fn_t - What to do with a leaf
 * @arg: Of the caller.
 * @iova: Where the leaf begins, or where the caller's range begins in it.
 * @paddr: What @iova translates to.
 * @len: Number of bytes from @iova to the end of the leaf, which can be behind
 *	the end of the range.
 *
 * Return: 0 to go on.
 */
typedef int (*pt_iommu_leaf_fn_t)(void *arg, u64 iova, u64 paddr, u64 len);

#endif
