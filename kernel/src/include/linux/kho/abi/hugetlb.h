/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_HUGETLB_H
#define _LINUX_KHO_ABI_HUGETLB_H

#include <linux/types.h>

/**
 * DOC: Handover of the pools of huge pages
 *
 * How many huge pages come over, of all files together, so that the next kernel
 * counts them as part of its pools before it fills these. Which ones they are
 * the files say.
 *
 * A change of the layout changes the version string.
 */

/* The compatibility string of the FLB */
#define HUGETLB_LIVEUPDATE_COMPATIBLE	"hugetlb-v1"

/**
 * struct hugetlb_pool_ser - Huge pages of one size on one node
 * @order: Each has 2^@order pages.
 * @nid:   The node.
 * @nr:    How many; 0 if there are none any more.
 */
struct hugetlb_pool_ser {
	u32 order;
	u32 nid;
	u64 nr;
} __packed;

#define HUGETLB_SER_POOLS	255

/**
 * struct hugetlb_ser - All huge pages that come over
 * @nr_pools: Number of entries of @pool that are used; no two are of the same
 *            order and node.
 * @reserved: Zero.
 * @pool:     The entries.
 */
struct hugetlb_ser {
	u32 nr_pools;
	u32 reserved;
	struct hugetlb_pool_ser pool[HUGETLB_SER_POOLS];
} __packed;

#endif /* _LINUX_KHO_ABI_HUGETLB_H */
