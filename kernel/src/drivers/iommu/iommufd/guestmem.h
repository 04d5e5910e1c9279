/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 The Continuo authors */
#ifndef __IOMMUFD_GUESTMEM_H
#define __IOMMUFD_GUESTMEM_H

/*
 * A part of pages.c, and included there, behind struct pfn_batch.
 */

/**
 * DOC: Files of guestmemfs in an IOAS
 *
 * IOMMU_IOAS_MAP_FILE takes files of guestmemfs, too. Their memory is RAM without
 * struct page. It is allocated with the file, and does not move as long as the
 * file is pinned. An iopt_pages of such a file differs from one of a memfd:
 *
 * - What is pinned is the file, from the first map until the last area of it is
 *   gone. Its PFNs are never pinned or unpinned. A range that is not in the file
 *   is refused when it is mapped, not when the first domain comes.
 * - Nothing is charged: npinned stays 0. The system gave this memory away when it
 *   booted.
 * - PFNs are read from the file, even where a domain has them already. The file
 *   tells a whole piece at once, a domain one PFN.
 * - In-kernel accesses (iommufd_access_pin_pages() and iommufd_access_rw()) are
 *   refused with EINVAL, as with a dma-buf: they deal in struct page. So the
 *   xarray of PFNs stays empty, and domains_itree is the only one in use.
 * - The file must have been opened for reading, and for writing if the IOMMU
 *   may write; otherwise EPERM. mmap() demands the same.
 *
 * Unlike a dma-buf it is cached memory, cannot be revoked, and can be split.
 */

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/guestmemfs.h>
#include <linux/minmax.h>
#include <linux/overflow.h>

static inline bool iopt_is_guestmem(const struct iopt_pages *pages)
{
	return IS_ENABLED(CONFIG_GUESTMEMFS) && pages->guestmem;
}

/* Are there no struct pages behind the PFNs? */
static inline bool iopt_is_pageless(struct iopt_pages *pages)
{
	return iopt_is_dmabuf(pages) || iopt_is_guestmem(pages);
}

static int guestmem_pin(struct iopt_pages *pages)
{
	fmode_t need = FMODE_READ;
	u64 end;

	/* IOMMU_IOAS_COPY may read what was mapped for writing only. */
	if (pages->writable)
		need |= FMODE_WRITE;
	if ((pages->file->f_mode & need) != need)
		return -EPERM;
	if (check_add_overflow((u64)pages->start,
			       (u64)pages->npages << PAGE_SHIFT, &end))
		return -EOVERFLOW;
	return guestmemfs_pin(pages->file, end);
}

/*
 * The last step of making an iopt_pages of a file: @pages if the file is not of
 * guestmemfs or was pinned. Otherwise @pages is gone, and an error is returned.
 */
static struct iopt_pages *iopt_guestmem_pin(struct iopt_pages *pages)
{
	int rc;

	if (!guestmemfs_file(pages->file))
		return pages;
	rc = guestmem_pin(pages);
	if (rc) {
		iopt_put_pages(pages);
		return ERR_PTR(rc);
	}
	pages->guestmem = true;
	pages->account_mode = IOPT_PAGES_ACCOUNT_NONE;
	return pages;
}

static void iopt_guestmem_unpin(struct iopt_pages *pages)
{
	if (iopt_is_guestmem(pages))
		guestmemfs_unpin(pages->file);
}

/*
 * Fill the batch from the file, until it is full or has @last_index. Pieces end at
 * the ends of pages. total_pfns has 32 bits, and so 16 TiB fill a batch, too.
 */
static int iopt_guestmem_fill(struct iopt_pages *pages, struct pfn_batch *batch,
			      unsigned long start_index,
			      unsigned long last_index)
{
	while (start_index <= last_index) {
		phys_addr_t phys;
		u64 len;
		u32 nr;

		phys = guestmemfs_phys(pages->file,
				       pages->start + start_index * PAGE_SIZE,
				       &len);
		nr = min3(last_index - start_index + 1, len >> PAGE_SHIFT,
			  MAX_NPFNS - batch->total_pfns);
		if (!nr || !batch_add_pfn_num(batch, PHYS_PFN(phys), nr,
					      BATCH_CPU_MEMORY))
			break;
		start_index += nr;
	}
	return 0;
}

#endif
