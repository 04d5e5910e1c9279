/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef _LINUX_KHO_ABI_HUGETLB_MEMFD_H
#define _LINUX_KHO_ABI_HUGETLB_MEMFD_H

#include <linux/types.h>

/**
 * DOC: Handover of a memfd of huge pages
 *
 * The file has no holes: preserve fills them. So its folios follow each other,
 * all of one size, and what has to be said of them is where they are: in runs,
 * each of them physically contiguous: eight bytes for each run, in pages of 510. A
 * file whose folios are all apart so takes 4096 bytes for 510 of them, 8.03 for each.
 *
 * A change of the layout changes the version string.
 */

/* The compatibility string of the file handler */
#define HUGETLB_MEMFD_FH_COMPATIBLE	"hugetlb-memfd-v1"

/**
 * struct hugetlb_memfd_run - Folios that follow each other, in the file and in memory
 * @first: Page frame number of the first one, in units of one folio.
 * @nr:    How many there are, at least one.
 */
struct hugetlb_memfd_run {
	u64 first:40;
	u64 nr:24;
} __packed;

/* Most folios of a run */
#define HUGETLB_MEMFD_RUN_MAX		((1U << 24) - 1)

/* So that a list is of 4 KiB, whatever the size of a page is */
#define HUGETLB_MEMFD_RUNS		510

/**
 * struct hugetlb_memfd_list - Runs, in a page of their own
 * @next: Physical address of the next list, or 0. All but the last are full.
 * @nr:   Number of entries of @run that are used, at least one.
 * @run:  The runs, in the order of the file.
 */
struct hugetlb_memfd_list {
	u64 next;
	u64 nr;
	struct hugetlb_memfd_run run[HUGETLB_MEMFD_RUNS];
} __packed;

/**
 * struct hugetlb_memfd_ser - A memfd of huge pages
 * @pos:   Position of the file (f_pos).
 * @size:  Its size in bytes, a multiple of that of a folio.
 * @seals: Its seals, F_SEAL_*.
 * @order: Each folio has 2^@order pages.
 * @list:  Physical address of the first list of runs, which together are @size;
 *         0 if the file is empty.
 */
struct hugetlb_memfd_ser {
	u64 pos;
	u64 size;
	u32 seals;
	u32 order;
	u64 list;
} __packed;

#endif /* _LINUX_KHO_ABI_HUGETLB_MEMFD_H */
